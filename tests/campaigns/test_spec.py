"""A campaign is one YAML file."""

import json
import re
from datetime import UTC, datetime

import pytest

from labelwright.campaigns.spec import CampaignSpec, load_spec, parse_spec, stored_spec
from labelwright.campaigns.yaml_loader import SpecError, parse_document
from labelwright.domain import Geometry

WHOLE = """\
title: river-2026
platform: campaign_api
images:
  folder: ./photos
  include: ["**/*.jpg"]
labels:
  - name: boat
    color: "#ff8800"
    translations: {nl: boot}
  - name: sail
    parent: boat
    geometry: polygon
    attributes:
      - name: colour
        values: [white, red]
labeler: partner@example.com
instructions: Boats only.
timezone: Europe/Amsterdam
deadline: 2026-12-01
export:
  formats: [csv, coco]
  folder: out
metadata: {country: Nederland}
"""


def test_a_whole_file_is_read_as_it_says(tmp_path):
    (tmp_path / "campaign.yaml").write_text(WHOLE)
    spec = load_spec(tmp_path / "campaign.yaml")
    assert spec.images.folder == str(tmp_path / "photos")
    assert spec.export.folder == str(tmp_path / "out")
    assert spec.deadline == datetime(2026, 12, 1, 22, 59, 59, tzinfo=UTC)
    schema = spec.schema_of_labels()
    assert schema.names == ("boat", "sail")
    assert schema["sail"].geometry is Geometry.POLYGON
    assert schema["boat"].translations == {"nl": "boot"}
    assert schema["sail"].attributes[0].values == ("white", "red")


def test_a_share_of_labels_is_a_percentage():
    export = parse_spec(WHOLE.replace("formats: [csv, coco]", 'when: "80 %"')).export
    assert (export.when, export.partial, export.accepts_partial) == (80, False, True)
    assert not parse_spec(WHOLE).export.accepts_partial
    for share in ("0", "101 %", "soon"):
        with pytest.raises(SpecError, match=r"line \d+: export.when"):
            parse_spec(WHOLE.replace("formats: [csv, coco]", f'when: "{share}"'))


def test_labels_may_be_names_alone():
    spec = parse_spec("title: a\nimages: {folder: x}\nlabels: [cat, dog]\nlabeler: a@b.c\n")
    assert spec.schema_of_labels().names == ("cat", "dog")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("labeler:", "labeller:"), "line 16: unknown key 'labeller'; did you mean 'labeler'?"),
        (("  include:", "  includes:"), "line 5: unknown key 'images.includes'; did you mean 'include'?"),
        (("    color:", "    colour:"), "line 8: unknown key 'labels.0.colour'; did you mean 'color'?"),
        (
            ("formats: [csv, coco]", "formats: [csv, cocoa]"),
            "line 21: export.formats.1: unknown format 'cocoa'; known: csv, coco, jsonl, mltable, yolo, yolo_segment, "
            "voc, huggingface, webdataset, croissant; did you mean 'coco'?",
        ),
        (("platform: campaign_api", "platform: campain_api"), "line 2: platform: unknown platform 'campain_api'"),
        (("folder: ./photos", "folder: ./photos\n  manifest: a.csv"), "given: folder and manifest"),
        (("title: river-2026", "title: ''"), "line 1: title"),
        (("parent: boat", "parent: ship"), "its parent 'ship' is not in the schema"),
        (("partner@example.com", "partner"), "is not an e-mail address"),
        (("#ff8800", "orange"), "line 8: labels.0.color"),
        (("deadline: 2026-12-01", "deadline: soon"), "line 19: deadline"),
        (("instructions: Boats only.", "title: again"), "line 17: 'title' is listed twice"),
        (("images:", "images: ["), "not valid YAML"),
        (("images:\n  folder: ./photos\n", "images:\n"), "given: none of them"),
    ],
)
def test_a_fault_is_told_with_its_line_and_what_was_meant(change, message):
    assert change[0] in WHOLE
    with pytest.raises(SpecError) as refused:
        parse_spec(WHOLE.replace(*change, 1), "campaign.yaml")
    assert message in str(refused.value)


