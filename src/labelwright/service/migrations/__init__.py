"""The schema's history, one step a file in `versions`; `migrate` takes a database to the newest.

A new step, against a database that is at the newest one:

    cd src/labelwright/service/migrations
    alembic -x url=sqlite:///FILE revision --autogenerate --rev-id 0002 -m "what is new"
"""

from .running import SchemaRefused, migrate

__all__ = ["SchemaRefused", "migrate"]
