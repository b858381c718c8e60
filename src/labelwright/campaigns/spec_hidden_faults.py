"""Faults of fields together, which pydantic does not look for once one of the fields is wrong by itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from .label_spec import label_faults, labels_from_names, readable_labels
from .spec_credentials import credential_faults
from .spec_faults import FaultList

_Places = list[tuple[Any, ...]]
_PERCENTAGES = frozenset({"train", "validation", "test"})


def group_split_faults(by: object, grouped: object) -> list[tuple[tuple[str, ...], str]]:
    """The fault of a split by groups of images that have none. grouped: their manifest or videos."""
    if by != "group" or grouped:
        return []
    message = (
        "export.split: by: group needs images.manifest, a CSV file whose column 'group' names the scene, "
        "patient or camera of each image. Give a manifest, or split by folder or name-pattern"
    )
    return [(("export", "split", "by"), message)]


def add_hidden_faults(
    values: dict[str, Any],
    error: ValidationError,
    faults: FaultList,
    models: Mapping[str, type[BaseModel]],
    sources: Collection[str],
) -> None:
    """Adds faults to those of the error. models: of the groups by name; sources: keys that exclude each other."""
    places: _Places = [fault["loc"] for fault in error.errors(include_url=False, include_context=False)]
    _add_labels(values.get("labels"), places, faults)
    images, export = values.get("images"), values.get("export")
    keys = _wrong_keys(places, "images")
    if keys and not keys & set(sources) and _check_rest(models["images"], images, keys, faults, "images"):
        places.append(("images",))
    if keys := _wrong_keys(places, "export"):
        keys |= {"store", "engine"} if keys & {"store", "engine"} else set()
        _check_rest(models["export"], export, keys, faults, "export")
    split = export.get("split") if isinstance(export, dict) else None
    if (keys := _wrong_keys(places, "export", "split")) and not keys & _PERCENTAGES:
        _check_rest(models["split"], split, keys | {"by", "pattern"}, faults, "export", "split")
    further = list(credential_faults(values))
    if isinstance(split, dict) and isinstance(images, dict):
        further += group_split_faults(split.get("by"), images.get("manifest") or images.get("video"))
    for place, message in further:
        if place[0] != "images" or ("images",) not in places:
            faults.add(place, message)


def _add_labels(labels: Any, places: _Places, faults: FaultList) -> None:
    if not any(place[:1] == ("labels",) and len(place) > 1 for place in places):
        return
    items = labels_from_names(labels)
    complete = isinstance(items, list) and all(
        isinstance(item, dict) and isinstance(item.get("name"), str) for item in items
    )
    for place, message in label_faults(readable_labels(labels), complete):
        faults.add(("labels", *place), message)


def _wrong_keys(places: _Places, *group: str) -> set[str]:
    """The keys of a group that are wrong by themselves."""
    depth = len(group)
    return {str(place[depth]) for place in places if place[:depth] == group and len(place) > depth}


def _check_rest(model: type[BaseModel], value: Any, wrong: set[str], faults: FaultList, *group: str) -> bool:
    """Validates a group without its wrong keys. Returns whether that found faults."""
    if not isinstance(value, dict):
        return False
    try:
        model.model_validate({key: inner for key, inner in value.items() if key not in wrong})
    except ValidationError as error:
        faults.add_validation(error, *group)
        return True
    return False
