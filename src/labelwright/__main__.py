"""Entry point of ``labelwright`` and ``python -m labelwright``.

Imports nothing that takes time before it listens to signals.
"""

from __future__ import annotations

import gc
import sys

from .local import interruptions


def main() -> None:
    """Runs the command line and exits: on failure with an exit code and one sentence on standard error."""
    interruptions.listen()
    gc.set_threshold(10_000)  # at Python's 700, a tenth of a short command's time goes into looking for garbage
    code: object
    try:
        from .local import streams

        streams.protect()
        from .cli.main import main as run

        run()
        code = 0
    except SystemExit as ended:
        code = ended.code
    except BaseException as error:  # noqa: BLE001 - while the command line itself is imported
        code = _print_error(error)
    try:
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - it could not be written, or Ctrl+C came just now
        code = _print_error(error)
    interruptions.end(code if isinstance(code, int) else int(code is not None))


def _print_error(error: BaseException) -> int:
    from .cli.exit_codes import print_error

    return print_error(error)


if __name__ == "__main__":
    main()
