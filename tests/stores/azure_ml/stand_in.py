"""A stand-in for the Azure Resource Manager, the Azure ML endpoints and a managed identity, on loopback with TLS.

It knows the calls that azure-ai-ml 1.35 and azureml-core 1.61 make (recorded once, call by call) and no others: an
unknown path, query or field, a missing field, or a token that was not issued here is a violation, which the test ends
with. A data version that exists already is a conflict.
"""

from __future__ import annotations

import json
import re
import ssl
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import RLock, Thread
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

Json = dict[str, Any]
SUBSCRIPTION, GROUP, WORKSPACE = "00000000-1111-2222-3333-444444444444", "rg-labels", "ws-labels"
SCOPE = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers"
    f"/Microsoft.MachineLearningServices/workspaces/{WORKSPACE}"
)
LONG = f"azureml://subscriptions/{SUBSCRIPTION}/resourcegroups/{GROUP}/workspaces/{WORKSPACE}"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_]{0,254}")


@dataclass
class Fault:
    """Answers a call with something else, `times` times: before it has its effect, or after."""

    method: str
    path: str
    """A regular expression found in the path."""
    status: int
    after: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    then: Callable[[], None] | None = None
    """Done when the fault strikes: what another run does meanwhile."""
    message: str = "injected"


class Refused(Exception):
    def __init__(self, status: int, message: str, code: str = "UserError", headers: dict[str, str] | None = None):
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, headers or {}