def test_every_fault_is_told_at_once():
    with pytest.raises(SpecError) as refused:
        parse_spec("titel: x\nimages: {folder: a}\nlabels: [a]\n")
    assert "'title'?" in str(refused.value)
    assert "'labeler' is missing" in str(refused.value)


def test_a_signature_in_a_container_url_is_refused_and_not_repeated():
    with pytest.raises(SpecError) as refused:
        parse_spec("title: a\nlabels: [a]\nlabeler: a@b.c\nimages: {container: 'https://a/c?sig=canary'}\n")
    assert "settings" in str(refused.value)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["https://a/b.jpg?sig=canary", "https://u:canary@a/b.jpg", "https://a/b.jpg?x=1&X-Amz-Signature=canary"]
)
def test_a_signed_url_is_refused_and_not_repeated(url):
    with pytest.raises(SpecError) as refused:
        parse_spec(f"title: a\nlabels: [a]\nlabeler: a@b.c\nimages: {{urls: ['{url}']}}\n")
    assert "manifest" in str(refused.value)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    "query",
    [
        "?api_key=canary",
        "?apikey=canary",
        "?key=canary",
        "?a=1&X-Amz-Security-Token=canary",
        "?x-amz-credential=canary",
        "?X-Goog-Signature=canary",
        "?Expires=1&Policy=canary",
        "?Signature=canary&Expires=1",
        "?password=canary",
        "?a=1;pwd=canary",
        "?jwt=canary",
        "?x=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.canarycanary",
        "?auth=canary",
        "?authToken=canary",
        "?token=canary",
        "?access_token=canary",
        "?%73ig=canary",
        "?SIG=canary",
        "?subscription-key=canary",
        "?AWSAccessKeyId=canary",
        "?sessionid=canary",
        "#access_token=canary",
        ";jsessionid=canary",
    ],
)
def test_url_with_a_credential_is_refused_with_advice(query):
    url = f"https://host/b.jpg{query}"
    for part, instead in (
        (f"images: {{urls: ['https://a/b.jpg', '{url}']}}", "manifest file"),
        (f"images: {{container: '{url}'}}", "LABELWRIGHT_CONTAINER_SAS"),
        (f"images: {{manifest: '{url}'}}", "fetch the file"),
        (f"images: {{folder: x}}\nplatform: scale\noptions: {{callback_url: '{url}'}}", "secret of the connection"),
        (f"images: {{folder: x}}\ninstructions: 'see {url} for more'", "leave it out"),
        (f"images: {{folder: x}}\nmetadata: {{source: '{url}'}}", "leave it out"),
    ):
        with pytest.raises(SpecError) as refused:
            parse_spec(f"title: a\nlabels: [a]\nlabeler: a@b.c\n{part}\n")
        assert instead in str(refused.value)
        assert "canary" not in str(refused.value)


def test_a_url_without_a_credential_is_taken():
    url = "https://host/b.jpg?version=3&size=large&author=jane#top"
    spec = parse_spec(f"title: a\nlabels: [a]\nlabeler: a@b.c\nimages: {{urls: ['{url}']}}\n")
    assert spec.images.urls == [url]


def test_stored_campaign_is_exempt_from_later_rules():
    document = {"title": "a", "labels": ["a"], "labeler": "a@b.c", "images": {"urls": ["https://a/b.jpg?key=1"]}}
    assert stored_spec(document).images.urls == ["https://a/b.jpg?key=1"]
    with pytest.raises(ValueError, match="a credential"):
        CampaignSpec.model_validate(document)


