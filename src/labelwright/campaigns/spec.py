"""The campaign specification: model of a campaign's YAML file and of the flows' parameter form."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from labelwright import domain
from labelwright.security.credential_shapes import credential_in_url, urls_with_credentials

from .time_zones import end_of_date, in_zone, show_moment, time_zone
from .yaml_loader import SpecError, line_of, parse_document

if TYPE_CHECKING:
    from labelwright.datasets.splits import Split


BLOCK = "block:"
"""Prefix of connection names that mean a Prefect block."""

_STORED = {"stored": True}
"""Validation context of campaigns in the ledger: rules added later do not invalidate them."""


def _at(position: int) -> dict[str, Any]:
    """The field's position in Prefect's parameter form."""
    return {"position": position}


def _in_order(schema: dict[str, Any]) -> None:
    """Fields without an explicit position come in the order of the class."""
    for number, field in enumerate(schema.get("properties", {}).values()):
        field.setdefault("position", number)


def _platform_choices(schema: dict[str, Any]) -> None:
    """The form offers the existing platforms, and rejects others before a run is created."""
    from labelwright.platforms.registry import PLATFORMS

    schema.update(_at(1), enum=list(PLATFORMS))


def _format_choices(schema: dict[str, Any]) -> None:
    """The form offers the export formats that there are."""
    from labelwright.datasets.writers.registry import campaign_formats

    schema.update(enum=list(campaign_formats()))


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, json_schema_extra=_in_order)


class ImagesFrom(_Group):
    """Where the images are: exactly one of folder, files, manifest, urls and container."""

    folder: str | None = Field(None, title="Folder", description="Searched with all its subfolders.")
    files: list[str] = Field([], title="Files", description="Paths of single files.")
    manifest: str | None = Field(
        None, title="Manifest", description="A CSV file with a column path or url, and perhaps name and sha256."
    )
    urls: list[str] = Field([], title="URLs", description="http(s) addresses of single images.")
    container: str | None = Field(
        None,
        title="Azure container",
        description="https://ACCOUNT.blob.core.windows.net/CONTAINER; its signature comes from the settings.",
    )
    credentials: str | None = Field(
        None,
        title="Credentials",
        description="For a container: block:NAME, a Prefect block with its signature instead of that of the settings.",
        pattern="^block:.+",
    )
    prefix: str = Field("", title="Prefix", description="For a container: only names that begin with this.")
    include: list[str] = Field(["**/*"], title="Include", description="Patterns of names to take.")
    exclude: list[str] = Field([], title="Exclude", description="Patterns of names to leave out.")
    max_megabytes: float = Field(100, gt=0, title="Largest file", description="In megabytes.")
    max_megapixels: float = Field(200, gt=0, title="Largest image", description="In millions of pixels.")
    allow_private_addresses: bool = Field(
        False, title="Allow private addresses", description="Allow URLs of your own network."
    )
    strict: bool = Field(False, title="Strict", description="Stop when a file has to be left out.")

    @model_validator(mode="after")
    def _one_place(self, info: ValidationInfo) -> ImagesFrom:
        sources = [name for name in ("folder", "files", "manifest", "urls", "container") if getattr(self, name)]
        if len(sources) != 1:
            listed = " and ".join(sources) or "none of them"
            raise ValueError(
                f"images come from exactly one of folder, files, manifest, urls, container; given: {listed}"
            )
        if self.container and ("?" in self.container or credential_in_url(self.container)):
            raise ValueError(
                "the container's URL must not hold a signature, a user or a password: put the signature into the "
                "settings (LABELWRIGHT_CONTAINER_SAS), or into a Prefect block and name that in images.credentials"
            )
        if self.credentials and not self.container:
            raise ValueError("credentials belong to a container")
        if self.prefix and not self.container:
            raise ValueError("a prefix belongs to a container; for other places use include")
        signed = list(filter(None, map(credential_in_url, self.urls))) if info.context != _STORED else []
        if signed:
            raise ValueError(
                f"{len(signed)} of the URLs hold a credential, such as {signed[0]}, and a campaign is visible to "
                "everybody: put them into a manifest file with a column url, which is kept on this machine"
            )
        return self


class AttributeSpec(_Group):
    """An attribute that labelers fill in for each object of a label."""

    name: str = Field(title="Name", min_length=1)
    values: list[str] = Field([], title="Values", description="The answers to choose from; none means free text.")
    default: str | None = Field(None, title="Default")
    required: bool = Field(False, title="Required", description="Labelers must fill it in before they submit.")

    @model_serializer(mode="wrap")
    def _without_default(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves `required` out where it is false: campaigns in older ledgers, which lack it, still compare equal."""
        fields: dict[str, Any] = serialize(self)
        if not self.required:
            fields.pop("required")
        return fields


