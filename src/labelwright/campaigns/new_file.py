"""Writes a new campaign file with comments that say what each key is for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from labelwright.domain.commands import quoted
from labelwright.domain.errors import PathUnusable
from labelwright.platforms.registry import PLATFORMS

from .spec import parse_spec
from .unsupported import refuse_unsupported
from .yaml_loader import SpecError


@dataclass(frozen=True, slots=True)
class NewCampaign:
    """What a person answered."""

    title: str
    images: str
    """A folder, as it is to stand in the file."""
    labels: Sequence[str]
    labeler: str
    platform: str = "campaign_api"
    geometry: str = "box"
    instructions: str = ""
    deadline: str = ""
    formats: Sequence[str] = ("csv", "coco")


def write_campaign_file(file: Path, campaign: NewCampaign) -> None:
    """Writes the file. Raises SpecError for answers that no campaign can have, PathUnusable if it exists."""
    text = campaign_text(campaign, file.name)
    refuse_unsupported(parse_spec(text, f"{file} is not written"))
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise PathUnusable(f"{file} exists and is not overwritten: give another name, or delete it first") from None
    except OSError as error:
        raise PathUnusable(f"{file} cannot be written: {error.strerror}") from None


def fault_of_answer(name: str, answer: Any) -> str | None:
    """Returns what is wrong with an answer, as value of that field of NewCampaign; None for one that can be."""
    right = NewCampaign("river", "photos", ["boat"], "labeler@example.com")
    try:
        refuse_unsupported(parse_spec(campaign_text(replace(right, **{name: answer}), "campaign.yaml"), "answer"))
    except SpecError as error:
        return error.faults[0][0].partition(": ")[2]
    return None


def campaign_text(campaign: NewCampaign, file_name: str) -> str:
    """Returns the YAML. Lines behind `# ` that look like YAML are options to be switched on."""
    deadline = f"deadline: {_scalar(campaign.deadline)}" if campaign.deadline else "# deadline: 2030-12-18"
    instructions = f"instructions: {_scalar(campaign.instructions or 'Label everything that can be recognized.')}"
    if not campaign.instructions and campaign.platform in PLATFORMS:
        instructions = instructions if PLATFORMS[campaign.platform].labels.instructions else f"# {instructions}"
    labels = "".join(
        f'  - name: {_scalar(name)}\n    geometry: {_scalar(campaign.geometry)}\n    # color: "#e69f00"\n'
        for name in campaign.labels
    )
    return f"""\
## A campaign of Labelwright. Lines that begin with one # are options that are switched off.
## Check the file: labelwright validate {quoted(file_name)}
## See what would be done: labelwright plan {quoted(file_name)}

## Names the campaign and its datasets. It has to be unique and does not change after the launch.
title: {_scalar(campaign.title)}

## The labeling platform: {", ".join(PLATFORMS)}.
## campaign_api is the labeling service that comes with Labelwright.
platform: {_scalar(campaign.platform)}

images:
  ## Searched with all its subfolders. A relative path begins at the folder of this file.
  folder: {_scalar(campaign.images)}
  # exclude: ["**/thumbs/*"]
  ## Stop when a file has to be left out, instead of listing it.
  # strict: true

## geometry: box, polygon, image (a label of the whole image) or any.
labels:
{labels}
## E-mail address of the person or partner who labels.
labeler: {_scalar(campaign.labeler)}

## What labelers read.
{instructions}

## A date alone means the end of that day.
{deadline}
# timezone: Europe/Amsterdam

export:
  ## Also: jsonl, mltable, yolo, yolo_segment, voc, huggingface, webdataset, croissant.
  formats: [{", ".join(map(_scalar, campaign.formats))}]
  ## Where the datasets are registered, as NAME/v1, NAME/v2 and so on.
  folder: datasets
  # split: {{train: 80, validation: 10, test: 10}}
"""


def _scalar(text: str) -> str:
    """The text as a YAML value: without quotes where YAML reads it as the same text."""
    try:
        plain = yaml.safe_load(f"[{text}]") == [text] and yaml.safe_load(f"key: {text}") == {"key": text}
    except (yaml.YAMLError, ValueError):
        plain = False
    return text if plain else json.dumps(text, ensure_ascii=False)
