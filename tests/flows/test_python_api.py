"""The Python API: a script, somebody else's flow, and a notebook."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.runtime import flow_run

import labelwright
from labelwright.api import Campaign, Dataset, campaigns, datasets
from labelwright.campaigns.labeler_keys import LabelerKeys
from labelwright.campaigns.yaml_loader import SpecError
from labelwright.domain.errors import CannotRun, NothingDone
from labelwright.ledger import UnknownCampaign
from labelwright.settings import settings
from labelwright.tasks.campaign.lifecycle import NotLabeledYet
from labelwright.tasks.campaign.waiting import LabelsLate
from labelwright.tasks.context import the_ledger
from tests.sdk_environments import python_with

from . import partner
from .conftest import make_photos
from .prefect_api import post

pytestmark = pytest.mark.usefixtures("plain_flows")


@pytest.fixture
def river(service, tmp_path) -> Campaign:
    make_photos(tmp_path / "photos", 7)
    return Campaign(
        title="river",
        images={"folder": tmp_path / "photos"},
        labels=[{"name": "boat", "geometry": "any"}, "buoy"],
        labeler="partner@example.com",
        export={"folder": tmp_path / "datasets", "formats": ["csv", "coco"]},
    )


def label(campaign: Campaign, at_most: int | None = None) -> int:
    access = LabelerKeys(settings().home).find("campaign_api", "partner@example.com")
    remote_id = the_ledger().campaigns.get(campaign.title).remote_id
    assert access is not None
    assert remote_id is not None
    return partner.label(settings().connection("campaign_api").url or "", remote_id, access, at_most)


def test_a_script_goes_from_a_folder_to_datasets(river, tmp_path):
    plan = river.plan()
    assert (plan.images, plan.rejects, plan.refusal) == (7, [], "")
    assert river.launch() is river
    assert river.launch().status().state == "active", "a second run repeats nothing"
    assert label(river, 4) == 4
    with pytest.raises(LabelsLate, match="4 of 7 images are labeled"):
        river.wait(hours=0, look_every=0.1)
    status = river.status()
    assert (status.done, status.total, round(status.share, 2)) == (4, 7, 0.57)
    with pytest.raises(NotLabeledYet, match="4 of 7 images are ready"):
        river.deliver()
    first = {dataset.name: dataset for dataset in river.deliver(accept_partial=True)}
    assert first["river_labels"].version == "1"
    label(river)
    images, labels = sorted(river.wait(hours=0.1, look_every=0.1), key=lambda dataset: dataset.name)
    assert (labels.name, labels.version, labels.newest, river.status().state) == ("river_labels", "2", True, "exported")
    coco = labels.to_coco()
    table = labels.to_dataframe()
    assert len(coco["annotations"]) == (table["label"] == "boat").sum() == 8
    assert labels.to_coco("pycocotools").getAnnIds() == [one["id"] for one in coco["annotations"]]
    assert len(images.to_dataframe()) == 7
    assert sorted(image.path.name for image in labels.images()) == sorted(
        path.name for path in (tmp_path / "photos").iterdir()
    )
    assert [image.read()[:2] for image in labels.images()] == [b"\xff\xd8"] * 7
    changes = labels.diff()
    assert changes.differs
    assert changes.to_dict()["images"]["only in the second"] == 3
    assert not labels.diff(labels).differs
    assert labels.lineage(1)["found"][0]["campaign"] == "river"
    assert labels.receipt["campaign"]["title"] == "river"
    assert labels.verify()
    with (Path(labels.location) / "river_coco.json").open("ab") as file:
        file.write(b" ")
    assert labels.verify().wrong
    with pytest.raises(CannotRun, match=r"river_images.*dataset of images"):
        images.to_coco()
    first_image = next(iter(labels.images()))
    assert first_image.path is not None
    first_image.path.write_bytes(b"other")
    with pytest.raises(CannotRun, match="was changed after it was labeled"):
        first_image.read()


def test_what_is_in_the_ledger_is_found_again(river):
    river.launch()
    label(river)
    river.wait(hours=0.1, look_every=0.1)
    assert [campaign.title for campaign in campaigns()] == ["river"]
    assert [(item.name, item.version) for item in datasets("river")[:1]] == [(datasets()[0].name, "1")]
    again = Campaign.open("river")
    assert again.datasets()[0].platform == "campaign_api"
    assert "reopened" in again.reopen(reason="the masts are missing") or again.status().state == "active"
    assert again.cancel() != ""
    with pytest.raises(CannotRun, match="cancelled"):
        again.resume()
    assert Dataset.open("river_labels", 1).version == "1"
    with pytest.raises(CannotRun, match="no version before 1"):
        Dataset.open("river_labels").diff()
    for thing in (again, again.status(), campaigns(), datasets(), datasets()[0]):
        html = thing._repr_html_()
        assert html.startswith("<table>")
        assert "river" in html


def test_faults_are_exceptions_with_the_messages_of_the_commands(river, tmp_path):
    with pytest.raises(SpecError, match=r"(?s)labels.*labeler"):
        Campaign(title="x", images={"folder": "photos"})
    with pytest.raises(UnknownCampaign):
        Campaign.open("nothing")
    with pytest.raises(CannotRun, match="there is no dataset"):
        Dataset.open("nothing_labels")
    river.launch()
    with pytest.raises(NothingDone):
        river.resume()
    moved = Campaign.from_yaml(write_yaml(tmp_path / "river.yaml"))
    with pytest.raises(CannotRun, match="there is no folder"):
        moved.launch()


def write_yaml(path: Path) -> Path:
    path.write_text(
        "title: lake\nimages: {folder: gone}\nlabels: [boat]\nlabeler: partner@example.com\n", encoding="utf-8"
    )
    return path


def test_markup_in_a_title_is_shown_as_text(service, tmp_path):
    campaign = Campaign(title="<b>x", images={"folder": tmp_path}, labels=["boat"], labeler="partner@example.com")
    assert "<b>x" not in campaign._repr_html_().replace("<b>&lt;b&gt;x</b>", "")


def test_within_a_flow_of_somebody_else_our_flows_are_subflows(prefect_server, river):
    ids: list[str] = []

    @flow
    def train() -> int:
        ids.append(flow_run.get_id())
        river.launch()
        label(river)
        labels = {item.name: item for item in river.wait(hours=0.1, look_every=0.1)}["river_labels"]
        return len(labels.to_coco()["annotations"])

    assert train() == 8
    subflows = post("/flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": ids}}})
    assert {"launch river", "run river"} <= {run["name"] for run in subflows}


@pytest.mark.parametrize("name", labelwright.__all__)
def test_every_public_name_is_there(name):
    assert getattr(labelwright, name) is not None
    assert name in dir(labelwright)


CELLS = [
    "from labelwright.api import Campaign, campaigns, datasets",
    "river = Campaign(title='river', images={{'folder': {photos!r}}}, labels=['boat'], labeler='partner@example.com',"
    " export={{'folder': {output!r}}})",
    "river.plan()",
    "river.launch()",
    "river.status()",
    "campaigns()",
]


@pytest.mark.sdk
def test_a_notebook_launches_a_campaign(service, home, tmp_path):
    """Run by nbclient in a kernel with a running event loop; Prefect's server is a temporary one."""
    python = python_with("nbclient-0.10.4", "nbclient==0.10.4", tmp_path, "ipykernel", "nbformat")
    purelib = sysconfig.get_paths()["purelib"]
    (site_packages,) = python.parent.parent.glob("lib/python*/site-packages")
    (site_packages / "labelwright-of-the-tests.pth").write_text(f"import site; site.addsitedir({purelib!r})\n")
    make_photos(tmp_path / "photos", 3)
    values: dict[str, Any] = {
        "photos": str(tmp_path / "photos"),
        "output": str(tmp_path / "datasets"),
    }
    script = (
        "import json, sys, nbformat, nbclient\n"
        "book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in json.loads(sys.argv[1])])\n"
        "nbclient.NotebookClient(book, timeout=300, kernel_name='python3').execute()\n"
        "print(json.dumps([[o.get('data', {}) for o in cell.outputs] for cell in book.cells]))\n"
    )
    cells = json.dumps([cell.format(**values) for cell in CELLS])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [str(python), "-c", script, cells], capture_output=True, text=True, timeout=600, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-3000:]
    *_, plan, _, status, table = json.loads(done.stdout.splitlines()[-1])
    assert "3 images" in plan[0]["text/html"]
    assert "active" in status[-1]["text/html"]
    assert "river" in table[-1]["text/html"]