@pytest.mark.parametrize("content", [None, "", "- a\n- b\n", "\xff\xfe"])
def test_a_file_that_is_none_is_a_clear_error(tmp_path, content):
    path = tmp_path / "campaign.yaml"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    with pytest.raises(SpecError):
        load_spec(path)


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "line 7: with its aliases expanded, this has more than 1000000 values"),
        ("labels: &all [boat, *all]\n", "line 1: an alias contains itself"),
        ("[" * 5000 + "]" * 5000, "nested too deeply"),
        ("? [a, b]\n: c\n", "line 1: a key must be text, not a list"),
        ("title: a\ndeadline: 2026-11-31\n", "line 2: this is not valid YAML: '2026-11-31' is not a valid date"),
        ("title: !!int one\n", "line 1: this is not valid YAML: 'one' is not a valid int"),
        ("title: !!bool one\n", "line 1: this is not valid YAML: 'one' is not a valid bool"),
        ("title: !!timestamp one\n", "line 1: this is not valid YAML: 'one' is not a valid date"),
        (f"title: {'1' * 5000}\n", "is not a valid int"),
    ],
)
def test_invalid_yaml_is_reported_with_its_line(text, message):
    with pytest.raises(SpecError) as refused:
        parse_document(text, "campaign.yaml")
    assert message in str(refused.value)


def test_aliases_save_writing():
    document, _ = parse_document("first: &one {name: boat}\nsecond: *one\nthird: *one\n", "campaign.yaml")
    assert document["third"] == {"name": "boat"}


def test_the_same_model_is_the_form_in_the_prefect_ui():
    schema = CampaignSpec.model_json_schema()
    assert schema["properties"]["title"]["position"] == 0
    assert schema["properties"]["deadline"]["description"]
    assert "Geometry" in schema["$defs"]
    assert "enum" in schema["$defs"]["Geometry"]
    assert all("title" in property for property in schema["properties"].values())


def test_a_specification_survives_json():
    spec = parse_spec(WHOLE)
    assert CampaignSpec.model_validate(json.loads(json.dumps(spec.model_dump(mode="json")))) == spec


@pytest.mark.parametrize(
    ("export", "message"),
    [
        ("{store: azure_ml, formats: [csv]}", "sdk_v2 also needs these formats: mltable"),
        ("{store: azure_ml, engine: sdk_v1, formats: [coco]}", "sdk_v1 also needs these formats: csv"),
        ("{split: {train: 70, validation: 10, test: 10}}", "must add up to 100"),
        ("{split: {train: 80, validation: 20, test: 0, tests: 1}}", "did you mean 'test'"),
        ("{split: {by: camera}}", "Input should be 'image', 'folder', 'name-pattern' or 'group'"),
        ("{split: {by: name-pattern}}", "needs 'pattern', a regular expression"),
        ("{split: {by: folder, pattern: a}}", "needs 'pattern', a regular expression"),
        ("{split: {by: name-pattern, pattern: '(a'}}", "the pattern '(a' is not a regular expression"),
        ("{split: {by: group}}", "by: group needs images.manifest"),
        ("{store: azure, workspace: team}", "export.store"),
    ],
)
def test_invalid_export_is_reported_with_its_line(export, message):
    with pytest.raises(SpecError, match=re.escape(message)):
        parse_spec(f"title: t\nimages: {{folder: a}}\nlabels: [boat]\nlabeler: a@b.c\nexport: {export}\n")


def test_campaigns_from_before_required_attributes_compare_equal():
    whole = parse_spec(WHOLE, "test")
    (colour,) = whole.model_dump(mode="json")["labels"][1]["attributes"]
    assert colour == {"name": "colour", "values": ["white", "red"], "default": None}
    required = parse_spec(WHOLE.replace("values: [white, red]", "values: [white, red]\n        required: true"), "test")
    assert required.model_dump(mode="json")["labels"][1]["attributes"][0]["required"] is True
    assert required.schema_of_labels()["sail"].attributes[0].required


def test_a_campaign_is_written_with_some_of_its_fields_only():
    """A Dask cluster is sent the campaign without fields that were never set."""
    spec = parse_spec("title: t\nimages: {folder: /x}\nlabels: [boat]\nlabeler: a@b.c\n")
    document = spec.model_dump(mode="json", exclude={"export": {"image_addresses"}, "images": {"on_damage"}})
    assert document == spec.model_dump(mode="json")