class AzureMl:
    """What the workspace holds, and what was asked of it."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.tokens: dict[str, str] = {}
        self.address = ""
        self.token_address = ""
        self.clear()

    def clear(self) -> None:
        """An empty workspace, and nothing was asked of it yet."""
        self.datastores: dict[str, Json] = {}
        self.versions: dict[str, dict[str, Json]] = {}
        self.datasets: dict[str, list[Json]] = {}
        self.calls: list[tuple[str, str]] = []
        self.bodies: list[tuple[str, str, Any]] = []
        self.faults: list[Fault] = []
        self.token_faults: list[int] = []
        """Statuses of the next responses to requests for a token."""
        self.violations: list[str] = []
        self.page_size = 2

    def writes(self) -> list[tuple[str, str]]:
        """The calls that register or make something."""
        with self.lock:
            return [(method, path) for method, path in self.calls if method in ("PUT", "POST")]

    def issue(self, resource: str) -> str:
        with self.lock:
            # Shaped as a JSON Web Token: azureml-core reads the expiry in it.
            now, tenant = int(time.time()), str(uuid.UUID(int=7))
            claims = {"aud": resource, "iss": f"https://sts.windows.net/{tenant}/", "tid": tenant}
            claims |= {"nbf": now - 60, "iat": now - 60, "exp": now + 3600, "jti": uuid.uuid4().hex}
            parts = ({"alg": "none", "typ": "JWT"}, claims, {})
            token = ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
            self.tokens[token] = resource
            return token

    def violated(self, message: str) -> Refused:
        self.violations.append(message)
        return Refused(400, f"the stand-in does not know this: {message}", "Violation")

    # --- every call comes through here

    def answer(self, method: str, path: str, query: dict[str, str], headers: Any, body: Any) -> tuple[int, Any]:
        with self.lock:
            self.calls.append((method, path))
            self.bodies.append((method, path, body))
            fault = next(
                (f for f in self.faults if f.times > 0 and f.method == method and re.search(f.path, path)), None
            )
            if fault is not None:
                fault.times -= 1
                if fault.then is not None:
                    fault.then()
                if not fault.after:
                    raise Refused(fault.status, fault.message, "Fault", fault.headers)
            if path != "/discovery" and headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
                raise self.violated(f"{method} {path} with a token that was not issued")
            for pattern, operation in self._routes:
                match = re.fullmatch(pattern, path)
                if match and operation.startswith(method.lower()):
                    response = getattr(self, operation)(query, body, *map(unquote, match.groups()))
                    if fault is not None:
                        raise Refused(fault.status, "injected after the effect", "Fault", fault.headers)
                    return response
            raise self.violated(f"{method} {path}")

    _scope: ClassVar = re.escape(SCOPE)
    _routes: ClassVar = [
        (r"/subscriptions", "get_subscriptions"),
        (r"/discovery", "get_discovery"),
        (_scope, "get_workspace"),
        (rf"{_scope}/datastores/([^/]+)", "get_datastore"),
        (rf"{_scope}/datastores/([^/]+)", "put_datastore"),
        (rf"{_scope}/datastores/([^/]+)/listSecrets", "post_secrets"),
        (rf"{_scope}/data/([^/]+)/versions", "get_versions"),
        (rf"{_scope}/data/([^/]+)/versions/([^/]+)", "get_version"),
        (rf"{_scope}/data/([^/]+)/versions/([^/]+)", "put_version"),
        (rf"/datastore/v1\.0{_scope}/datastores", "post_v1_datastore"),
        (rf"/datastore/v1\.0{_scope}/datastores/([^/]+)", "get_v1_datastore"),
        (rf"/dataset/v1\.0{_scope}/datasets", "post_v1_dataset"),
        (rf"/dataset/v1\.0{_scope}/datasets/query/name=([^/]+)", "get_v1_dataset"),
        (rf"/data/v1\.0{_scope}/dataversion/([^/]+)/versions/([^/]+)", "get_v1_definition"),
    ]

    def _only(self, what: str, body: Json | None, needed: set[str], allowed: set[str] = frozenset()) -> Json:  # type: ignore[assignment]
        body = body or {}
        missing, odd = needed - body.keys(), body.keys() - needed - allowed
        if missing or odd:
            raise self.violated(f"{what}: {sorted(missing)} missing, {sorted(odd)} unknown")
        return body

    # --- both generations

    def get_subscriptions(self, query: Json, _: None) -> tuple[int, Json]:
        self._only("subscriptions", query, {"api-version"})
        payload = {"subscriptionId": SUBSCRIPTION, "displayName": "team", "state": "Enabled", "tenantId": "t"}
        return 200, {"value": [{"id": f"/subscriptions/{SUBSCRIPTION}"} | payload]}

    def get_workspace(self, query: Json, _: None) -> tuple[int, Json]:
        self._only("workspace", query, {"api-version"})
        payload = {
            "workspaceId": "00000000-0000-0000-0000-000000000002",
            "discoveryUrl": f"{self.address}/discovery",
            "storageAccount": f"{SCOPE}/storage",
            "keyVault": "",
            "applicationInsights": "",
            "provisioningState": "Succeeded",
            "v1LegacyMode": False,
        }
        kind = "Microsoft.MachineLearningServices/workspaces"
        return 200, {"id": SCOPE, "name": WORKSPACE, "type": kind, "location": "here", "properties": payload}

    def get_discovery(self, query: Json, _: None) -> tuple[int, Json]:
        names = ("api", "history", "hyperdrive", "modelmanagement", "experimentation", "pipelines", "catalog", "studio")
        return 200, dict.fromkeys(names, self.address)

    # --- SDK v2

    def get_datastore(self, query: Json, _: None, name: str) -> tuple[int, Json]:
        self._only("get datastore", query, {"api-version"})
        if name not in self.datastores:
            raise Refused(404, f"Could not find datastore: {name}")
        return 200, self._resource(f"datastores/{name}", name, self._shown(self.datastores[name]))

    def put_datastore(self, query: Json, body: Json, name: str) -> tuple[int, Json]:
        self._only("put datastore", query, {"api-version", "skipValidation"})
        properties = self._only("put datastore", body, {"properties"})["properties"]
        needed = {"accountName", "containerName", "credentials", "endpoint", "protocol", "datastoreType"}
        self._only("datastore", properties, needed, {"tags", "description", "properties"})
        if not re.fullmatch(r"[a-z0-9_]{1,255}", name):
            raise Refused(400, f"Invalid datastore name '{name}'")
        created = name not in self.datastores
        self.datastores[name] = properties
        return 201 if created else 200, self._resource(f"datastores/{name}", name, self._shown(properties))

    def post_secrets(self, query: Json, body: Json, name: str) -> tuple[int, Json]:
        self._only("list secrets", query, {"api-version"})
        self._only("list secrets", body, {"expirableSecret", "expireAfterHours"})
        datastore = self.datastores[name]
        secrets = datastore["credentials"].get("secrets", {})
        if "sasToken" in secrets:
            return 200, secrets
        if "key" not in secrets:
            raise Refused(403, "this identity may not list secrets", "AuthorizationFailed")
        # As the service does: not the key, but a signature that it makes for an hour.
        from azure.storage.blob import generate_container_sas

        until = datetime.now(UTC) + timedelta(hours=1)
        account, container = datastore["accountName"], datastore["containerName"]
        sas = generate_container_sas(
            account, container, account_key=secrets["key"], permission="rl", expiry=until, protocol="https"
        )
        return 200, {"secretsType": "Sas", "sasToken": sas}

    @staticmethod
    def _shown(datastore: Json) -> Json:
        kind = datastore["credentials"]["credentialsType"]
        return {k: v for k, v in datastore.items() if k != "credentials"} | {"credentials": {"credentialsType": kind}}

    def get_versions(self, query: Json, _: None, name: str) -> tuple[int, Json]:
        self._only("list versions", query, {"api-version", "listViewType"}, {"$skip"})
        versions = list(reversed(self.versions.get(name, {}).items()))
        if not versions:
            raise Refused(404, f"Could not find asset with name: {name}")
        start = int(query.get("$skip", 0))
        page = [self._data(name, version, payload) for version, payload in versions[start : start + self.page_size]]
        more = start + self.page_size < len(versions)
        again = f"{self.address}{SCOPE}/data/{name}/versions?api-version={query['api-version']}"
        again += f"&listViewType={query['listViewType']}&$skip={start + self.page_size}"
        return 200, {"value": page, "nextLink": again if more else None}

    def get_version(self, query: Json, _: None, name: str, version: str) -> tuple[int, Json]:
        self._only("get version", query, {"api-version"})
        properties = self.versions.get(name, {}).get(version)
        if properties is None:
            where = f"azureml://locations/here/workspaces/x/data/{name}/versions/{version}"
            raise Refused(404, f"Could not find asset with ID: {where}")
        return 200, self._data(name, version, properties)

    def put_version(self, query: Json, body: Json, name: str, version: str) -> tuple[int, Json]:
        self._only("put version", query, {"api-version"})
        properties = self._only("put version", body, {"properties"})["properties"]
        needed = {"isAnonymous", "tags", "isArchived", "properties", "dataUri", "dataType", "description"}
        self._only("version", properties, needed, {"referencedUris"})
        if not _NAME.fullmatch(name):
            raise Refused(400, f"Invalid data name '{name}'")
        if not all(isinstance(tag, str) for tag in [*properties["tags"], *properties["tags"].values()]):
            raise self.violated("tags are not texts")
        others = {version["dataType"] for version in self.versions.get(name, {}).values()}
        if others - {properties["dataType"]}:
            raise Refused(400, f"the data type of '{name}' is {others} and cannot be changed")
        uri = re.sub(r"^azureml://datastores/", f"{LONG}/datastores/", properties["dataUri"])
        datastore = re.search(r"/datastores/([^/]+)/paths/.", uri)
        if datastore is None or datastore[1] not in self.datastores:
            raise Refused(400, f"the data uri {uri} names no datastore of this workspace")
        existing = self.versions.get(name, {}).get(version)
        if existing is not None and existing["dataUri"] != uri:
            raise Refused(
                400,
                "A data version with this name and version already exists. If you are trying to create a new data "
                "version, use a different name or version. If you are trying to update an existing data version, the "
                "existing asset's data uri cannot be changed. Only tags, description, and isArchived can be updated.",
            )
        if existing is not None:
            same = all(
                properties[key] == existing.get(key)
                for key in properties
                if key not in ("tags", "description", "dataUri")
            )
            if not same or properties["tags"] == existing["tags"]:
                raise Refused(409, "a data version with this name and version exists", "Conflict")
            existing["tags"] = properties["tags"]
            return 200, self._data(name, version, existing)
        self.versions.setdefault(name, {})[version] = properties | {"dataUri": uri, "at": time.time()}
        return 201, self._data(name, version, self.versions[name][version])

    def _data(self, name: str, version: str, properties: Json) -> Json:
        shown = {key: value for key, value in properties.items() if key != "at"}
        return self._resource(f"data/{name}/versions/{version}", version, shown, properties["at"])

    @staticmethod
    def _resource(inner: str, name: str, properties: Json, at: float = 0.0) -> Json:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at * 1e7) % 10**7:07}Z"
        system = {"createdAt": moment, "createdBy": "stand-in", "createdByType": "User", "lastModifiedAt": moment}
        kind = "/".join(["Microsoft.MachineLearningServices/workspaces", *inner.split("/")[::2]])
        return {"id": f"{SCOPE}/{inner}", "name": name, "type": kind, "properties": properties, "systemData": system}

    # --- SDK v1

    def post_v1_datastore(self, query: Json, body: Json) -> tuple[int, None]:
        self._only("make datastore", query, {"createIfNotExists", "skipValidation"})
        payload = self._only("make datastore", body, {"name", "dataStoreType", "azureStorageSection"})
        section = {"accountName", "containerName", "endpoint", "credentialType", "areWorkspaceManagedIdentitiesAllowed"}
        more = {"credential", "ServiceDataAccessAuthIdentity", "protocol"}
        self._only("datastore", payload["azureStorageSection"], section, more)
        if payload["name"] in self.datastores:
            raise Refused(400, "Another datastore with the same name already exists")
        self.datastores[payload["name"]] = payload["azureStorageSection"]
        return 200, None

    def get_v1_datastore(self, query: Json, _: None, name: str) -> tuple[int, Json]:
        self._only("get datastore", query, set())
        if name not in self.datastores:
            raise Refused(404, f"Could not find datastore {name}")
        payload = {"protocol": "https", "blobCacheTimeout": 0, "isSas": False, "sasToken": None, "accountKey": None}
        payload |= {key: value for key, value in self.datastores[name].items() if key[0].islower()}
        shown = {"name": name, "dataStoreType": "AzureBlob", "hasBeenValidated": True, "tags": {}, "properties": {}}
        return 200, shown | {"azureStorageSection": payload}

    def post_v1_dataset(self, query: Json, body: Json) -> tuple[int, Json]:
        needed = {"registerAsPending", "ifExistsOk", "updateDefinitionIfExists", "withDataHash"}
        self._only("register dataset", query, needed)
        request = self._only(
            "register dataset", body, {"latest", "name", "isVisible", "datasetType", "description", "tags"}
        )
        self._only("definition", request["latest"], {"datasetDefinitionState", "dataflow", "properties"})
        existing = self.datasets.setdefault(request["name"], [])
        if existing and query["ifExistsOk"] != "true":
            raise Refused(409, f"There is already a dataset registered under name {request['name']}")
        definition = request["latest"]["dataflow"]
        if not existing or existing[-1]["dataflow"] != definition:
            existing.append({"dataflow": definition, "version": len(existing) + 1, "type": request["datasetType"]})
        # Tags and description belong to the name, not to the version.
        for version in existing:
            version |= {"tags": request["tags"] or {}, "description": request["description"]}
        return 200, self._dataset(request["name"], existing[-1])

    def get_v1_dataset(self, query: Json, _: None, name: str) -> tuple[int, Json]:
        self._only("get dataset", query, {"includeLatestDefinition"}, {"versionId"})
        version = query.get("versionId")
        versions = [dataset for dataset in self.datasets.get(name, ()) if version in (None, str(dataset["version"]))]
        if not versions:
            raise Refused(404, f"No dataset named '{name}' with version {version}")
        return 200, self._dataset(name, versions[-1])

    def get_v1_definition(self, query: Json, _: None, saved: str, version: str) -> tuple[int, Json]:
        self._only("get definition", query, {"includeSavedDatasets"})
        for dataset in (dataset for versions in self.datasets.values() for dataset in versions):
            if saved == f"unregistered-{_saved_id(dataset)}":
                flow = json.loads(dataset["dataflow"])["meta"]["RsDataflow"]
                return 200, {"dataVersion": {}, "legacyDatasetType": dataset["type"], "legacyDataflow": flow}
        raise Refused(404, "not found")

    @staticmethod
    def _dataset(name: str, dataset: Json) -> Json:
        identity = str(uuid.UUID(sha256(name.encode()).hexdigest()[:32]))
        latest = {
            "datasetId": identity,
            "versionId": str(dataset["version"]),
            "datasetDefinitionState": {"state": "active"},
            "dataflow": dataset["dataflow"],
            "properties": {},
            "savedDatasetId": _saved_id(dataset),
        }
        return {
            "datasetId": identity,
            "datasetState": {"state": "active"},
            "name": name,
            "description": dataset["description"],
            "tags": dataset["tags"],
            "isVisible": True,
            "datasetType": dataset["type"],
            "etag": _saved_id(dataset),
            "latest": latest,
        }


def _saved_id(dataset: Json) -> str:
    return str(uuid.UUID(sha256(dataset["dataflow"].encode()).hexdigest()[:32]))


@contextmanager
def azure_ml_at_hand(folder: Path) -> Iterator[tuple[AzureMl, dict[str, str]]]:
    """The stand-in, and the environment by which the unchanged SDKs trust it and get their tokens from it."""
    state, secret = AzureMl(), uuid.uuid4().hex
    certificate, key = make_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    class Endpoints(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers: dict[str, str] = {}
            try:
                body = json.loads(raw) if raw else None
                status, payload = state.answer(self.command, parts.path, query, self.headers, body)
            except Refused as refused:
                status, headers = refused.status, refused.headers
                payload = {"error": {"code": refused.code, "message": refused.message, "details": []}}
            self._send(status, payload, headers)

        def _send(self, status: int, payload: Any, headers: dict[str, str]) -> None:
            data = b"" if payload is None else json.dumps(payload).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _serve

    class Identity(Endpoints):
        """A managed identity as an app service offers it to the programs on it."""

        def _serve(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            if self.headers.get("X-IDENTITY-HEADER") != secret or "resource" not in query:
                state.violations.append(f"an odd question for a token: {self.path}")
                self._send(400, {}, {})
                return
            if state.token_faults:
                self._send(state.token_faults.pop(0), {"statusCode": 500, "message": "on purpose"}, {})
                return
            resource, until = query["resource"][0], str(int(time.time()) + 3600)
            payload = {"access_token": state.issue(resource), "resource": resource, "token_type": "Bearer"}
            self._send(200, payload | {"expires_on": until, "client_id": "stand-in"}, {})

        do_GET = _serve

    servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for handler in (Endpoints, Identity)]
    servers[0].socket = context.wrap_socket(servers[0].socket, server_side=True)
    threads = [Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}) for server in servers]
    for server, thread in zip(servers, threads, strict=True):
        server.daemon_threads = True
        thread.start()
    state.address = f"https://127.0.0.1:{servers[0].server_port}"
    state.token_address = f"http://127.0.0.1:{servers[1].server_port}/token"
    try:
        yield (
            state,
            {
                "REQUESTS_CA_BUNDLE": str(certificate),
                "IDENTITY_ENDPOINT": state.token_address,
                "IDENTITY_HEADER": secret,
                "NO_PROXY": "127.0.0.1",
            },
        )
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join(10)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, good for a day."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stand-in")])
    names = [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost"), x509.DNSName("*.blob.localhost")]
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private
