"""Every reason for which a campaign needs attention names a command, and that command leads on.

A row of `WAYS` lets something happen to a campaign, has a person do what the reason says, runs the commands that the
reason names, and checks where the campaign is then. `PLACES` lists where the code asks for attention: a new place needs
its rows.
"""

from __future__ import annotations

import ast
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from PIL import Image

from labelwright.campaigns import interventions
from labelwright.campaigns.changes import CampaignChanged
from labelwright.campaigns.labeler_keys import LabelerKeys
from labelwright.campaigns.spec import load_spec
from labelwright.cli.main import app
from labelwright.datasets import NotDelivered, SpoolDamaged
from labelwright.domain import Annotation, Box, ImageState, LabeledImage, Reject, Size, State
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.ingest import SourceError
from labelwright.ledger import LedgerError
from labelwright.platforms import AccessDenied, PlatformRefused, PlatformUnavailable
from labelwright.platforms.campaign_api.adapter import CampaignApi
from labelwright.platforms.http.logins import forget_logins
from labelwright.platforms.label_studio.annotations import to_result
from labelwright.platforms.label_studio.label_config import label_config, read_config
from labelwright.platforms.protocol import LabelsPage, RemoteImage, Secret
from labelwright.platforms.registry import PLATFORMS
from labelwright.security.private_files import private_folder
from labelwright.service import ServiceConfig
from labelwright.service.run import serving
from labelwright.settings import forget_settings, settings
from labelwright.stores.protocol import ContentMismatch, UnsafeDataset
from labelwright.tasks.attention import REFUSALS
from labelwright.tasks.campaign.image_checks import register_campaign
from labelwright.tasks.context import the_ledger
from labelwright.tasks.leases import campaign_lock
from tests.platforms.cvat.fake_server.server import FakeCvat
from tests.platforms.cvat.harness import label_images
from tests.platforms.label_studio.fake_server.server import FakeLabelStudio
from tests.platforms.label_studio.harness import call, submit
from tests.platforms.shelf import ENTRY, STORES, Kept, Shelf, Store

from .without_prefect import run_as_functions

ROOT = Path(__file__).resolve().parents[2]
COMMAND = re.compile(r"labelwright [a-z]+ 'river'(?: --[a-z-]+)*(?: CAMPAIGN\.YAML)?")
ADMIN = ("admin-of-the-walk", "a-secret-of-the-walk")


