"""The Azure ML store by itself: what it asks of the real SDKs, and what it makes of their answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from labelwright.ingest import ContainerSource
from labelwright.platforms import AccessDenied, NotFound, PlatformRefused, PlatformUnavailable
from labelwright.settings import WorkspaceSettings
from labelwright.stores.azure_ml.store import AzureMlStore
from labelwright.stores.protocol import ContentMismatch, RegisteredDataset, content_hash
from tests.stores.azure import Azure, azure_at_hand, python_of
from tests.stores.warm_python import warm_python

from .stand_in import GROUP, SUBSCRIPTION, WORKSPACE, Fault

pytestmark = pytest.mark.azureml
ENGINES = ["sdk_v2", "sdk_v1"]
MLTABLE = (
    "type: mltable\npaths:\n  - file: ./labels.jsonl\ntransformations:\n  - read_json_lines:\n      encoding: utf8\n"
)


@pytest.fixture(scope="module")
def around(tmp_path_factory) -> Iterator[Azure]:
    with azure_at_hand(tmp_path_factory.mktemp("azure")) as (azure, _):
        yield azure


@pytest.fixture
def azure(around) -> Iterator[Azure]:
    around.ml.clear()
    for blob in around.names():
        around.container.delete_blob(blob)
    yield around
    assert around.ml.violations == []


def settings_of(azure: Azure, **more: object) -> WorkspaceSettings:
    workspace = {
        "subscription_id": SUBSCRIPTION,
        "resource_group": GROUP,
        "workspace_name": WORKSPACE,
        "connection_string": azure.connection_string,
        "resource_manager": azure.ml.address,
        "python_v1": warm_python("v1", python_of("v1")),
        "python_v2": warm_python("v2", python_of("v2")),
        "deadline": 120,
    }
    return WorkspaceSettings.model_validate(workspace | more)


def store_of(azure: Azure, engine: str = "sdk_v2", **more: object) -> AzureMlStore:
    return AzureMlStore(settings_of(azure, **more), engine=engine, threads=4, timeout=20)


def files_in(folder: Path, text: str = "one") -> Path:
    table = folder / "river_detection_mltable"
    table.mkdir(parents=True, exist_ok=True)
    (folder / "river_labels.csv").write_text(f"image_id,label\r\n1,{text}\r\n")
    (table / "labels.jsonl").write_text('{"image_url": "azureml://x", "label": []}\n')
    (table / "MLTable").write_text(MLTABLE)
    return folder


def register(store: AzureMlStore, files: Path, title: str = "river") -> RegisteredDataset:
    return store.register(
        f"{title}_labels", files, content_hash=content_hash(files), receipt={"campaign": {"title": title}}
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_same_content_is_registered_once(azure, tmp_path, engine):
    as_installed = {f"python_{version}": python_of(version) for version in ("v1", "v2")}
    store, files = store_of(azure, engine, **as_installed), files_in(tmp_path / "files")
    first = register(store, files)
    assert first.created
    assert store.verify(first) == []
    copy = store.file(first, "river_labels.csv", tmp_path)
    assert copy is not None
    assert copy.read_bytes() == (files / "river_labels.csv").read_bytes()
    assert store.file(first, "other.csv", tmp_path) is None
    writes = azure.ml.writes()
    second = register(store, files)
    assert (second.version, second.location, second.created) == (first.version, first.location, False)
    assert [write for write in azure.ml.writes() if write not in writes] == []
    assert [version.version for version in store.versions("river_labels")] == [first.version]
    assert store.find("river_labels", first.content_hash) == replace(first, created=False, parts=())


@pytest.mark.parametrize("engine", ENGINES)
def test_two_runs_at_once_register_one_version(azure, tmp_path, engine):
    files = files_in(tmp_path / "files")
    with ThreadPoolExecutor(2) as pool:
        datasets = list(pool.map(lambda _: register(store_of(azure, engine), files), range(2)))
    assert datasets[0].version == datasets[1].version
    assert len(store_of(azure, engine).versions("river_labels")) == 1


def test_a_run_that_was_overtaken_answers_the_other_ones_version(azure, tmp_path):
    files = files_in(tmp_path / "files")
    store, digest = store_of(azure), content_hash(files)
    first = register(store, files)
    existing = azure.ml.versions["river_labels"].pop(str(first.version))

    def other_run() -> None:
        azure.ml.versions["river_labels"][str(first.version)] = existing

    # Looked for and not there; there when it is written: another run registered it in between.
    azure.ml.faults = [Fault("PUT", "/data/river_labels/versions/", 409, then=other_run)]
    dataset = register(store, files)
    assert (dataset.version, dataset.created, dataset.content_hash) == (first.version, False, digest)
    assert azure.ml.faults[0].times == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_datastore_of_another_container_is_refused(azure, tmp_path, engine):
    files = files_in(tmp_path / "files")
    register(store_of(azure, engine), files)
    azure.container.get_blob_client("x").upload_blob(b"x")
    from azure.storage.blob import ContainerClient

    with ContainerClient.from_connection_string(azure.connection_string, "another") as other:
        if not other.exists():
            other.create_container()
    with pytest.raises(PlatformRefused, match="is the container extra-images of the account devstoreaccount1"):
        register(store_of(azure, engine, container="another"), files_in(tmp_path / "other", "two"))
    assert len(store_of(azure, engine).versions("river_labels")) == 1


def test_a_lost_answer_is_found_when_asked_again(azure, tmp_path):
    store, files = store_of(azure), files_in(tmp_path / "files")
    azure.ml.faults = [Fault("PUT", "/data/river_labels/versions/", 500, after=True)]
    with pytest.raises(PlatformUnavailable) as caught:
        register(store, files)
    assert caught.value.status == 500
    assert not register(store, files).created
    assert len(azure.ml.versions["river_labels"]) == 1


def test_sdk_v1_gets_over_a_lost_answer_by_itself(azure, tmp_path):
    store, files = store_of(azure, "sdk_v1"), files_in(tmp_path / "files")
    azure.ml.faults = [Fault("POST", "/dataset/v1.0/.*/datasets$", 500, after=True)]
    first = register(store, files)
    assert azure.ml.faults[0].times == 0
    second = register(store, files)
    assert (first.version, second.version, second.created) == ("1", "1", False)
    assert len(azure.ml.datasets["river_labels"]) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_one_401_is_got_over_with_a_new_token(azure, tmp_path, engine):
    azure.ml.faults = [Fault("GET", "/datastores/labelwright$", 401)]
    assert register(store_of(azure, engine), files_in(tmp_path / "files")).created


@pytest.mark.parametrize("engine", ENGINES)
def test_token_endpoint_that_is_away_is_an_outage(azure, tmp_path, engine):
    azure.ml.token_faults = [500] * 9
    with pytest.raises(PlatformUnavailable, match="issues tokens, answered 500") as caught:
        register(store_of(azure, engine), files_in(tmp_path / "files"))
    assert "role" not in str(caught.value)
    azure.ml.token_faults = []
    assert register(store_of(azure, engine), tmp_path / "files").created


@pytest.mark.parametrize("engine", ENGINES)
def test_token_that_stays_expired_is_an_outage(azure, tmp_path, engine):
    message = "The access token has expired or is not yet valid."
    azure.ml.faults = [Fault("GET", "/datastores/labelwright$", 401, times=9, message=message)]
    with pytest.raises(PlatformUnavailable, match="takes a new token"):
        register(store_of(azure, engine), files_in(tmp_path / "files"))


@pytest.mark.parametrize("engine", ENGINES)
def test_token_that_is_refused_needs_no_role(azure, tmp_path, engine):
    azure.ml.faults = [Fault("GET", "/datastores/labelwright$", 401, times=9)]
    with pytest.raises(AccessDenied, match="tenant") as caught:
        register(store_of(azure, engine), files_in(tmp_path / "files"))
    assert "role" not in str(caught.value)


@pytest.mark.parametrize("engine", ENGINES)
def test_machine_without_an_identity_needs_a_person(azure, tmp_path, engine):
    azure.ml.token_faults = [400] * 9
    with pytest.raises(AccessDenied, match="az login"):
        register(store_of(azure, engine), files_in(tmp_path / "files"))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_right_that_is_missing_is_said_with_the_role_to_ask_for(azure, tmp_path, engine):
    azure.ml.faults = [Fault("GET", "/datastores/labelwright$", 403, times=9)]
    with pytest.raises(AccessDenied, match="AzureML Data Scientist"):
        register(store_of(azure, engine), files_in(tmp_path / "files"))


def test_short_retry_after_is_waited_and_left_to_the_task(azure, tmp_path, monkeypatch):
    waited: list[float] = []
    monkeypatch.setattr("labelwright.stores.azure_ml.sdk_process.sleep", waited.append)
    azure.ml.faults = [Fault("PUT", "/data/river_labels/versions/", 429, headers={"Retry-After": "7"})]
    with pytest.raises(PlatformUnavailable) as caught:
        register(store_of(azure), files_in(tmp_path / "files"))
    assert (caught.value.status, caught.value.retry_after, waited) == (429, 7.0, [7.0])
    assert [method for method, path in azure.ml.writes() if "/data/" in path] == ["PUT"]


WAITS = {
    "sdk_v2": [("PUT", "/data/river_labels/versions/", 429), ("GET", "/datastores/labelwright$", 503)],
    "sdk_v1": [("POST", "/dataset/v1.0/.*/datasets$", 429), ("GET", "/datastores/labelwright$", 503)],
}


@pytest.mark.parametrize(
    ("engine", "method", "path", "status"), [(engine, *item) for engine in ENGINES for item in WAITS[engine]]
)
def test_long_retry_after_ends_the_program_at_once(azure, tmp_path, engine, method, path, status):
    azure.ml.faults = [Fault(method, path, status, headers={"Retry-After": "3600"}, times=9)]
    with pytest.raises(PlatformUnavailable, match=r"The server asks to wait 3600 seconds \(until ") as caught:
        register(store_of(azure, engine), files_in(tmp_path / "files"))
    assert (caught.value.status, caught.value.retry_after, caught.value.message) == (status, 3600.0, "injected")
    assert azure.ml.faults[0].times == 8, "asked once: neither the SDK nor we ask again"


REFUSALS = {
    "sdk_v2": [("PUT", "/data/river_labels/versions/"), ("PUT", "/datastores/labelwright$")],
    "sdk_v1": [("POST", "/dataset/v1.0/.*/datasets$"), ("POST", "/datastore/v1.0/.*/datastores$")],
}


@pytest.mark.parametrize("status", [400, 409, 422])
@pytest.mark.parametrize(
    ("engine", "method", "path"), [(engine, *item) for engine in ENGINES for item in REFUSALS[engine]]
)
def test_a_refusal_is_told_with_the_servers_status_and_words(azure, tmp_path, engine, method, path, status):
    azure.ml.faults = [Fault(method, path, status, times=20)]
    with pytest.raises(PlatformRefused) as caught:
        register(store_of(azure, engine), files_in(tmp_path / "files"))
    assert caught.value.status == status
    # SDK v1 has words of its own for a dataset that exists.
    message = "already a dataset registered" if (engine, method, status) == ("sdk_v1", "POST", 409) else "injected"
    assert message in caught.value.message or "injected" in caught.value.message
    assert f"answered {status}" in str(caught.value)


def test_stopped_program_leaves_the_last_status(azure, tmp_path):
    azure.ml.faults = [Fault("POST", "/dataset/v1.0/.*/datasets$", 503, times=99)]
    with pytest.raises(PlatformUnavailable) as caught:
        register(store_of(azure, "sdk_v1", deadline=25), files_in(tmp_path / "files"))
    assert caught.value.status == 503


def test_same_version_with_another_path_is_refused(azure, tmp_path):
    store, files = store_of(azure), files_in(tmp_path / "files")
    dataset = register(store, files)
    held = azure.ml.versions["river_labels"][str(dataset.version)]
    held["dataUri"] = held["dataUri"].replace("deliveries", "elsewhere")
    held["tags"] = {"content_hash": "0" * 64}
    with pytest.raises(PlatformRefused) as caught:
        register(store, files)
    assert caught.value.status == 409
    assert "exists and points to" in caught.value.message


def test_unsupported_title_is_escaped_and_kept_in_a_tag(azure, tmp_path):
    title = "река 1/2"
    dataset = store_of(azure).register(
        "река 1%2F2_labels",
        files_in(tmp_path / "files"),
        content_hash=content_hash(tmp_path / "files"),
        receipt={"campaign": {"title": title}},
    )
    from labelwright.stores.azure_ml.names import asset_name

    assert dataset.name == asset_name(title, "_labels")
    assert azure.ml.versions[dataset.name][str(dataset.version)]["tags"]["campaign"] == title
    assert store_of(azure).verify(dataset) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_what_was_changed_behind_our_back_is_told(azure, tmp_path, engine):
    store = store_of(azure, engine)
    dataset = register(store, files_in(tmp_path / "files"))
    (csv,) = [name for name in azure.names("deliveries/") if name.endswith(".csv")]
    azure.container.upload_blob(csv, b"something else", overwrite=True)
    assert store.verify(dataset) == ["river_labels.csv has other bytes than when it was registered"]
    wrong = store.verify(replace(dataset, location=dataset.location.replace("river", "lake")))
    assert any("and not to" in message for message in wrong)
    absent = store.verify(replace(dataset, version="77"))
    assert absent == [f"the workspace has no version 77 of {dataset.name}"]


def test_a_file_is_never_written_over(azure, tmp_path):
    store, files = store_of(azure), files_in(tmp_path / "files")
    name = f"deliveries/river_labels/{content_hash(files)}/river_labels.csv"
    azure.container.upload_blob(name, b"somebody else's")
    with pytest.raises(ContentMismatch, match="not overwritten"):
        register(store, files)
    assert azure.read(name) == b"somebody else's"
    assert azure.ml.writes() == []


def test_nothing_secret_is_in_what_is_sent_to_be_seen(azure, tmp_path, caplog):
    store = store_of(azure)
    dataset = register(store, files_in(tmp_path / "files"))
    key = azure.connection_string.partition("AccountKey=")[2].partition(";")[0]
    assert key not in repr(store) + repr(dataset) + json.dumps(store.receipt(dataset)) + caplog.text
    assert not any(b"sig=" in azure.read(name) for name in azure.names())


def test_identity_leaves_no_secret_in_the_datastore(azure, tmp_path):
    url = azure.container.url.rpartition("/")[0]
    store = store_of(azure, connection_string=None, account_url=url)
    dataset = register(store, files_in(tmp_path / "files"))
    assert store.verify(dataset) == []
    assert azure.read("label_sets/river_labels.csv") == (tmp_path / "files" / "river_labels.csv").read_bytes()
    assert azure.ml.datastores["labelwright"]["credentials"] == {"credentialsType": "None"}
    # The SDK read the MLTable by the same identity.
    assert not any(path.endswith("listSecrets") for _, path in azure.ml.calls)
    assert azure.ml.versions["river_labels"][str(dataset.version)]["referencedUris"] == ["./labels.jsonl"]
    assert any("devstoreaccount1.blob." in path for _, path in azure.ml.calls)


def test_images_of_a_private_container_are_read_by_an_identity(azure):
    azure.container.upload_blob("in/a.jpg", b"a picture")
    source = ContainerSource(azure.container.url, "in/", identity=True)
    assert [file.name for file in source.find()] == ["a.jpg"]
    with source.open("in/a.jpg") as file:
        assert file.read() == b"a picture"
    with pytest.raises((AccessDenied, NotFound)):
        list(ContainerSource(azure.container.url, "in/").find())


def test_sdk_v1_makes_a_datastore_without_a_secret_too(azure, tmp_path):
    url = azure.container.url.rpartition("/")[0]
    store = store_of(azure, "sdk_v1", connection_string=None, account_url=url)
    assert store.verify(register(store, files_in(tmp_path / "files"))) == []
    assert azure.ml.datastores["labelwright"]["credentialType"] == "None"


def test_a_workspace_by_its_config_json(azure, tmp_path):
    config = tmp_path / "config.json"
    workspace = {"subscription_id": SUBSCRIPTION, "resource_group": GROUP, "workspace_name": WORKSPACE}
    config.write_text(json.dumps(workspace))
    store = store_of(azure, config=config, subscription_id=None, resource_group=None, workspace_name=None)
    assert register(store, files_in(tmp_path / "files")).created


@pytest.mark.parametrize("engine", ENGINES)
def test_a_content_that_is_exported_again_is_the_newest_version(azure, tmp_path, engine):
    store = store_of(azure, engine)
    a, b = files_in(tmp_path / "a", "A"), files_in(tmp_path / "b", "B")
    first, second, again = register(store, a), register(store, b), register(store, a)
    assert (again.version, again.created) == (first.version, False)
    assert first.serial < second.serial < again.serial
    newest = store.newest("river_labels")
    assert (newest.version, newest.content_hash, newest.serial) == (first.version, first.content_hash, again.serial)
    assert azure.read("label_sets/river_labels.csv") == (a / "river_labels.csv").read_bytes()
    assert len(store.versions("river_labels")) == 2
    if engine == "sdk_v2":
        for name in ("river_labels", "river_labels_csv"):
            tags = {version: properties["tags"] for version, properties in azure.ml.versions[name].items()}
            highest = max(tags, key=lambda version: int(tags[version]["labelwright_export"]))
            assert highest == first.version, name
            assert tags[first.version]["campaign"] == "river", "the other tags stay"
    writes, blobs = azure.ml.writes(), {name: azure.read(name) for name in azure.names()}
    assert register(store, a).serial == again.serial
    assert azure.ml.writes() == writes, "an export without a change writes nothing"
    assert {name: azure.read(name) for name in azure.names()} == blobs


@pytest.mark.parametrize("damage", ["file", "lost file", "receipt", "lost receipt", "tampered receipt"])
def test_delivery_is_repaired_only_from_its_own_content(azure, tmp_path, damage):
    store, files = store_of(azure), files_in(tmp_path / "files")
    dataset = register(store, files)
    csv, receipt = (next(n for n in azure.names("deliveries/") if n.endswith(end)) for end in (".csv", "receipt.json"))
    original_receipt = json.loads(azure.read(receipt))
    if damage == "lost file":
        azure.container.delete_blob(csv)
    elif damage == "lost receipt":
        azure.container.delete_blob(receipt)
    else:
        tampered = json.dumps(original_receipt | {"campaign": {"title": "lake"}}).encode()
        data = {"file": b"something else", "receipt": b"no JSON", "tampered receipt": tampered}[damage]
        azure.container.upload_blob(csv if damage == "file" else receipt, data, overwrite=True)
    assert len(store.verify(dataset)) == 1
    assert store.repair(dataset, files_in(tmp_path / "other", "two"), {"campaign": {"title": "river"}}) == []
    assert len(store.verify(dataset)) == 1
    assert len(store.repair(dataset, files, {"campaign": {"title": "river"}})) == 1
    again = register(store, files)
    assert (again.version, again.created) == (dataset.version, False)
    assert store.verify(again, deep=True) == []
    assert json.loads(azure.read(receipt))["campaign"] == {"title": "river"}


def test_a_file_whose_stored_md5_lies_is_found_by_reading_it(azure, tmp_path):
    from azure.storage.blob import ContentSettings

    store = store_of(azure)
    dataset = register(store, files_in(tmp_path / "files"))
    (csv,) = [name for name in azure.names("deliveries/") if name.endswith(".csv")]
    blob = azure.container.get_blob_client(csv)
    held = blob.get_blob_properties()
    settings = ContentSettings(content_md5=held.content_settings.content_md5)
    blob.upload_blob(b"x" * held.size, overwrite=True)
    blob.set_http_headers(settings)
    assert store.verify(dataset) == []
    assert store.verify(dataset, deep=True) == ["river_labels.csv has other bytes than when it was registered"]
