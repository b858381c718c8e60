"""The campaign specification: model of a campaign's YAML file and of the flows' parameter form."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from labelwright import domain
from labelwright.domain.image_limits import MOST_BYTES, MOST_PIXELS
from labelwright.domain.paths import in_home
from labelwright.security.credential_shapes import credential_in_url

from .label_spec import AttributeSpec, LabelSpec, checked_labels, labels_from_names
from .spec_choices import format_choices, known_format, known_platform, platform_choices
from .spec_credentials import credential_faults
from .spec_faults import FaultList
from .spec_group import STORED, Faults, Group, at
from .spec_hidden_faults import add_hidden_faults, group_split_faults
from .spec_paths import checked_path, path_faults
from .spec_split import SplitInto
from .spec_video import choice_faults, listed_paths
from .time_zones import end_of_date, in_zone, show_moment, time_zone
from .yaml_loader import Document, SpecError, read_document

BLOCK = "block:"
"""Prefix of connection names that mean a Prefect block."""


IMAGE_SOURCES = ("folder", "files", "manifest", "urls", "container", "video")
_LATER: dict[str, Any] = {
    "on_damage": "reject",
    "near_duplicates": "plan",
    "video": [],
    "every": None,
    "per_second": None,
}
"""Fields of images that older ledgers lack, and their defaults."""


class ImagesFrom(Group):
    """Where the images are: exactly one of folder, files, manifest, urls, container and video."""

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
    video: Annotated[list[str], BeforeValidator(listed_paths)] = Field(
        [], title="Videos", description="Paths of videos, or of folders of videos. Needs every or per_second."
    )
    every: int | None = Field(None, gt=0, title="Every n-th frame", description="For videos: 15 takes each 15th frame.")
    per_second: float | None = Field(
        None, gt=0, title="Frames a second", description="For videos: 2 takes a frame each half second, by time."
    )
    prefix: str = Field("", title="Prefix", description="For a container: only names that begin with this.")
    include: list[str] = Field(["**/*"], title="Include", description="Patterns of names to take.")
    exclude: list[str] = Field([], title="Exclude", description="Patterns of names to leave out.")
    max_megabytes: float = Field(
        MOST_BYTES / 1e6, gt=0, title="Largest file", description="In millions of bytes; by default 128 MiB."
    )
    max_megapixels: float = Field(MOST_PIXELS / 1e6, gt=0, title="Largest image", description="In millions of pixels.")
    on_damage: Literal["reject", "warn"] = Field(
        "reject",
        title="On damage",
        description="Images that lost data and can still be read: leave them out, or take them with a warning.",
    )
    near_duplicates: Literal["plan", "report", "skip"] = Field(
        "plan",
        title="Near-duplicates",
        description="Images that look alike: only the plan names them, the launch does too, or it leaves all out but "
        "the first.",
    )
    allow_private_addresses: bool = Field(
        False, title="Allow private addresses", description="Allow URLs of your own network."
    )
    strict: bool = Field(False, title="Strict", description="Stop when a file has to be left out.")

    @model_serializer(mode="wrap")
    def _without_default(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves later fields out by default: campaigns in older ledgers, which lack them, still compare equal."""
        fields: dict[str, Any] = serialize(self)
        return {name: value for name, value in fields.items() if name not in _LATER or value != _LATER[name]}

    @model_validator(mode="after")
    def _one_place(self, info: ValidationInfo) -> ImagesFrom:
        sources = [name for name in IMAGE_SOURCES if getattr(self, name)]
        messages = list[str]()
        unusable = path_faults(self.folder, self.manifest, self.files, self.video)
        if len(sources) != 1:
            listed = " and ".join(sources) or "none of them"
            messages.append(f"images come from exactly one of {', '.join(IMAGE_SOURCES)}; given: {listed}")
        if self.container and ("?" in self.container or credential_in_url(self.container)):
            messages.append(
                "the container's URL must not hold a signature, a user or a password: put the signature into the "
                "settings (LABELWRIGHT_CONTAINER_SAS), or into a Prefect block and name that in images.credentials"
            )
        if self.credentials and not self.container:
            messages.append("credentials belong to a container")
        if self.prefix and not self.container:
            messages.append("a prefix belongs to a container; for other places use include")
        messages += choice_faults(self.video, self.every, self.per_second)
        signed = list(filter(None, map(credential_in_url, self.urls))) if info.context != STORED else []
        if signed:
            messages.append(
                f"{len(signed)} of the URLs hold a credential, such as {signed[0]}, and a campaign is visible to "
                "everybody: put them into a manifest file with a column url, which is kept on this machine"
            )
        if messages or unusable:
            raise Faults([*(((), message) for message in messages), *unusable])
        return self