class Walk:
    """A campaign of three images, the person who runs it, and its labelers."""

    cvat: FakeCvat
    studio: FakeLabelStudio
    undo: Callable[[], None]

    def __init__(self, folder: Path, platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.platform, self.monkeypatch = folder, platform, monkeypatch
        self.file = folder / "campaign.yaml"
        self.photos = folder / "photos"
        self.fields: dict[str, Any] = {"labels": [{"name": "boat", "geometry": "any"}], "images": {"folder": "photos"}}
        for number, name in enumerate(("a.png", "b.png", "c.png")):
            self.photo(name, number)
        self.write()

    def photo(self, name: str, shade: int) -> Path:
        self.photos.mkdir(exist_ok=True)
        Image.new("RGB", (40, 30), (shade, 0, 0)).save(self.photos / name)
        return self.photos / name

    def write(self, **fields: Any) -> None:
        self.fields |= fields
        document = {"title": "river", "platform": self.platform, "labeler": "a@b.c", "export": {"folder": "datasets"}}
        self.file.write_text(yaml.safe_dump({**document, **self.fields}))

    def launch(self) -> None:
        launch_campaign(load_spec(self.file))

    def fail_to_launch(self) -> None:
        with pytest.raises(REFUSALS):
            self.launch()

    def sweep(self) -> None:
        with suppress(AccessDenied):  # raised after all campaigns were checked
            sweep_campaigns()

    def set(self, name: str, value: str) -> None:
        self.monkeypatch.setenv(f"LABELWRIGHT_{name}", value)
        forget_settings()

    @property
    def record(self) -> Any:
        return the_ledger().campaigns.get("river")

    @property
    def reason(self) -> str:
        assert self.record.state is State.NEEDS_ATTENTION
        return str(self.record.reason)

    def run(self, command: str) -> None:
        arguments = shlex.split(command.replace("CAMPAIGN.YAML", str(self.file)))[1:]
        app(arguments, standalone_mode=False)

    # The embedded service

    @property
    def api(self) -> CampaignApi:
        connection = settings().connection("campaign_api")
        return CampaignApi(connection.url or "", ADMIN[0], Secret(ADMIN[1]))

    def ask(self, method: str, path: str, body: Any = None, *, labeler: bool = False) -> Any:
        key, secret = ADMIN
        if labeler:
            access = LabelerKeys(settings().home).find("campaign_api", "a@b.c")
            assert access is not None
            assert access.secret is not None
            key, secret = access.key, access.secret.value
        headers = {"Authentication-Key": key, "Authentication-Secret": secret}
        url = f"{settings().connection('campaign_api').url}{path}"
        response = requests.request(method, url, json=body, headers=headers, timeout=60)
        assert response.status_code == 200, response.text
        return response.json()

    def label(self, first: int = 0, count: int | None = None, **shape: Any) -> None:
        """A labeler draws a boat in every image, or in so many of them from the first one on."""
        path = f"/campaigns/{self.record.remote_id}"
        boat = {"label": "boat", "confidence": 1, "bounding_box": {"xmin": 1, "ymin": 1, "xmax": 9, "ymax": 8}, **shape}
        images = self.ask("GET", f"{path}/images", labeler=True)["images"]
        objects = [{"image_id": image["image_id"], "objects": [boat]} for image in images[first:][:count]]
        self.ask("PUT", f"{path}/objects", objects, labeler=True)

    # CVAT

    def delete_in_cvat(self, path: str) -> None:
        headers = {"Authorization": f"Token {self.cvat.requester.token}", "X-Organization": "acme"}
        assert requests.delete(f"{self.cvat.url}{path}", headers=headers, timeout=60).status_code == 204

    def label_in_cvat(self) -> None:
        images = [entry.remote_id or "" for entry in the_ledger().manifests.entries("river")]
        boat = Annotation("boat", Box(1, 1, 9, 8))
        label_images(self.cvat, int(self.record.remote_id), {image: [boat] for image in images})

    # Label Studio

    def in_label_studio(self, method: str, path: str, payload: Any = None) -> None:
        call(self.studio, method, path, payload)

    def label_in_label_studio(self) -> None:
        schema = load_spec(self.file).schema_of_labels()
        boat = to_result([Annotation("boat", Box(1, 1, 9, 8))], Size(40, 30), read_config(label_config(schema)))
        for entry in the_ledger().manifests.entries("river"):
            submit(self.studio, entry.remote_id or "", boat)

    # The shelf

    @property
    def store(self) -> Store:
        return STORES[f"memory:{self.folder}"]

    @property
    def kept(self) -> Kept:
        return self.store.campaigns["c1"]

    def label_on_shelf(self) -> None:
        self.kept.labels.update({id: (Annotation("boat", Box(1, 1, 9, 8)),) for id in self.kept.images})


def nothing(_: Walk) -> None:
    """The commands are enough."""


@dataclass(frozen=True)
class Way:
    """A reason for attention, and the way on."""

    name: str
    platform: str
    happens: Callable[[Walk], None]
    names: tuple[str, ...]
    """The commands that the reason must name, in the order in which they are run."""
    leads_to: State
    done_by_person: Callable[[Walk], None] = nothing
    """What the reason asks for besides, before the commands are run."""
    ends: Callable[[Walk], None] = field(default=nothing)
    """What follows the commands: labelers go on, a sweep runs."""


REOPEN_WRONG, DELIVER = "labelwright reopen 'river' --wrong", "labelwright deliver 'river' --accept-partial"
RESUME, CANCEL = "labelwright resume 'river'", "labelwright cancel 'river'"
CHANGE = "labelwright change 'river' CAMPAIGN.YAML"
ADOPT = "labelwright adopt 'river' --file CAMPAIGN.YAML"
FORGET = "labelwright forget 'river' --force"


def labeled_and_swept(walk: Walk) -> None:
    walk.label()
    walk.sweep()


def labeled_on_shelf_and_swept(walk: Walk) -> None:
    walk.label_on_shelf()
    walk.sweep()


def forbidden_geometry(walk: Walk) -> None:
    walk.launch()
    walk.label(polygon=[[1, 1], [9, 1], [5, 8]])
    spec = dict(walk.record.spec)
    spec["labels"] = [dict(label, geometry="box") for label in spec["labels"]]
    the_ledger().campaigns.record_spec("river", spec)
    walk.sweep()


def one_forbidden_geometry(walk: Walk) -> None:
    """Two images are labeled as the schema asks, one is not."""
    walk.launch()
    walk.label(count=1, polygon=[[1, 1], [9, 1], [5, 8]])
    spec = dict(walk.record.spec)
    spec["labels"] = [dict(label, geometry="box") for label in spec["labels"]]
    the_ledger().campaigns.record_spec("river", spec)
    walk.label(first=1)
    walk.sweep()


def completed_by_hand(walk: Walk) -> None:
    walk.launch()
    walk.label(count=1)
    walk.ask("PUT", f"/campaigns/{walk.record.remote_id}", {"new_status": "completed"})
    walk.sweep()


def ledger_lost(walk: Walk) -> None:
    walk.launch()
    interventions.forget("river", force=True)
    walk.fail_to_launch()


def image_added_on_the_platform(walk: Walk) -> None:
    walk.launch()
    extra = walk.photo("extra.png", 99).read_bytes()
    other = walk.api.create_image_set("other", {})
    container, _, signature = walk.api.dropbox(other.id).value.partition("?")
    headers = {"x-ms-blob-type": "BlockBlob", "x-ms-version": "2021-12-02"}
    requests.put(f"{container}/extra.png?{signature}", data=extra, headers=headers, timeout=60).raise_for_status()
    walk.api.seal_image_set(other.id)
    while walk.api.read_image_set(other.id).state != "finished":
        pass
    walk.api.add_images(walk.record.remote_id, [image.id for image in walk.api.list_images(other.id)])
    walk.label()
    (walk.photos / "extra.png").unlink()
    walk.sweep()


def no_file_is_an_image(walk: Walk) -> None:
    for path in walk.photos.iterdir():
        path.write_text("no image")
    walk.fail_to_launch()


def folder_lost_after_registration(walk: Walk) -> None:
    register_campaign(load_spec(walk.file))
    shutil.rmtree(walk.photos)
    walk.fail_to_launch()


def key_changed(walk: Walk) -> None:
    walk.launch()
    walk.label()
    sweep_campaigns(go_on="no")
    walk.set("CONNECTIONS__CAMPAIGN_API__SECRET", "the-old-secret-of-the-walk")
    walk.sweep()


def labels_on_platform(*names: str) -> Callable[[Walk], None]:
    def happens(walk: Walk) -> None:
        walk.launch()
        walk.kept.offered = list(names)
        labeled_on_shelf_and_swept(walk)

    return happens


def restore_labels(walk: Walk) -> None:
    walk.kept.offered = ["boat"]


def campaign_deleted(walk: Walk) -> None:
    walk.launch()
    walk.store.campaigns.clear()
    walk.sweep()


def task_deleted(walk: Walk) -> None:
    walk.store.lost_with_tasks = True
    walk.launch()
    walk.sweep()
    walk.kept.images.clear()
    walk.sweep()


def images_failed(walk: Walk) -> None:
    walk.launch()
    walk.label_on_shelf()
    del walk.kept.labels["i1"]
    walk.kept.failed["i1"] = "the picture is broken"
    walk.sweep()


def every_image_skipped(walk: Walk) -> None:
    walk.launch()
    walk.kept.excluded.update(dict.fromkeys(walk.kept.images, (ImageState.SKIPPED, "too dark")))
    walk.sweep()


def label_added_on_the_platform(walk: Walk) -> None:
    walk.launch()
    walk.ask("PATCH", f"/campaigns/{walk.record.remote_id}", {"labels": ["boat", "ship"]})
    walk.label(label="ship")
    walk.sweep()


def add_label_to_file(walk: Walk) -> None:
    walk.write(labels=[*walk.fields["labels"], "ship"])


def project_deleted_in_cvat(walk: Walk) -> None:
    walk.launch()
    walk.delete_in_cvat(f"/api/projects/{walk.record.remote_id}")
    walk.sweep()


def task_deleted_in_cvat(walk: Walk) -> None:
    walk.launch()
    walk.sweep()
    (task,) = the_ledger().manifests.remote_parents("river")
    walk.delete_in_cvat(f"/api/tasks/{task}")
    walk.sweep()


def labeled_in_cvat_and_swept(walk: Walk) -> None:
    walk.label_in_cvat()
    walk.sweep()


def rename_label_in_cvat(walk: Walk, name: str = "boat") -> None:
    (label,) = walk.cvat.state.projects[int(walk.record.remote_id)].labels
    label.name = name


def label_renamed_in_cvat(walk: Walk) -> None:
    walk.launch()
    walk.label_in_cvat()
    rename_label_in_cvat(walk, "ship")
    walk.sweep()


def project_deleted_in_label_studio(walk: Walk) -> None:
    walk.launch()
    walk.in_label_studio("DELETE", f"/api/projects/{walk.record.remote_id}/")
    walk.sweep()


def labeled_in_label_studio_and_swept(walk: Walk) -> None:
    walk.label_in_label_studio()
    walk.sweep()


def rename_label_in_label_studio(walk: Walk, old: str = "ship", new: str = "boat") -> None:
    path = f"/api/projects/{walk.record.remote_id}/"
    config = call(walk.studio, "GET", path)["label_config"]
    walk.in_label_studio("PATCH", path, {"label_config": config.replace(f'"{old}"', f'"{new}"')})


def label_renamed_in_label_studio(walk: Walk) -> None:
    walk.launch()
    walk.label_in_label_studio()
    rename_label_in_label_studio(walk, "boat", "ship")
    walk.sweep()


def other_sizes(walk: Walk) -> None:
    def list_turned(self: Shelf, campaign: str) -> Iterator[RemoteImage]:
        for id, (_, sent) in self._kept(campaign).images.items():
            yield RemoteImage(id, sent.image.name, sent.image.size.height, sent.image.size.width)

    walk.monkeypatch.setattr(Shelf, "list_campaign_images", list_turned)
    walk.fail_to_launch()


def foreign_images(walk: Walk) -> None:
    walk.launch()
    the_ledger().manifests.drop("river", Reject("a.png", "taken out by the test"))
    walk.fail_to_launch()


def remove_foreign(walk: Walk) -> None:
    del walk.kept.images["i1"]


def launch_breaks_off_again_and_again(walk: Walk) -> None:
    def away(*_: Any) -> None:
        raise PlatformUnavailable("shelf", "create the campaign", message="no answer")

    walk.set("RESTARTS", "1")
    with walk.monkeypatch.context() as patch:
        patch.setattr(Shelf, "create_campaign", away)
        with pytest.raises(PlatformUnavailable):
            walk.launch()
        walk.sweep()
        walk.sweep()


def changed_labels(walk: Walk, change: Callable[[LabeledImage], LabeledImage], *, more: bool = False) -> None:
    """The shelf says something else of its first image, or says it of one more, when the labels are read."""
    read_labels = Shelf.read_labels

    def read(self: Shelf, campaign: str, cursor: str | None = None) -> LabelsPage:
        page = read_labels(self, campaign, cursor)
        images = (*page.images, change(page.images[0])) if more else (change(page.images[0]), *page.images[1:])
        return replace(page, images=images)

    walk.monkeypatch.setattr(Shelf, "read_labels", read)
    walk.undo = lambda: walk.monkeypatch.setattr(Shelf, "read_labels", read_labels)


def labels_say(change: Callable[[LabeledImage], LabeledImage], *, more: bool = False) -> Callable[[Walk], None]:
    def happens(walk: Walk) -> None:
        walk.launch()
        changed_labels(walk, change, more=more)
        labeled_on_shelf_and_swept(walk)

    return happens


def turned(image: LabeledImage) -> LabeledImage:
    return replace(image, size=Size(30, 40))


def rejected(image: LabeledImage) -> LabeledImage:
    return replace(image, state=ImageState.REJECTED)


def foreign(image: LabeledImage) -> LabeledImage:
    return replace(image, name="foreign.png", remote_id="i99")


def put_right(walk: Walk) -> None:
    walk.undo()


FAILED = "labelwright failed 'river'"
SERVICE, SHELF, CVAT, STUDIO = "campaign_api", "shelf", "cvat", "label_studio"
WAYS = [
    Way("forbidden geometry", SERVICE, forbidden_geometry, (CHANGE, RESUME), State.EXPORTED),
    Way(
        "forbidden geometry, drawn again",
        SERVICE,
        one_forbidden_geometry,
        (REOPEN_WRONG,),
        State.EXPORTED,
        ends=labeled_and_swept,
    ),
    Way("forbidden geometry, left out", SERVICE, one_forbidden_geometry, (DELIVER,), State.EXPORTED),
    Way(
        "completed by hand",
        SERVICE,
        completed_by_hand,
        ("labelwright reopen 'river'",),
        State.EXPORTED,
        ends=labeled_and_swept,
    ),
    Way("completed by hand, delivered as it is", SERVICE, completed_by_hand, (DELIVER,), State.EXPORTED),
    Way("completed by hand, cancelled", SERVICE, completed_by_hand, (CANCEL,), State.CANCELLED),
    Way("image of another size, left out", SHELF, labels_say(turned), (DELIVER,), State.EXPORTED),
    Way("image of another size, put right", SHELF, labels_say(turned), (RESUME,), State.EXPORTED, put_right),
    Way("labels rejected, left out", SHELF, labels_say(rejected), (DELIVER,), State.EXPORTED),
    Way("labels rejected, corrected", SHELF, labels_say(rejected), (RESUME,), State.EXPORTED, put_right),
    Way("labels of a foreign image", SHELF, labels_say(foreign, more=True), (RESUME,), State.EXPORTED, put_right),
    Way("ledger lost", SERVICE, ledger_lost, (ADOPT,), State.EXPORTED, ends=labeled_and_swept),
    Way(
        "image added on the platform",
        SERVICE,
        image_added_on_the_platform,
        (FORGET, ADOPT),
        State.EXPORTED,
        done_by_person=lambda walk: walk.photo("extra.png", 99) and None,
        ends=Walk.sweep,
    ),
    Way(
        "no file is an image",
        SERVICE,
        no_file_is_an_image,
        (RESUME,),
        State.ACTIVE,
        done_by_person=lambda walk: walk.photo("a.png", 1) and None,
    ),
    Way(
        "folder lost",
        SERVICE,
        folder_lost_after_registration,
        (RESUME,),
        State.ACTIVE,
        done_by_person=lambda walk: walk.photo("a.png", 1) and None,
    ),
    Way(
        "key changed",
        SERVICE,
        key_changed,
        (RESUME,),
        State.EXPORTED,
        done_by_person=lambda walk: walk.set("CONNECTIONS__CAMPAIGN_API__SECRET", ADMIN[1]),
    ),
    Way("label deleted", SHELF, labels_on_platform(), (RESUME,), State.EXPORTED, restore_labels),
    Way("label renamed", SHELF, labels_on_platform("ship", "other"), (RESUME,), State.EXPORTED, restore_labels),
    Way("campaign deleted", SHELF, campaign_deleted, (CANCEL,), State.CANCELLED),
    Way("task deleted", SHELF, task_deleted, (RESUME,), State.EXPORTED, ends=labeled_on_shelf_and_swept),
    Way(
        "images failed",
        SHELF,
        images_failed,
        (f"{FAILED} --leave-out",),
        State.EXPORTED,
        ends=Walk.sweep,
    ),
    Way("images failed, sent again", SHELF, images_failed, (f"{FAILED} --resend",), State.ACTIVE),
    Way(
        "every image skipped",
        SHELF,
        every_image_skipped,
        (RESUME,),
        State.EXPORTED,
        done_by_person=lambda walk: walk.kept.excluded.clear(),
        ends=labeled_on_shelf_and_swept,
    ),
    Way("label added", SERVICE, label_added_on_the_platform, (CHANGE, RESUME), State.EXPORTED, add_label_to_file),
    Way("project deleted in CVAT", CVAT, project_deleted_in_cvat, (CANCEL,), State.CANCELLED),
    Way("ledger lost, in CVAT", CVAT, ledger_lost, (ADOPT,), State.EXPORTED, ends=labeled_in_cvat_and_swept),
    Way("task deleted in CVAT", CVAT, task_deleted_in_cvat, (RESUME,), State.EXPORTED, ends=labeled_in_cvat_and_swept),
    Way("label renamed in CVAT", CVAT, label_renamed_in_cvat, (RESUME,), State.EXPORTED, rename_label_in_cvat),
    Way("project deleted in Label Studio", STUDIO, project_deleted_in_label_studio, (CANCEL,), State.CANCELLED),
    Way(
        "ledger lost, in Label Studio",
        STUDIO,
        ledger_lost,
        (ADOPT,),
        State.EXPORTED,
        ends=labeled_in_label_studio_and_swept,
    ),
    Way(
        "label renamed in Label Studio",
        STUDIO,
        label_renamed_in_label_studio,
        (RESUME,),
        State.EXPORTED,
        rename_label_in_label_studio,
    ),
    Way("other sizes", SHELF, other_sizes, (CANCEL,), State.CANCELLED),
    Way("foreign images", SHELF, foreign_images, (RESUME,), State.ACTIVE, remove_foreign),
    Way("restarts used up", SHELF, launch_breaks_off_again_and_again, (RESUME,), State.ACTIVE),
]

PLACES = {
    ("tasks/attention.py", "asking_for_attention"): "forbidden geometry",
    ("tasks/campaign/progress.py", "_handle_early_close"): "completed by hand",
    ("tasks/campaign/progress.py", "_move"): "task deleted",
    ("tasks/export/checks.py", "_refuse_lost_images"): "task deleted",
    ("tasks/sweep/refresh.py", "_handle_failure"): "campaign deleted",
    ("tasks/sweep/restarts.py", "due_work"): "restarts used up",
}
"""Where the code asks for attention, and a row that comes from there or says the same."""


@pytest.fixture
def walk_on(tmp_path, monkeypatch) -> Iterator[Callable[[str], Walk]]:
    """Starts a walk on the embedded service, on a shelf, or on the stand-in for CVAT or Label Studio."""
    run_as_functions(monkeypatch)
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    STORES[f"memory:{tmp_path}"] = Store()
    with ExitStack() as servers:

        def start(platform: str) -> Walk:
            walk, home = Walk(tmp_path, platform, monkeypatch), private_folder(tmp_path / "home")
            walk.set("HOME", str(home))
            connection = {"URL": f"memory:{tmp_path}", "KEY": "good"}
            if platform == SERVICE:
                config = ServiceConfig(data_dir=home / "service", admin_key=ADMIN[0], admin_secret=ADMIN[1])
                url = f"{servers.enter_context(serving(config))}/api/v1"
                connection = {"URL": url, "KEY": ADMIN[0], "SECRET": ADMIN[1]}
            elif platform == CVAT:
                walk.cvat = servers.enter_context(FakeCvat("requests"))
                connection = {"URL": walk.cvat.url, "KEY": "requester", "SECRET": "requester-password"}
                walk.write(labeler="labeler1@example.com", options={"organization": "acme"})
            elif platform == STUDIO:
                forget_logins()
                walk.studio = servers.enter_context(FakeLabelStudio())
                connection = {"URL": walk.studio.url, "KEY": walk.studio.pat}
            for name, value in connection.items():
                walk.set(f"CONNECTIONS__{platform.upper()}__{name}", value)
            return walk

        yield start
    forget_settings()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_the_command_that_a_reason_names_leads_on(walk_on, way):
    walk = walk_on(way.platform)
    way.happens(walk)
    named = COMMAND.findall(walk.reason)
    assert [command for command in way.names if command in named] == list(way.names), walk.reason
    way.done_by_person(walk)
    for command in way.names:
        walk.run(command)
    way.ends(walk)
    assert walk.record.state is way.leads_to, walk.record


@pytest.mark.parametrize(
    "error",
    [
        NotDelivered("page 3 was not read"),
        SpoolDamaged("page 3 is damaged"),
        ContentMismatch("a.png has other bytes than were hashed"),
        UnsafeDataset("the dataset's folder is a link"),
        PlatformRefused("campaign_api", "finish", message="ask its operator"),
        SourceError("The manifest 'list.csv' cannot be read at line 3. Correct that line."),
        LedgerError("the ledger holds another outcome"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_refusal_without_a_command_is_resumed(walk_on, error):
    walk = walk_on(SERVICE)
    walk.launch()
    walk.label()
    sweep_campaigns(go_on="no")
    with pytest.raises(type(error)), campaign_lock("river", "finish"):
        raise error
    assert COMMAND.findall(walk.reason) == [RESUME]
    walk.run(RESUME)
    assert walk.record.state is State.EXPORTED


def test_a_cancelled_campaign_goes_on_after_all(walk_on):
    walk = walk_on(SERVICE)
    walk.launch()
    walk.run(CANCEL)
    with pytest.raises(CampaignChanged) as refusal:
        walk.run(f"labelwright launch {walk.file}")
    assert COMMAND.findall(str(refusal.value)) == [FORGET.removesuffix(" --force"), ADOPT]
    for command in COMMAND.findall(str(refusal.value)):
        walk.run(command)
    labeled_and_swept(walk)
    assert walk.record.state is State.EXPORTED


def test_every_place_that_asks_for_attention_has_a_row():
    assert set(places_that_ask()) == set(PLACES)
    assert set(PLACES.values()) <= {way.name for way in WAYS}


def places_that_ask() -> Iterator[tuple[str, str]]:
    for folder in ("tasks", "flows", "src"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if "ask_for_attention" not in text and "NEEDS_ATTENTION" not in text:
                continue
            for function in ast.walk(ast.parse(text)):
                if isinstance(function, ast.FunctionDef) and any(map(_asks, ast.walk(function))):
                    yield str(path.relative_to(ROOT)), function.name


def _asks(node: ast.AST) -> bool:
    """Whether it is a call of ask_for_attention, or of its function."""
    if not isinstance(node, ast.Call):
        return False
    called = node.func.value if isinstance(node.func, ast.Attribute) and node.func.attr == "fn" else node.func
    return isinstance(called, ast.Name) and called.id == "ask_for_attention"
