"""`labelwright serve`, which `labelwright up` starts, serves the page for the ledger of its home folder."""

from __future__ import annotations

import json

from labelwright.domain import State
from labelwright.local.servers import start_service

from .conftest import Person
from .seeding import add


def test_the_service_serves_the_page_to_its_admin(home, ledger):
    add(ledger, "river", State.ACTIVE)
    server = start_service(home)
    try:
        admin = json.loads((home / "service" / "admin.json").read_text())
        visitor = Person(server.url)
        assert visitor.get("/").headers["Location"] == "/operations/login"
        assert visitor.log_in(admin["key"], admin["secret"]).status_code == 303
        assert "river" in visitor.get("/").text
        form = visitor.form("river", "cancel")
        refused = visitor.post("/act", title="river", action="cancel", form=form)
        assert refused.status_code == 503
        assert "No Prefect server is configured" in refused.text
        assert (home / "service" / "operations.key").stat().st_mode & 0o077 == 0
    finally:
        server.stop()
