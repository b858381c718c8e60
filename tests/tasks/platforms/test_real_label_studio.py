"""Campaigns on a real Label Studio server: `pytest -m real_label_studio`. The first run installs it (1 GB)."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from labelwright.campaigns.spec import CampaignSpec, validate_spec
from labelwright.domain import (
    Annotation,
    Attribute,
    Box,
    Geometry,
    ImageState,
    Label,
    LabelSchema,
    Mask,
    Polygon,
    Size,
    State,
    WholeImage,
)
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.platforms import PlatformUnavailable
from labelwright.platforms.http.logins import forget_logins
from labelwright.platforms.label_studio.adapter import LabelStudio, Options
from labelwright.platforms.label_studio.annotations import to_result
from labelwright.platforms.label_studio.label_config import label_config, read_config
from labelwright.platforms.protocol import CampaignOrder, RemoteState, Secret
from labelwright.settings import forget_settings
from labelwright.tasks.context import CampaignContext, the_ledger
from tests.platforms.contract import NAMES, all_labels, to_send, unique
from tests.platforms.label_studio.real_server import VERSION, RealLabelStudio
from tests.platforms.proxy import FaultProxy, Request
from tests.sdk_environments import python_with
from tests.tasks.without_prefect import run_as_functions

pytestmark = pytest.mark.real_label_studio

IMAGES = 60
FORMATS = (("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP"), ("bmp", "BMP"), ("gif", "GIF"))
ODD_NAMES = (
    "Straße – über 1",
    "дно 100%",
    "a#b?c&d",
    'it\'s "quoted"',
    "x+y=z",
    "日本",
    "e\u0301te",
    "two..dots",
    "a" * 120,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealLabelStudio]:
    temporary = tmp_path_factory.getbasetemp().parent
    python = python_with("label-studio", f"label-studio=={VERSION}", temporary)
    server = RealLabelStudio(python, tmp_path_factory.mktemp("label-studio"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def token(server: RealLabelStudio) -> str:
    return server.personal_access_token()


@pytest.fixture
def connect(tmp_path: Path, token: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Connects this process with an address of the server."""

    def connect(url: str) -> None:
        monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__LABEL_STUDIO__URL", url)
        forget_settings()

    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__LABEL_STUDIO__KEY", token)
    run_as_functions(monkeypatch)
    forget_logins()
    yield connect
    forget_settings()
    forget_logins()


