"""What is wrong with a campaign file is said at once, with line and advice."""

from __future__ import annotations

import pytest

from labelwright.campaigns.spec import CampaignSpec, parse_spec, stored_spec
from labelwright.campaigns.unsupported import reasons_to_refuse
from labelwright.campaigns.yaml_loader import SpecError

HEAD = "title: t\nimages: {folder: p}\nlabeler: a@b.c\n"


def faults_of(text: str) -> list[str]:
    with pytest.raises(SpecError) as refused:
        parse_spec(text, "f.yaml")
    return str(refused.value).splitlines()


READ_AS = {
    "yes": "true",
    "no": "false",
    "on": "true",
    "Off": "false",
    "null": "nothing",
    "~": "nothing",
    "012": "a number",
    "0x1F": "a number",
    "1_000": "a number",
    "1.5e+3": "a number",
    "1:30": "a number",
    ".nan": "a number",
    "-1": "a number",
    "2026-12-18": "a date",
}
"""By text without quotes: what YAML reads."""


@pytest.mark.parametrize("text", READ_AS)
@pytest.mark.parametrize(
    ("template", "place"),
    [
        ("labels: [boat, {}]", "labels.1"),
        ("labels: [{{name: {}}}]", "labels.0.name"),
        ("labels: [{{name: a, attributes: [{{name: {}}}]}}]", "labels.0.attributes.0.name"),
        ("labels: [{{name: a, attributes: [{{name: a, values: [{}]}}]}}]", "labels.0.attributes.0.values.0"),
        ("labels: [{{name: a, translations: {{nl: {}}}}}]", "labels.0.translations.nl"),
        ("labels: [a]\ninstructions: {}", "instructions"),
    ],
)
def test_a_text_that_yaml_takes_for_something_else_is_named(text, template, place):
    line = 4 + template.count("\n")
    (fault,) = faults_of(HEAD + template.format(text) + "\n")
    assert fault == f'f.yaml, line {line}: {place}: YAML reads {text} as {READ_AS[text]}: put it in quotes: "{text}"'
    quoted = HEAD + template.format(f'"{text}"') + "\n"
    assert text in str(parse_spec(quoted).model_dump(mode="json"))


def test_keys_and_unusual_texts_are_what_is_written():
    spec = parse_spec(
        HEAD + "labels: [1e3, =, <<, {name: boat, translations: {no: båt, 012: x}}]\nmetadata: {2026: a}\n"
    )
    assert spec.schema_of_labels().names == ("1e3", "=", "<<", "boat")
    assert spec.labels[3].translations == {"no": "båt", "012": "x"}
    assert spec.metadata == {"2026": "a"}


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("labels: [@x]", "Put a text that begins with @"),
        ("labels: [*x]", "Put a text that begins with @"),
        ("labels: ['a]", "in double quotes"),
        ("labels:\n- a: b: c", "with a colon and a blank in quotes"),
        ("labels:\n\t- a", "not with tabs"),
        ("labels:\n- #1", "Put text that begins with # in quotes"),
    ],
)
def test_a_text_that_needs_quotes_is_advised(text, advice):
    (fault,) = faults_of(HEAD + text + "\n")
    assert fault.startswith("f.yaml, line ")
    assert advice in fault


TWINS = [
    ('labels: ["Möwe", "Mo\u0308we"]', "labels.1.name: label 'Mo\u0308we' is listed twice, in two spellings"),
    ('labels: [boat, "bo\u200bat"]', r"(boat and bo\u200bat)"),
    ("labels: [boat, buoy, boat]", "labels.2.name: label 'boat' is listed twice"),
    ("labels: [{name: a, attributes: [{name: b}, {name: b}]}]", "labels.0.attributes.1.name: label 'a': attribute 'b'"),
    ("labels: [{name: a, attributes: [{name: b, values: [c, c]}]}]", "attribute 'b': value 'c' is listed twice"),
    ('labels: ["a\\nb"]', r"labels.0.name: 'a\nb' holds a line break or another control character"),
    ('labels: ["a\\u2028b"]', r"'a\u2028b' holds a line break"),
    ('labels: [{name: a, translations: {nl: "b\\tc"}}]', r"labels.0.translations.nl: 'b\tc' holds"),
    ('labels: [{name: a, attributes: [{name: b, default: "c\\rd"}]}]', r"'c\rd' holds a line break"),
    ("labels: [{name: a, parent: b}, {name: b, parent: a}]", "label 'a' is its own ancestor"),
]


@pytest.mark.parametrize(("labels", "message"), TWINS)
def test_labels_that_cannot_be_told_apart_or_stored_are_refused(labels, message):
    faults = faults_of(HEAD + labels + "\n")
    assert any(message in fault for fault in faults), faults
    assert all(fault.startswith("f.yaml, line 4: ") for fault in faults)