class LabelSpec(_Group):
    """A label of the campaign's schema."""

    name: str = Field(title="Name", min_length=1, json_schema_extra=_at(0))
    geometry: domain.Geometry = Field(
        domain.Geometry.BOX,
        title="Geometry",
        description="How objects are drawn: box, polygon, image (the image as a whole) or any.",
        json_schema_extra=_at(1),
    )
    color: str | None = Field(None, title="Colour", description="#rrggbb", pattern=r"^#[0-9a-fA-F]{6}$")
    parent: str | None = Field(None, title="Parent", description="A label of the same schema.")
    attributes: list[AttributeSpec] = Field([], title="Attributes")
    translations: dict[str, str] = Field(
        {}, title="Translations", description="Language code to the name that labelers see."
    )


def _labels_from_names(value: Any) -> Any:
    return [{"name": item} if isinstance(item, str) else item for item in value] if isinstance(value, list) else value


def _known_platform(name: str) -> str:
    from labelwright.platforms.registry import PLATFORMS

    if name not in PLATFORMS:
        raise ValueError(f"unknown platform '{name}'; known: {', '.join(PLATFORMS)}{_nearest(name, PLATFORMS)}")
    return name


def _known_format(name: str) -> str:
    from labelwright.datasets.writers.registry import campaign_formats

    if name not in campaign_formats():
        known = ", ".join(campaign_formats())
        raise ValueError(f"unknown format '{name}'; known: {known}{_nearest(name, campaign_formats())}")
    return name


def _known_time_zone(name: str, info: ValidationInfo) -> str:
    if info.context != _STORED:  # else another machine may have launched it
        time_zone(name)
    return name


def _in_own_time_zone(moment: datetime, info: ValidationInfo) -> datetime:
    """A deadline without a zone in the campaign's time zone, else in the machine's."""
    name = info.data.get("timezone")
    return in_zone(moment, time_zone(name) if name and moment.tzinfo is None else None)


def _percent(value: Any) -> Any:
    """The number of "80 %"; other values are left to the validation."""
    return value.removesuffix("%").strip() if isinstance(value, str) else value


class SplitInto(_Group):
    """Percentages of images. Each image is assigned by its hash, so that it stays in its split later."""

    train: float = Field(80, ge=0, le=100, title="Training", json_schema_extra=_at(0))
    validation: float = Field(10, ge=0, le=100, title="Validation", json_schema_extra=_at(1))
    test: float = Field(10, ge=0, le=100, title="Test", json_schema_extra=_at(2))

    @model_validator(mode="after")
    def _whole(self) -> SplitInto:
        if abs(self.train + self.validation + self.test - 100) > 1e-6:
            raise ValueError("the percentages of a split must add up to 100")
        return self

    def as_split(self) -> Split:
        from labelwright.datasets.splits import Split

        return Split(self.train, self.validation, self.test)


class ExportTo(_Group):
    """Which files are written, and where the datasets are registered."""

    formats: list[Annotated[str, AfterValidator(_known_format), Field(json_schema_extra=_format_choices)]] = Field(
        ["csv", "coco", "jsonl", "mltable"], title="Formats", min_length=1
    )
    store: Literal["local", "azure_ml"] = Field("local", title="Store", description="Where datasets are registered.")
    folder: str = Field("datasets", title="Folder", description="For the local store: NAME/vN/ within it.")
    workspace: str = Field(
        "default",
        title="Workspace",
        description="For azure_ml: a workspace of the settings, or block:NAME for a Prefect block.",
    )
    engine: Literal["sdk_v2", "sdk_v1"] = Field("sdk_v2", title="Engine", description="For azure_ml: which SDK.")
    split: SplitInto | None = Field(None, title="Split", description="Also write files for training, validation, test.")
    partial: bool = Field(
        False,
        title="Partial",
        description="Deliver what is labeled and valid, and list every other image with its reason.",
    )
    when: Annotated[float, BeforeValidator(_percent)] | None = Field(
        None,
        gt=0,
        le=100,
        title="Deliver early",
        description="Percentage of labeled images, such as 80 %, at which a first partial delivery is made.",
    )

    @property
    def accepts_partial(self) -> bool:
        """Whether images that are not labeled or not valid are left out, instead of stopping the delivery."""
        return self.partial or self.when is not None

    @model_validator(mode="after")
    def _registrable(self) -> ExportTo:
        needed = {"sdk_v2": {"csv", "mltable"}, "sdk_v1": {"csv"}}[self.engine] if self.store == "azure_ml" else set()
        if needed - set(self.formats):
            missing = ", ".join(sorted(needed - set(self.formats)))
            raise ValueError(f"the store azure_ml with {self.engine} also needs these formats: {missing}")
        return self


