"""Every benchmark, one after the other: `make bench`. Each prints ratios to a peer that ran beside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BY_HAND = {"bench_many_campaigns", "bench_page"}
"""Print no ratio, and take a quarter of an hour or need Chromium."""


def main() -> None:
    failed = []
    for script in sorted(Path(__file__).parent.glob("bench_*.py")):
        if script.stem in BY_HAND:
            continue
        print(f"\n== {script.stem}", flush=True)
        if subprocess.run([sys.executable, str(script)], check=False).returncode:
            failed.append(script.stem)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