def _checked_title(title: str, info: ValidationInfo) -> str:
    if title.startswith("-") and info.context != STORED:
        raise ValueError("the title begins with a hyphen, and commands would take it for an option")
    if any(ord(character) < 32 for character in title):
        raise ValueError("the title contains control characters")
    return title


def _checked_labeler(labeler: str) -> str:
    if "@" not in labeler.strip("@"):
        raise ValueError(f"labeler '{labeler}' is not an e-mail address")
    return labeler


def _known_time_zone(name: str, info: ValidationInfo) -> str:
    if info.context != STORED:  # else another machine may have launched it
        time_zone(name)
    return name


def _in_own_time_zone(moment: datetime, info: ValidationInfo) -> datetime:
    """A deadline without a zone in the campaign's time zone, else in the machine's."""
    name = info.data.get("timezone")
    return in_zone(moment, time_zone(name) if name and moment.tzinfo is None else None)


def _percent(value: Any) -> Any:
    """The number of "80 %"; other values are left to the validation."""
    return value.removesuffix("%").strip() if isinstance(value, str) else value


class ExportTo(Group):
    """Which files are written, and where the datasets are registered."""

    formats: list[Annotated[str, AfterValidator(known_format), Field(json_schema_extra=format_choices)]] = Field(
        ["csv", "coco", "jsonl", "mltable"], title="Formats", min_length=1
    )
    store: Literal["local", "azure_ml"] = Field("local", title="Store", description="Where datasets are registered.")
    folder: Annotated[str, AfterValidator(checked_path)] = Field(
        "datasets", title="Folder", description="For the local store: NAME/vN/ within it."
    )
    workspace: str = Field(
        "default",
        title="Workspace",
        description="For azure_ml: a workspace of the settings, or block:NAME for a Prefect block.",
    )
    engine: Literal["sdk_v2", "sdk_v1"] = Field("sdk_v2", title="Engine", description="For azure_ml: which SDK.")
    split: SplitInto | None = Field(None, title="Split", description="Also write files for training, validation, test.")
    image_addresses: Literal["source", "platform"] = Field(
        "source",
        title="Image addresses",
        description="In the files of the datasets: where the images come from, or their URLs on the platform. A store "
        "that keeps the images has addresses of its own.",
    )
    image_files: Literal["copy", "link", "list"] = Field(
        "copy",
        title="Image files",
        description="In folders of images (yolo, yolo_segment, voc): copies, hard links, or only a list of paths.",
    )
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

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves later fields out by default: campaigns in older ledgers, which lack them, still compare equal."""
        fields: dict[str, Any] = serialize(self)
        for name, default in (("image_addresses", "source"), ("image_files", "copy")):
            if fields.get(name) == default:
                fields.pop(name)
        return fields

    @model_validator(mode="after")
    def _registrable(self) -> ExportTo:
        needed = {"sdk_v2": {"csv", "mltable"}, "sdk_v1": {"csv"}}[self.engine] if self.store == "azure_ml" else set()
        if needed - set(self.formats):
            missing = ", ".join(sorted(needed - set(self.formats)))
            raise ValueError(f"the store azure_ml with {self.engine} also needs these formats: {missing}")
        if self.store == "azure_ml" and self.image_addresses == "platform":
            raise ValueError("the store azure_ml keeps the images: datasets have its addresses. Remove image_addresses")
        return self


class CampaignSpec(Group):
    """Images to be labeled, by whom, with which labels, until when, and where the dataset goes."""

    title: Annotated[str, AfterValidator(_checked_title)] = Field(
        title="Title",
        description="Unique; names the campaign, its image set and its datasets.",
        min_length=1,
        max_length=120,
        json_schema_extra=at(0),
    )
    platform: Annotated[str, AfterValidator(known_platform)] = Field(
        "campaign_api", title="Platform", description="The labeling platform.", json_schema_extra=platform_choices
    )
    connection: str | None = Field(
        None,
        title="Connection",
        description="Name of the credentials: a connection of the settings, or block:NAME for a Prefect block. "
        "By default the connection called like the platform.",
        json_schema_extra=at(2),
    )
    images: ImagesFrom = Field(title="Images", json_schema_extra=at(3))
    labels: Annotated[list[LabelSpec], BeforeValidator(labels_from_names), AfterValidator(checked_labels)] = Field(
        title="Labels", min_length=1, json_schema_extra=at(4)
    )
    labeler: Annotated[str, AfterValidator(_checked_labeler)] = Field(
        title="Labeler",
        description="E-mail address of the labeling partner.",
        min_length=3,
        json_schema_extra={**at(5), "pattern": "[^@]@[^@]"},
    )
    instructions: str = Field("", title="Instructions", description="What labelers read.", json_schema_extra=at(6))
    timezone: Annotated[str, AfterValidator(_known_time_zone)] | None = Field(
        None,
        title="Time zone",
        description="Of the deadline: an IANA name, such as Europe/Amsterdam. By default that of the machine.",
        json_schema_extra=at(8),
    )
    deadline: Annotated[datetime, BeforeValidator(end_of_date), AfterValidator(_in_own_time_zone)] | None = Field(
        None,
        title="Deadline",
        description="When the labels are needed. A date alone means the end of that day, in the campaign's time zone.",
        json_schema_extra=at(7),
    )
    export: ExportTo = Field(default_factory=ExportTo, title="Export", json_schema_extra=at(9))
    metadata: dict[str, str | int | float | bool | None] = Field({}, title="Metadata", json_schema_extra=at(10))
    options: dict[str, Any] = Field(
        {}, title="Platform options", description="What only this platform knows.", json_schema_extra=at(11)
    )
    on_unsupported: Literal["refuse", "ignore"] = Field(
        "refuse",
        title="What the platform cannot show",
        description="Attributes, colours, translations and the like that the platform cannot show to labelers: refuse "
        "the campaign, or ignore them.",
        json_schema_extra=at(12),
    )

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> CampaignSpec:
        faults: list[tuple[tuple[str, ...], str]] = []
        if info.context != STORED:
            faults += credential_faults(self.model_dump(mode="json"))
        if self.export.split is not None:
            faults += group_split_faults(self.export.split.by, self.images.manifest or self.images.video)
        if faults:
            raise Faults(faults)
        if self.images.video and self.export.split is not None:
            self.export = self.export.model_copy(update={"split": self.export.split.by_video()})
        self.schema_of_labels()
        return self

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
        return domain.LabelSchema(tuple(label.to_domain() for label in self.labels))

    def with_paths_from(self, folder: Path) -> CampaignSpec:
        """A copy whose relative paths are made absolute, relative to `folder`."""

        def absolute(path: str) -> str:
            return str((folder / in_home(path)).resolve())

        images, export = self.images, self.export
        return self.model_copy(
            update={
                "images": images.model_copy(
                    update={
                        "folder": images.folder and absolute(images.folder),
                        "manifest": images.manifest and absolute(images.manifest),
                        "files": [absolute(path) for path in images.files],
                        "video": [absolute(path) for path in images.video],
                    }
                ),
                "export": export.model_copy(update={"folder": absolute(export.folder)}),
            }
        )


def stored_spec(document: dict[str, Any]) -> CampaignSpec:
    """The campaign of a document from the ledger."""
    return CampaignSpec.model_validate(document, context=STORED)


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
    return validate_document(read_document(text, source), source)


def validate_spec(document: dict[str, Any], source: str, node: yaml.Node | None = None) -> CampaignSpec:
    """Validates a parsed document. Raises SpecError, which lists every fault."""
    return validate_document(Document(document, node), source)


def validate_document(document: Document, source: str) -> CampaignSpec:
    """Validates a file as YAML reads it. Raises SpecError, which lists every fault with its line."""
    faults = FaultList(source, document.node, _GROUPS)
    faults.add_lines(document.faults)
    spec = None
    try:
        spec = CampaignSpec.model_validate(document.values)
    except ValidationError as error:
        faults.add_validation(error)
        add_hidden_faults(document.values, error, faults, _GROUPS, IMAGE_SOURCES)
    if spec is None or faults:
        raise SpecError("\n".join(faults), faults.line_numbers())
    return spec


_GROUPS: dict[str, type[BaseModel]] = {
    "": CampaignSpec,
    "images": ImagesFrom,
    "labels": LabelSpec,
    "export": ExportTo,
    "split": SplitInto,
    "attributes": AttributeSpec,
}
