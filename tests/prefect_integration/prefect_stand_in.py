"""A small HTTP server in place of a busy Prefect server: work pools, blocks, automations, and scripted failures."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5


class PrefectStandIn:
    """busy: how many requests of a method and path fail first, `*` for all others; after_it: after the work is done."""

    def __init__(self, busy: dict[str, int], status: int, *, after_it: bool = False) -> None:
        self.busy, self.status, self.after_it = busy, status, after_it
        self.requests: Counter[str] = Counter()
        self.pools: dict[str, Any] = {}
        self.automations: list[dict[str, Any]] = []
        self.url = ""
        self.slots: dict[str, int | None] = {}
        """Limits of deployments by name."""
        self.queues: dict[str, int | None] = {}
        """Limits of work queues by name; a deployment of that name uses the queue."""
        self.schedules: list[dict[str, Any]] = []
        """Of every deployment."""
        self.runs: list[dict[str, Any]] = []
        self.ended: set[str] = set()
        """Ids of runs that are over."""
        self.counted: list[dict[str, Any]] = []
        """Filters by which runs were counted."""

    def respond(self, request: str, body: Any) -> tuple[int, Any]:
        self.requests[request] += 1
        if self.requests[request] > self.busy.get(request, self.busy.get("*", 0)):
            return self.carry_out(request, body)
        if self.after_it:
            self.carry_out(request, body)
        return self.status, {"detail": "database is locked"}

    def carry_out(self, request: str, body: Any) -> tuple[int, Any]:
        method, _, path = request.partition(" ")
        if path.startswith(("/deployments/", "/flow_runs/")):
            return self.run_flows(path, body)
        if path.startswith("/block_types/"):
            kinds = {"block_type_id": str(uuid4()), "block_schema_id": str(uuid4())}
            return 200, {"id": str(uuid4()), "name": "team", "data": {}, "block_document_references": {}, **kinds}
        if path == "/automations/filter":
            (name,) = body["automations"]["name"]["any_"]
            return 200, [entry for entry in reversed(self.automations) if entry["name"] == name]
        if request == "POST /automations/":
            self.automations.append({**body, "id": str(uuid4()), "created": datetime.now(UTC).isoformat()})
            return 201, self.automations[-1]
        if path.startswith("/automations/") and method == "DELETE":
            self.automations = [entry for entry in self.automations if not path.endswith(entry["id"])]
            return 204, None
        if path.startswith("/automations/"):
            return 204, None
        if request == "POST /work_pools/":
            if body["name"] in self.pools:
                return 409, {"detail": "exists"}
            self.pools[body["name"]] = {"id": str(uuid4()), **body}
            return 201, self.pools[body["name"]]
        if path.startswith("/work_pools/") and "/queues/" in path:
            name = path.rpartition("/")[2]
            queue = {"id": self.deployment_id(name), "name": name, "concurrency_limit": self.queues[name]}
            return 200, queue | {"work_pool_id": str(uuid4())}
        if path.startswith("/work_queues/"):
            (name,) = [name for name in self.queues if path.endswith(self.deployment_id(name))]
            self.queues[name] = body["concurrency_limit"]
            return 204, None
        if path.startswith("/work_pools/"):
            pool = self.pools.get(path.rpartition("/")[2])
            return (404, {"detail": "no such pool"}) if pool is None else (200, pool)
        return 404, {"detail": f"not of this stand-in: {request}"}

    def deployment_id(self, name: str) -> str:
        return str(uuid5(NAMESPACE_URL, name))

    def runs_of(self, name: str) -> list[dict[str, Any]]:
        return [run for run in self.runs if run["flow"] == name]

    def run_flows(self, path: str, body: Any) -> tuple[int, Any]:
        names = {self.deployment_id(name): name for name in self.slots}
        if path.startswith("/deployments/name/"):
            name = path.rpartition("/")[2]
            if name not in self.slots:
                return 404, {"detail": "not deployed"}
            limit = {"id": str(uuid4()), "name": name, "limit": self.slots[name], "active": True, "active_slots": 0}
            flow: dict[str, Any] = {"id": self.deployment_id(name), "name": name, "flow_id": str(uuid4())}
            flow["schedules"] = self.schedules
            flow |= {"work_pool_name": "labelwright", "work_queue_name": name if name in self.queues else "default"}
            return 200, flow | {"global_concurrency_limit": None if limit["limit"] is None else limit}
        if "/schedules/" in path:
            (schedule,) = [schedule for schedule in self.schedules if path.endswith(schedule["id"])]
            schedule.update(body)
            return 204, None
        if path == "/flow_runs/count":
            self.counted.append(body)
            (deployment,) = body["deployments"]["id"]["any_"]
            active = [run for run in self.runs if run["id"] not in self.ended]
            return 200, sum(run["deployment_id"] == deployment for run in active)
        if path.endswith("/create_flow_run"):
            deployment, key = path.split("/")[2], body.get("idempotency_key")
            same = [run for run in self.runs if key is not None and run["idempotency_key"] == key]
            if not same:
                run = {"id": str(uuid4()), "flow_id": str(uuid4()), "name": "run", "deployment_id": deployment}
                same = [run | {"idempotency_key": key, "parameters": body["parameters"], "flow": names[deployment]}]
                self.runs += same
            return 201, same[0]
        if path.startswith("/flow_runs/"):
            (run,) = [run for run in self.runs if run["id"] == path.rpartition("/")[2]]
            state = "COMPLETED" if run["id"] in self.ended else "RUNNING"
            return 200, run | {"state": {"id": str(uuid4()), "type": state, "name": state.title()}}
        return 404, {"detail": f"not of this stand-in: {path}"}


@contextmanager
def prefect_stand_in(busy: dict[str, int], status: int = 503, *, after_it: bool = False) -> Iterator[PrefectStandIn]:
    api = PrefectStandIn(busy, status, after_it=after_it)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def handle_request(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = f"{self.command} {self.path.partition('?')[0].removeprefix('/api')}"
            code, document = api.respond(request, json.loads(content) if content else None)
            response = b"" if document is None else json.dumps(document).encode()
            self.send_response(code)
            if code in (408, 429) or code >= 500:
                self.send_header("Retry-After", "0")  # Prefect's client pauses for two seconds after a 503 without it
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(response)))
            self.end_headers()
            self.wfile.write(response)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}/api"
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
