"""A campaign file of the drop container: its images lie beside it, and it reaches for nothing else."""

from __future__ import annotations

import pytest

from labelwright.campaigns.drops import dropped_spec, folder_of
from labelwright.campaigns.yaml_loader import SpecError

CONTAINER = "https://photos.blob.core.windows.net/drop"
WHOLE = "title: river\nlabels: [boat]\nlabeler: a@b.c\n"


def test_the_images_are_those_beside_the_file():
    images = dropped_spec(WHOLE, "2026/river/campaign.yaml", CONTAINER).images
    assert (images.container, images.prefix, images.exclude) == (CONTAINER, "2026/river/", ["campaign.yaml"])


def test_the_file_may_say_which_of_them():
    text = WHOLE + "images:\n  include: ['*.jpg']\n  exclude: ['thumbs/*']\n  strict: true\n"
    images = dropped_spec(text, "river/campaign.yaml", CONTAINER).images
    assert (images.include, images.exclude, images.strict) == (["*.jpg"], ["thumbs/*", "campaign.yaml"], True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("images: {folder: /etc}", "images.folder: the images of a dropped campaign are those beside its file"),
        ("images: {urls: ['http://10.0.0.1/a.jpg']}", "images.urls"),
        ("images: {container: 'https://x/y'}", "images.container"),
        ("images: {prefix: ''}", "images.prefix"),
        ("images: [a]", "only include and exclude are allowed"),
        ("export: {folder: /etc}", "is outside the home folder"),
        ("export: {folder: ../..}", "is outside the home folder"),
        ("export: {folder: ~/x}", "is outside the home folder"),
        ("tilte: x", "did you mean 'title'?"),
    ],
)
def test_it_reaches_for_nothing_else(text, message):
    with pytest.raises(SpecError) as refused:
        dropped_spec(WHOLE + text, "river/campaign.yaml", CONTAINER)
    assert message in str(refused.value)
    assert "river/campaign.yaml" in str(refused.value)


@pytest.mark.parametrize(
    ("blob", "folder"),
    [("a/campaign.yaml", "a"), ("a/b/campaign.yaml", "a/b"), ("campaign.yaml", None), ("a/b.yaml", None)],
)
def test_a_campaign_file_lies_in_a_folder(blob, folder):
    assert folder_of(blob) == folder
