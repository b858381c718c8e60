"""What a platform cannot show to labelers is refused before anything is sent, with what to write instead."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from labelwright.campaigns.spec import CampaignSpec, stored_spec
from labelwright.campaigns.unsupported import (
    Unsupported,
    _attribute_losses,
    reasons_to_refuse,
    refuse_unsupported,
    unsupported_in,
)
from labelwright.domain import Attribute, Label, LabelSchema
from labelwright.ledger import Ledger
from labelwright.platforms.registry import PLATFORMS

EVERYTHING = [
    {"name": "boat", "color": "#e69f00", "translations": {"nl": "boot"}},
    {
        "name": "sail",
        "parent": "boat",
        "attributes": [{"name": "colour", "values": ["white", "red"], "default": "red"}, {"name": "number"}],
    },
]


def spec(platform: str, labels: object = EVERYTHING, **fields: object) -> CampaignSpec:
    document = {"title": "river", "platform": platform, "images": {"folder": "x"}, "labels": labels, "labeler": "a@b.c"}
    return CampaignSpec.model_validate(document | {"instructions": "Boats only."} | fields)


def test_the_campaign_api_shows_everything():
    assert reasons_to_refuse(spec("campaign_api")) == []


@pytest.mark.parametrize(
    ("platform", "losses"),
    [
        (
            "cvat",
            [
                "label 'boat': CVAT shows one name of a label. Remove its translations, and name the label in the "
                "language of its labelers",
                "label 'sail': CVAT has no hierarchy of labels. Remove 'parent: boat'",
            ],
        ),
        (
            "remo",
            [
                "label 'boat': Remo chooses the colours of labels itself. Remove 'color: \"#e69f00\"'",
                "label 'boat': Remo shows one name of a label. Remove its translations, and name the label in the "
                "language of its labelers",
                "label 'sail', attribute 'colour': Remo has no attributes. Remove it, or make a label of each value",
                "label 'sail', attribute 'number': Remo has no attributes. Remove it, or make a label of each value",
                "label 'sail': Remo has no hierarchy of labels. Remove 'parent: boat'",
                "instructions: Remo has no place for them. Send them to the labelers yourself and remove them",
            ],
        ),
        (
            "scale",
            [
                "label 'boat': Scale AI lets labelers choose only labels without others below. Remove the 'parent' of "
                "those",
                "label 'boat': Scale AI chooses the colours of labels itself. Remove 'color: \"#e69f00\"'",
                "label 'boat': Scale AI shows one name of a label. Remove its translations, and name the label in the "
                "language of its labelers",
                "label 'sail', attribute 'colour': Scale AI fills in no default. Remove 'default: red'",
            ],
        ),
        (
            "geti",
            [
                "label 'boat': Geti shows one name of a label. Remove its translations, and name the label in the "
                "language of its labelers",
                "label 'sail', attribute 'colour': Geti has no attributes. Remove it, or make a label of each value",
                "label 'sail', attribute 'number': Geti has no attributes. Remove it, or make a label of each value",
                "instructions: Geti has no place for them. Send them to the labelers yourself and remove them",
            ],
        ),
    ],
)
def test_everything_that_is_lost_is_listed_and_can_be_ignored(platform, losses):
    assert unsupported_in(spec(platform)) == losses
    with pytest.raises(Unsupported) as refused:
        refuse_unsupported(spec(platform))
    assert str(refused.value).splitlines() == [
        f"{loss}, or write 'on_unsupported: ignore' to launch without it" for loss in losses
    ]
    refuse_unsupported(spec(platform, on_unsupported="ignore"))


@pytest.mark.parametrize("platform", ["scale", "geti"])
def test_a_parent_of_another_geometry_is_refused(platform):
    labels = [{"name": "boat"}, {"name": "sail", "parent": "boat", "geometry": "polygon"}]
    message = "label 'sail': .* has no hierarchy between labels of different geometries. Remove 'parent: boat'"
    with pytest.raises(Unsupported, match=message):
        refuse_unsupported(spec(platform, labels))


@pytest.mark.parametrize(
    ("platform", "geometries", "message"),
    [
        ("remo", ("box", "polygon"), "labels: Remo cannot take them: the labels need box, polygon at once"),
        ("scale", ("box", "image"), "labels: Scale AI cannot take them: labels of whole images and labels of objects"),
        ("geti", ("polygon", "image"), "labels: Geti cannot take them: no kind of project takes labels of the geom"),
    ],
)
def test_labels_that_no_campaign_can_have_are_refused_even_when_losses_are_ignored(platform, geometries, message):
    labels = [{"name": geometry, "geometry": geometry} for geometry in geometries]
    with pytest.raises(Unsupported, match=message):
        refuse_unsupported(spec(platform, labels, instructions="", on_unsupported="ignore"))


def test_options_of_the_platform_decide_about_geometries():
    labels = [{"name": "boat"}, {"name": "sail", "geometry": "any"}]
    plain = {"instructions": "", "options": {}}
    assert "no kind of project" in reasons_to_refuse(spec("geti", labels, **plain))[0]
    plain["options"] = {"kind": "detection to segmentation"}
    assert reasons_to_refuse(spec("geti", labels, **plain)) == []


def test_a_required_answer_is_refused_where_it_cannot_be_required():
    @dataclass(frozen=True)
    class Required(Attribute):
        required: bool = True

    label = Label("boat", attributes=(Required("colour", ("red",)),))
    lost = list(_attribute_losses("CVAT", PLATFORMS["cvat"].labels, label, LabelSchema((label,))))
    assert lost == [", attribute 'colour': CVAT cannot require an answer. Remove 'required: true'"]
    assert not list(_attribute_losses("it", PLATFORMS["campaign_api"].labels, label, LabelSchema((label,))))


def test_a_campaign_in_the_ledger_goes_on_as_it_was_launched(tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    document = spec("remo").model_dump(mode="json")
    del document["on_unsupported"]  # as stored by an earlier version
    record = ledger.campaigns.add("river", document)
    refuse_unsupported(stored_spec(document), record)
    with pytest.raises(Unsupported):
        refuse_unsupported(spec("remo", labeler="other@b.c"), record)
    ledger.manifests.complete("river", ledger.manifests.begin("river"))
    refuse_unsupported(spec("remo", labeler="other@b.c"), ledger.campaigns.get("river"))
    ledger.close()
