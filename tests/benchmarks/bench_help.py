"""`labelwright --help` beside `python -c pass`: what a user waits for before anything happens. Prints a difference."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 15
AIM_MS = 200


def median_ms(command: list[str]) -> float:
    """The median wall time of a command over the rounds, in milliseconds."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def main() -> None:
    program = Path(sys.executable).parent / "labelwright"
    bare = median_ms([sys.executable, "-c", "pass"])
    help_ = median_ms([str(program), "--help"])
    more = help_ - bare
    print(f"python -c pass {bare:.0f} ms, labelwright --help {help_:.0f} ms: {more:.0f} ms more", end="")
    print(f" (aim: under {AIM_MS}, {'reached' if more < AIM_MS else 'not reached'})")


if __name__ == "__main__":
    main()