def photographs(folder: Path) -> None:
    """60 files of five formats, names that need care, and every orientation."""
    (folder / "second").mkdir(parents=True)
    for number in range(IMAGES):
        extension, kind = FORMATS[number % len(FORMATS)]
        stem = ODD_NAMES[number // 2] if number < 2 * len(ODD_NAMES) else f"photo {number}"
        target = folder / ("second" if number % 2 else "") / f"{stem}.{extension}"
        picture = Image.new("RGB", (80, 60), (number * 4, 255 - number * 4, 9))
        exif = Image.Exif()
        exif[0x0112] = number % 8 + 1 if kind == "JPEG" else 1
        picture.save(target, kind, **({"exif": exif} if kind == "JPEG" else {}))


def campaign(title: str, tmp_path: Path) -> CampaignSpec:
    return validate_spec(
        {
            "title": title,
            "platform": "label_studio",
            "images": {"folder": str(tmp_path / "photos")},
            "labels": [{"name": "boat", "attributes": [{"name": "kind", "values": ["sail", "motor"]}]}, "buoy"],
            "labeler": "owner@example.com",
            "options": {"images_per_batch": 25},
            "export": {"folder": str(tmp_path / "datasets")},
        },
        "campaign.yaml",
    )


def until_it_works(call: Callable[[], Any]) -> Any:
    """As the retry policy of tasks does."""
    for pause in (1, 2, 4, 8, 16, 30, 60):
        try:
            return call()
        except PlatformUnavailable:
            time.sleep(pause)
    return call()


def adapter_of(title: str) -> tuple[LabelStudio, str]:
    context = CampaignContext(title)
    assert isinstance(context.platform, LabelStudio)
    return context.platform, context.remote_id


def label(title: str) -> dict[str, list[Annotation]]:
    """Submits what the page would: boxes in percent of the displayed size. Every seventh image is empty, every eleventh
    skipped. Returns the annotations of the labeled images."""
    platform, project = adapter_of(title)
    config = read_config(label_config(CampaignContext(title).spec.schema_of_labels()))
    dice, submitted = random.Random(title), dict[str, list[Annotation]]()
    for number, image in enumerate(platform.list_campaign_images(project)):
        left, top = dice.uniform(0, image.width / 2), dice.uniform(0, image.height / 2)
        box = Box(left, top, left + dice.uniform(1, image.width / 2), top + dice.uniform(1, image.height / 2))
        boat = Annotation("boat", box, attributes={"kind": dice.choice(["sail", "motor"])})
        annotations = [] if number % 7 == 3 else [boat, Annotation("buoy", Box(0, 0, 5, 5))]
        result = [
            {**region, "origin": "manual"} for region in to_result(annotations, Size(image.width, image.height), config)
        ]
        payload = {"result": result, "lead_time": 4.2, "was_cancelled": number % 11 == 5}
        path = f"/api/tasks/{image.id}/annotations/"
        until_it_works(
            lambda path=path, payload=payload: platform.server.client.call("label", "POST", path, json=payload)
        )
        if number % 11 != 5:
            submitted[image.name] = annotations
    return submitted


def exported(folder: Path, title: str) -> dict[str, list[tuple[str, tuple[float, ...], str]]]:
    """Label, box and kind of every object, by image."""
    coco = json.loads((folder / f"{title}_labels" / "v1" / f"{title}_coco.json").read_text())
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    labels = {category["id"]: category["name"] for category in coco["categories"]}
    objects: dict[str, list[tuple[str, tuple[float, ...], str]]] = {name: [] for name in names.values()}
    for item in coco["annotations"]:
        box = tuple(round(value, 3) for value in item["bbox"])
        kind = item.get("attributes", {}).get("kind", "")
        objects[names[item["image_id"]]].append((labels[item["category_id"]], box, kind))
    return objects


def expected(submitted: dict[str, list[Annotation]]) -> dict[str, list[tuple[str, tuple[float, ...], str]]]:
    def row(item: Annotation) -> tuple[str, tuple[float, ...], str]:
        box = item.shape.box
        assert box is not None
        corners = (box.xmin, box.ymin, box.width, box.height)
        return item.label, tuple(round(value, 3) for value in corners), item.attributes.get("kind", "")

    return {name: [row(item) for item in annotations] for name, annotations in submitted.items()}


def test_two_campaigns_at_once_become_datasets_object_by_object(
    server: RealLabelStudio, connect: Callable[[str], None], tmp_path: Path
) -> None:
    connect(server.url)
    photographs(tmp_path / "photos")
    titles = (unique("river"), unique("lake"))
    with ThreadPoolExecutor(2) as pool:
        for launched in [
            pool.submit(until_it_works, lambda title=title: launch_campaign(campaign(title, tmp_path)))
            for title in titles
        ]:
            launched.result()
    submitted = {title: label(title) for title in titles}
    assert until_it_works(sweep_campaigns) == dict.fromkeys(titles, "exported")
    for title in titles:
        assert exported(tmp_path / "datasets", title) == expected(submitted[title])
        receipt = json.loads((tmp_path / "datasets" / f"{title}_labels" / "v1" / "receipt.json").read_text())
        skipped = IMAGES - len(submitted[title])
        assert receipt["excluded"]["by_state"] == {"skipped": skipped}
        platform, project = adapter_of(title)
        assert receipt["campaign"]["snapshot"] == dict(platform.snapshot(project))
        assert len(receipt["campaign"]["snapshot"]["md5"]) == 32
        assert [image.name for image in platform.list_campaign_images(project)] == sorted(
            {image.name for image in platform.list_campaign_images(project)}, key=lambda name: _position(title, name)
        )


def _position(title: str, name: str) -> int:
    entry = the_ledger().manifests.find(title, name)
    assert entry is not None
    return entry.position


@pytest.mark.parametrize("delay", [0.0, 0.08], ids=["before the import", "during the import"])
def test_a_server_that_is_killed_in_an_import_holds_every_image_once(
    server: RealLabelStudio, connect: Callable[[str], None], tmp_path: Path, delay: float
) -> None:
    imports: list[Request] = []

    def kill(request: Request) -> None:
        if request.method == "POST" and "return_task_ids" in request.path:
            imports.append(request)
            if len(imports) == 2:
                threading.Timer(delay, server.kill).start() if delay else server.kill()

    photographs(tmp_path / "photos")
    title = unique("sea")
    with FaultProxy(("127.0.0.1", server.port), before_forward=kill) as proxy:
        connect(proxy.url)
        with pytest.raises(PlatformUnavailable):
            launch_campaign(campaign(title, tmp_path))
        server.kill()
        server.start()
        until_it_works(lambda: launch_campaign(campaign(title, tmp_path)))
        platform, project = adapter_of(title)
        names = [image.name for image in platform.list_campaign_images(project)]
        assert len(names) == len(set(names)) == IMAGES
        assert the_ledger().campaigns.get(title).state is State.ACTIVE


def test_every_ability_of_the_adapter(server: RealLabelStudio, token: str) -> None:
    platform = LabelStudio(server.url, Secret(token), Options(masks=True, labels_page=2, page_size=2))
    assert platform.check().startswith(f"Label Studio {VERSION}")
    schema = LabelSchema(
        (
            Label("boat", Geometry.BOX, attributes=(Attribute("kind", ("sail", "motor")), Attribute("name"))),
            Label('Söhne & "x" <y>', Geometry.ANY, color="#e69f00"),
            Label("night", Geometry.IMAGE, attributes=(Attribute("moon", ("full", "half")),)),
        )
    )
    annotations = [
        Annotation("boat", Box(1, 2.5, 11, 12), attributes={"kind": "sail", "name": "Anna"}),
        Annotation('Söhne & "x" <y>', Polygon(((1, 1), (9, 1), (5, 8)))),
        Annotation('Söhne & "x" <y>', Mask(((3, 4, 9), (4, 4, 10)))),
        Annotation("night", WholeImage(), attributes={"moon": "half"}),
    ]
    order = CampaignOrder(
        unique("Донау & Söhne #1? a title of more than fifty characters"), schema, "a@b.c", "All <b>\nof it"
    )
    project = platform.create_campaign(order).id
    found = platform.find_campaign(order.title)
    assert found is not None
    assert (found.id, found.title) == (project, order.title)
    for _ in range(2):
        platform.send_images(project, 1, [to_send(name) for name in NAMES])
    ids = {image.name: image.id for image in platform.list_campaign_images(project)}
    assert list(ids) == list(NAMES)
    platform.withdraw_images(project, [ids.pop(NAMES[4])])
    platform.activate_campaign(project)
    assert set(platform.list_labels(project).names) == set(schema.names)

    config, client = read_config(label_config(schema, masks=True)), platform.server.client
    first, second, third, fourth = ids.values()
    result = to_result(annotations, Size(40, 30), config)
    client.call("label", "POST", f"/api/tasks/{first}/annotations/", json={"result": result, "lead_time": 3.5})
    client.call("label", "POST", f"/api/tasks/{second}/annotations/", json={"result": []})
    client.call("label", "POST", f"/api/tasks/{third}/drafts", json={"result": result})
    states = {image.id: image.state for image in platform.list_unlabeled_images(project)}
    assert states == {third: ImageState.DRAFT, fourth: ImageState.NOT_LABELED}
    labeled = {image.remote_id: image for image in all_labels(platform, project)}
    assert list(labeled[first].annotations) == annotations
    assert labeled[first].annotations[0].labeler == "owner@example.com"
    assert labeled[second].state is ImageState.EMPTY
    for image, cancelled in ((third, False), (fourth, True)):
        payload = {"result": [], "was_cancelled": cancelled}
        client.call("label", "POST", f"/api/tasks/{image}/annotations/", json=payload)
    assert (platform.read_campaign(project).state, platform.read_campaign(project).skipped) == (
        RemoteState.COMPLETED,
        1,
    )

    for _ in range(2):
        platform.finish_campaign(project)
    assert platform.read_campaign(project).state is RemoteState.FINISHED
    for _ in range(2):
        platform.reopen_images(project, {first: "the mast is missing"}, "call 1")
    assert (platform.read_campaign(project).state, platform.read_campaign(project).done) == (RemoteState.ACTIVE, 3)
    client.call("label", "POST", f"/api/tasks/{first}/annotations/", json={"result": result})
    platform.reopen_campaign(project)
    assert platform.read_campaign(project).done == 0
    more = LabelSchema((*schema, Label("glass")))
    platform.change_campaign(project, CampaignOrder(order.title, more, "a@b.c", "More"))
    assert set(platform.list_labels(project).names) == set(more.names)
    for _ in range(2):
        platform.delete_campaign(project)
    assert platform.find_campaign(order.title) is None