def test_campaigns_in_the_ledger_keep_labels_that_are_refused_today():
    document = {"title": "t", "images": {"folder": "p"}, "labels": ["Möwe", "Mo\u0308we"], "labeler": "a@b.c"}
    assert len(stored_spec(document).labels) == 2
    with pytest.raises(ValueError, match="two spellings"):
        CampaignSpec.model_validate(document)


def test_paths_that_cannot_exist_are_faults_each_with_its_line():
    faults = faults_of(
        'title: t\nlabels: [a]\nlabeler: a@b.c\nimages:\n  files:\n    - ok.jpg\n    - "a\\0b"\n    - "c\\0d"\n'
        'export: {folder: "e\\0f"}\n'
    )
    nul = "its path has a NUL character in it, which no path can have"
    places = [(7, "images.files.1"), (8, "images.files.2"), (9, "export.folder")]
    assert faults == [f"f.yaml, line {line}: {place}: {nul}" for line, place in places]


def test_all_faults_of_a_file_are_listed_in_the_order_of_lines():
    faults = faults_of(
        """\
title: 2026-12-18
images: {folder: ./p, max_megapixels: many, manifest: x.csv}
labels:
  - yes
  - {name: boat, color: orange}
  - 012
  - boat
  - buoy
  - buoy
labeler: nobody
deadline: 2026-13-01
platform: campaign_api
platform: campaign_api
instructions: see https://h/x?sig=canary for more
extra: 1
export: {formats: [cocoa], split: {train: 1}}
"""
    )
    assert [fault.partition(": ")[0] for fault in faults] == [
        f"f.yaml, line {line}" for line in (1, 2, 2, 4, 5, 6, 7, 9, 10, 11, 13, 14, 15, 16, 16)
    ]
    text = "\n".join(faults)
    for part in (
        "title: YAML reads 2026-12-18",
        "images.max_megapixels",
        "given: folder and manifest",
        "labels.0: YAML reads yes as true",
        "labels.1.color",
        "labels.2: YAML reads 012",
        "label 'buoy' is listed twice",
        "'nobody' is not an e-mail address",
        "'2026-13-01' is not a valid date",
        "'platform' is listed twice",
        "instructions holds a URL with",
        "unknown key 'extra'",
        "unknown format 'cocoa'",
        "must add up to 100",
    ):
        assert part in text
    assert "canary" not in text


def test_faults_of_the_other_fields_of_an_invalid_group_are_listed_too():
    faults = faults_of(
        """\
title: t
images: {folder: p, prefix: x, strict: perhaps}
labeler: a@b.c
labels:
  - name: boat
    color: orange
    parent: ship
    attributes:
      - {name: flag, values: [nl, nl], required: perhaps}
      - {name: flag}
  - name: yes
    attributes: [{name: a, default: x, values: [y]}, 5]
  - {name: "bo\\u0061t"}
export:
  store: azure_ml
  formats: [coco]
  when: 200 %
  split: {by: group, train: 1, pattern: [x]}
"""
    )
    assert [fault.partition(": ")[0] for fault in faults] == [
        f"f.yaml, line {line}" for line in (2, 2, 6, 9, 9, 10, 11, 12, 12, 13, 14, 17, 18, 18, 18)
    ]
    text = "\n".join(faults)
    for part in (
        "a prefix belongs to a container",
        "value 'nl' is listed twice",
        "attribute 'flag' is listed twice",
        "label 'boat' is listed twice",
        "also needs these formats: csv, mltable",
        "must add up to 100",
        "by: group needs images.manifest",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("platform", "label", "reason"),
    [
        ("cvat", "x" * 65, "65 characters; at most 64, on CVAT"),
        ("campaign_api", "x" * 201, "201 characters; at most 200, on the campaign API"),
        ("campaign_api", "a\u00a0b", r"holds a character that cannot be printed (\xa0), on the campaign API"),
    ],
)
def test_plan_refuses_names_that_the_platform_does_not_store(platform, label, reason):
    document = {"title": "t", "platform": platform, "images": {"folder": "p"}, "labeler": "a@b.c"}
    spec = CampaignSpec.model_validate({**document, "labels": [label]})
    (refusal,) = reasons_to_refuse(spec)
    assert reason in refusal
    attribute = {"name": "a", "attributes": [{"name": label}]}
    assert len(reasons_to_refuse(CampaignSpec.model_validate({**document, "labels": [attribute]}))) == 1
    fitting = CampaignSpec.model_validate({**document, "labels": [label.replace("\u00a0", " ")[:64]]})
    assert reasons_to_refuse(fitting) == []
