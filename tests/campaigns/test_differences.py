"""What of a campaign file may change after the launch, and what is refused with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from labelwright.campaigns.differences import differences
from labelwright.campaigns.spec import CampaignSpec, validate_spec

LABELS: list[dict[str, Any]] = [
    {"name": "boat", "geometry": "box", "attributes": [{"name": "kind", "values": ["sail", "motor"]}]},
    {"name": "buoy", "geometry": "polygon"},
]


def spec(labels: Any = LABELS, **fields: Any) -> CampaignSpec:
    document = {"title": "river", "images": {"folder": "/x"}, "labels": labels, "labeler": "a@b.c", **fields}
    return validate_spec(document, "test")


def boat(**fields: Any) -> list[dict[str, Any]]:
    return [{**LABELS[0], **fields}, LABELS[1]]


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (spec([*LABELS, "sail"]), "label 'sail' added"),
        (spec(boat(geometry="any")), "label 'boat': geometry box -> any"),
        (spec(boat(color="#00ff00")), "label 'boat': colour none -> #00ff00"),
        (spec(boat(translations={"nl": "boot"})), "label 'boat': translations changed"),
        (spec(boat(attributes=[*LABELS[0]["attributes"], {"name": "size"}])), "label 'boat': attribute 'size' added"),
        (
            spec(boat(attributes=[{"name": "kind", "values": ["sail", "motor", "rowing"]}])),
            "label 'boat': attribute 'kind' changed",
        ),
        (spec(boat(attributes=[{"name": "kind"}])), "label 'boat': attribute 'kind' changed"),
        (spec(instructions="Everything"), "instructions changed"),
        (spec(deadline="2030-01-01"), "deadline changed"),
        (spec(labeler="d@e.f"), "labeler changed"),
        (spec(metadata={"river": "Waal"}), "metadata changed"),
        (spec(export={"folder": "/y"}), "export changed"),
    ],
)
def test_a_safe_change_is_not_refused(after, text):
    (difference,) = differences(spec(), after)
    assert (difference.text, difference.refusal) == (text, "")


@pytest.mark.parametrize(
    ("after", "text", "refusal"),
    [
        (spec([LABELS[0]]), "label 'buoy' is not in the file", "shapes that are drawn with it would be lost"),
        (spec([LABELS[0], "float"]), "label 'buoy' is not in the file (renamed to 'float'?)", "a translation"),
        (spec(boat(geometry="polygon")), "geometry box -> polygon", "drawn as box would be refused"),
        (spec(LABELS[::-1]), "the order of the labels changed", "add labels at the end"),
        (spec(["sail", *LABELS]), "the order of the labels changed", "add labels at the end"),
        (spec(boat(parent="buoy")), "parent none -> buoy", "mean something else"),
        (spec(boat(attributes=[])), "attribute 'kind' is not in the file", "its values would be lost"),
        (spec(boat(attributes=[{"name": "kind", "values": ["sail"]}])), "no longer takes 'motor'", "Keep them"),
        (spec(images={"folder": "/y"}), "images changed", "another title"),
        (spec(platform="cvat", connection="campaign_api"), "platform changed", "another title"),
        (spec(options={"page_size": 3}), "options changed", "another title"),
    ],
)
def test_an_unsafe_change_is_refused_with_what_to_do_instead(after, text, refusal):
    refused = [difference for difference in differences(spec(), after) if difference.refusal]
    assert len(refused) == 1
    assert text in refused[0].text
    assert refusal in refused[0].refusal


def test_an_attribute_of_free_text_does_not_become_a_choice():
    free, choice = spec(boat(attributes=[{"name": "kind"}])), spec()
    assert "no longer takes free text" in differences(free, choice)[0].text


def test_equal_campaigns_have_no_differences():
    assert differences(spec(), spec()) == []


@pytest.mark.parametrize(("before", "after", "fields"), [(100, 134.217728, []), (99, 134.217728, ["images"])])
def test_the_default_that_grew_is_no_difference(before, after, fields):
    old, new = (spec(images={"folder": "/photos", "max_megabytes": megabytes}) for megabytes in (before, after))
    assert [difference.field for difference in differences(old, new)] == fields