class CampaignSpec(_Group):
    """Images to be labeled, by whom, with which labels, until when, and where the dataset goes."""

    title: str = Field(
        title="Title",
        description="Unique; names the campaign, its image set and its datasets.",
        min_length=1,
        max_length=120,
        json_schema_extra=_at(0),
    )
    platform: Annotated[str, AfterValidator(_known_platform)] = Field(
        "campaign_api", title="Platform", description="The labeling platform.", json_schema_extra=_platform_choices
    )
    connection: str | None = Field(
        None,
        title="Connection",
        description="Name of the credentials: a connection of the settings, or block:NAME for a Prefect block. "
        "By default the connection called like the platform.",
        json_schema_extra=_at(2),
    )
    images: ImagesFrom = Field(title="Images", json_schema_extra=_at(3))
    labels: Annotated[list[LabelSpec], BeforeValidator(_labels_from_names)] = Field(
        title="Labels", min_length=1, json_schema_extra=_at(4)
    )
    labeler: str = Field(
        title="Labeler",
        description="E-mail address of the labeling partner.",
        min_length=3,
        json_schema_extra={**_at(5), "pattern": "[^@]@[^@]"},
    )
    instructions: str = Field("", title="Instructions", description="What labelers read.", json_schema_extra=_at(6))
    timezone: Annotated[str, AfterValidator(_known_time_zone)] | None = Field(
        None,
        title="Time zone",
        description="Of the deadline: an IANA name, such as Europe/Amsterdam. By default that of the machine.",
        json_schema_extra=_at(8),
    )
    deadline: Annotated[datetime, BeforeValidator(end_of_date), AfterValidator(_in_own_time_zone)] | None = Field(
        None,
        title="Deadline",
        description="When the labels are needed. A date alone means the end of that day, in the campaign's time zone.",
        json_schema_extra=_at(7),
    )
    export: ExportTo = Field(default_factory=ExportTo, title="Export", json_schema_extra=_at(9))
    metadata: dict[str, str | int | float | bool | None] = Field({}, title="Metadata", json_schema_extra=_at(10))
    options: dict[str, Any] = Field(
        {}, title="Platform options", description="What only this platform knows.", json_schema_extra=_at(11)
    )
    on_unsupported: Literal["refuse", "ignore"] = Field(
        "refuse",
        title="What the platform cannot show",
        description="Attributes, colours, translations and the like that the platform cannot show to labelers: refuse "
        "the campaign, or ignore them.",
        json_schema_extra=_at(12),
    )

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> CampaignSpec:
        if info.context != _STORED:
            self._refuse_credentials()
        if any(ord(character) < 32 for character in self.title):
            raise ValueError("the title contains control characters")
        if "@" not in self.labeler.strip("@"):
            raise ValueError(f"labeler '{self.labeler}' is not an e-mail address")
        self.schema_of_labels()
        return self

    def _refuse_credentials(self) -> None:
        """Raises ValueError for a URL with a credential in it, in any text of the campaign."""
        for place, text in _texts(self.model_dump(mode="json")):
            urls = urls_with_credentials(text)
            if urls:
                advice = _ADVICE.get(place, "leave it out, or give an address that needs none")
                raise ValueError(
                    f"{place} holds a URL with {urls[0]}, and a campaign is visible to everybody: {advice}"
                )

    @property
    def connection_name(self) -> str:
        """Name of the credentials: the campaign's connection, by default the platform's name."""
        return self.connection or self.platform

    @property
    def passed_deadline(self) -> str:
        """The deadline with its time zone when it has passed; else empty."""
        if self.deadline is None or self.deadline > datetime.now(UTC):
            return ""
        return show_moment(self.deadline, self.timezone)

    def schema_of_labels(self) -> domain.LabelSchema:
        """The labels as a domain object. Raises InvalidSchema (a ValueError)."""
        return domain.LabelSchema(
            tuple(
                domain.Label(
                    name=label.name,
                    geometry=label.geometry,
                    parent=label.parent,
                    attributes=tuple(
                        domain.Attribute(a.name, tuple(a.values), a.default, a.required) for a in label.attributes
                    ),
                    color=label.color,
                    translations=dict(label.translations),
                )
                for label in self.labels
            )
        )

    def with_paths_from(self, folder: Path) -> CampaignSpec:
        """A copy whose relative paths are made absolute, relative to `folder`."""

        def absolute(path: str) -> str:
            return str((folder / Path(path).expanduser()).resolve())

        images, export = self.images, self.export
        return self.model_copy(
            update={
                "images": images.model_copy(
                    update={
                        "folder": images.folder and absolute(images.folder),
                        "manifest": images.manifest and absolute(images.manifest),
                        "files": [absolute(path) for path in images.files],
                    }
                ),
                "export": export.model_copy(update={"folder": absolute(export.folder)}),
            }
        )


