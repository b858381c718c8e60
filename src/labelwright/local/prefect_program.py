"""Prefect's command line, for its server: `python -m labelwright.local.prefect_program MARK server start`.

It imports less than Prefect's own, and on SQLite its server handles one request after the other. The server sends the
mark with its responses: who started it knows it by that from another server that took the port first.
"""

from __future__ import annotations

import functools
import sys

from .imports import without_collections
from .prefect_server import handle_one_by_one
from .starting import START_HEADER


def main() -> None:
    """Runs the command line of Prefect's server."""
    import uvicorn

    mark = sys.argv.pop(1)
    uvicorn.run = functools.partial(uvicorn.run, headers=[(START_HEADER, mark)])
    with without_collections():
        from prefect.cli import app

        handle_one_by_one()
    app()


if __name__ == "__main__":
    main()