_ADVICE = {
    "options.callback_url": "set the callback key as the secret of the connection, by which Scale's calls are known",
    "images.manifest": "fetch the file, and name its path",
    "images.folder": "fetch the files, and name their folder, or list the URLs in a manifest file",
    "images.files": "put the URLs into a manifest file with a column url",
}
"""By field: what to do instead of a URL with a credential."""


def _texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a document, with the dotted keys that lead to it."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(name, place or str(name))
            yield from _texts(inner, f"{place}.{name}" if place else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, place)


def stored_spec(document: dict[str, Any]) -> CampaignSpec:
    """The campaign of a document from the ledger."""
    return CampaignSpec.model_validate(document, context=_STORED)


def load_spec(path: Path) -> CampaignSpec:
    """Reads a campaign file; relative paths are relative to the file's folder.

    Raises SpecError, which lists every fault with its line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SpecError(f"{path}: file not found") from None
    except IsADirectoryError:
        raise SpecError(f"{path} is a folder; give the campaign's YAML file, or: labelwright run FOLDER") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} cannot be read: {error}") from None
    return parse_spec(text, str(path)).with_paths_from(path.resolve().parent)


def parse_spec(text: str, source: str = "campaign") -> CampaignSpec:
    document, node = parse_document(text, source)
    return validate_spec(document, source, node)


def validate_spec(document: dict[str, Any], source: str, node: yaml.Node | None = None) -> CampaignSpec:
    """Validates a parsed document. Raises SpecError, which lists every fault."""
    try:
        return CampaignSpec.model_validate(document)
    except ValidationError as error:
        faults = [_fault(fault, node, source) for fault in error.errors(include_url=False)]
        raise SpecError("\n".join(faults)) from None


def _fault(error: Any, node: yaml.Node | None, source: str) -> str:
    path = tuple(error["loc"])
    line = line_of(node, path)
    where = f"{source}, line {line}" if line else source
    key = ".".join(str(part) for part in path)
    if error["type"] == "extra_forbidden":
        known_keys = _known_keys(path[:-1])
        return (
            f"{where}: unknown key '{key}'{_nearest(str(path[-1]), known_keys)} (allowed here: {', '.join(known_keys)})"
        )
    if error["type"] == "missing":
        return f"{where}: '{key}' is missing"
    message = error["msg"].removeprefix("Value error, ")
    return f"{where}: {key + ': ' if key else ''}{message}"


def _nearest(word: str, candidates: Any) -> str:
    close = difflib.get_close_matches(word.lower(), list(candidates), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""


def _known_keys(place: tuple[Any, ...]) -> list[str]:
    model: type[BaseModel] = CampaignSpec
    groups: dict[str, type[BaseModel]] = {
        "images": ImagesFrom,
        "labels": LabelSpec,
        "export": ExportTo,
        "split": SplitInto,
        "attributes": AttributeSpec,
    }
    for part in place:
        model = groups.get(part, model) if isinstance(part, str) else model
    return list(model.model_fields)
