"""What commands print with --json, as types, and the JSON Schemas that are made from them.

Scripts may rely on the names and types here. Later versions may add fields; none is removed or changes its type without
a note in the changelog.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter


class _Output(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Done(_Output):
    """What was done."""

    done: str


class _CampaignFacts(_Output):
    title: str
    state: str
    reason: str | None
    """Why it needs attention, with the error code at its end."""
    platform: str
    labeler: str
    deadline: str | None
    images: int | None
    """None until the images are checked."""
    done: int
    total: int | None
    image_set: str | None
    remote_id: str | None
    """The campaign's id on the platform."""
    created_at: str
    looked_at: str | None
    """When the platform was last asked."""
    unanswered_notes: int
    """Notes of labelers without an answer, when a sweep last looked."""
    left_out: dict[str, Any]
    """Shapes that were dropped or changed, by reason."""
    images_per_hour: float | None
    expected_end: str | None
    waiting: str | None
    """Why no run works on it at this moment."""


class CampaignInList(_CampaignFacts):
    """One campaign of the list."""

    image_states: dict[str, int]
    """Number of images that are not labeled, by state."""


class LabelerOfCampaign(_Output):
    labeler: str
    done: int
    total: int
    remaining_hours: float | None


class EffectOfCampaign(_Output):
    """A step outside of Labelwright: on the platform, in the store."""

    step: str
    item: str
    intended_at: str
    done_at: str | None
    outcome: str | None


class MoveOfCampaign(_Output):
    was: str | None
    became: str
    at: str
    why: str | None


class RejectedFile(_Output):
    file: str
    reason: str


class ListedImage(_Output):
    image: str
    reason: str


class ImagesInState(_Output):
    count: int
    images: list[ListedImage]
    """The first thousand."""


class RegisteredVersion(_Output):
    """A registered version of a dataset."""

    campaign: str
    name: str
    version: str
    location: str
    content_hash: str
    registered_at: str
    exported_at: str
    newest: bool
    receipt_sha256: str
    host: str
    store_identity: str


class Campaign(_CampaignFacts):
    """One campaign in detail."""

    labelers: list[LabelerOfCampaign]
    effects: list[EffectOfCampaign]
    moves: list[MoveOfCampaign]
    rejects: list[RejectedFile]
    image_states: dict[str, ImagesInState]
    datasets: list[RegisteredVersion]


class SweptCampaign(_Output):
    state: str | None
    images: dict[str, int]
    reason: str | None
    failure: str | None
    """Why it could not be checked; null when it was."""
    needs_person: bool
    unanswered_notes: int


class PlanOfCampaign(_Output):
    """What a launch would do."""

    title: str
    platform: str
    labeler: str
    labels: list[str]
    deadline: str | None
    timezone: str | None
    images: int
    bytes: int
    largest: str
    batches: int
    rejects: list[dict[str, str]]
    near_duplicates: list[dict[str, Any]]
    look_alike: str
    create: list[str]
    export: list[str]
    billed: int | None
    billing: str
    refusal: str
    """Why launching would be refused, one reason a line; empty when it would not."""
    access: str
    frames: str
    split: dict[str, dict[str, int]]
    parts: list[str]
    warnings: list[str]


class FailedImages(_Output):
    campaign: str
    failed: list[dict[str, str]]
    done: str | None


class Note(_Output):
    """A labeler's note."""

    id: str
    image: str
    text: str
    author: str
    written_at: str
    label: str
    answer: str | None


class LabelerKey(_Output):
    labeler: str
    campaign_id: str | None
    key: str
    secret: str | None
    link: str | None


class ListedDataset(RegisteredVersion):
    platform: str
    store: str
    images: int | None
    elsewhere: str = ""
    """On which other machine it is; empty when it is here."""


class DatasetWithReceipt(ListedDataset):
    newest_version: str
    receipt: dict[str, Any]
    """As the store has it, see docs/datasets.md."""


class VerifiedDataset(_Output):
    name: str
    version: str
    newest: bool
    location: str
    wrong: list[str]
    unchecked: list[str]
    repair: str
    host: str
    elsewhere: str


class VersionOfImage(_Output):
    name: str
    version: str
    newest: bool
    location: str
    host: str
    elsewhere: str


class ImageOfCampaign(_Output):
    sha256: str
    name: str
    size: str
    location: str
    video: str = ""
    frame: int = 0
    time_seconds: float = 0
    campaign: str
    state: str
    platform: str
    platform_campaign_id: str | None
    platform_image_set_id: str | None
    platform_image_id: str | None
    labeler: str
    excluded: str
    labels: Any
    datasets: list[VersionOfImage]


class LineageOfImage(_Output):
    object: dict[str, Any] = {}
    sha256: str
    found: list[ImageOfCampaign]


class StatisticsFinding(_Output):
    kind: str
    image: str
    label: str
    box: list[float]
    labeler: str


class VersionName(_Output):
    name: str
    version: str
    campaign: str


class AgreementWithEarlier(_Output):
    version: str
    agreement: float | None
    """Share of the objects of both versions that are unchanged; null without objects."""
    objects: dict[str, int]


class DatasetStatistics(VersionName):
    images: int
    images_without_labels: int
    objects: dict[str, int]
    images_by_label: dict[str, int]
    whole_image_labels: dict[str, int]
    sizes: dict[str, list[float]]
    """By label: the smallest, the quartiles, the largest, as square roots of areas in pixels."""
    per_image: dict[str, int]
    positions: list[list[int]]
    together: dict[str, dict[str, int]]
    labelers: dict[str, dict[str, float]]
    origins: dict[str, dict[str, int]]
    unused: list[str]
    unusual_labelers: list[str]
    found: dict[str, int]
    findings: list[StatisticsFinding]
    earlier: AgreementWithEarlier | None
    """How it compares with the version before; null without one."""


class MovedPixels(_Output):
    median: float
    largest: float


class ChangedObject(_Output):
    status: str
    image: str
    sha256: str
    before: str | None
    after: str | None
    pixels: float
    box: list[float] | None
    labelers: list[str]


class DatasetDifferences(_Output):
    first: VersionName
    second: VersionName
    differs: bool
    agreement: float | None
    """Share of the objects of both versions that are unchanged; null without objects."""
    tolerance: float
    masks_by_boxes: bool
    images: dict[str, int]
    objects: dict[str, int]
    moved_pixels: MovedPixels | None
    by_label: dict[str, dict[str, int]]
    by_labeler: dict[str, dict[str, int]]
    changes: list[ChangedObject]


class DoctorFinding(_Output):
    area: str
    level: str
    says: str
    do: str
    code: str
    """Its entry in docs/errors.md; empty when nothing is wrong."""


class DoctorReport(_Output):
    version: str
    well: bool
    findings: list[DoctorFinding]


class FileFault(_Output):
    message: str
    code: str
    line: int | None


class CheckedFile(_Output):
    file: str
    valid: bool
    title: str | None
    faults: list[FileFault]
    warnings: list[str]


class WrittenFile(_Output):
    file: str


class SpreadsheetCopy(_Output):
    file: str
    rows: int


class ComparedProject(_Output):
    """A copy of a project. With --no-verify it has no comparison."""

    not_saved: list[str]
    """What the server refused to give, and the backup lacks."""
    differences: list[str] = []
    """Always empty: a copy that differs ends with an error."""
    notes: list[str] = []
    not_compared: list[str] = []
    reencoded: int = 0
    """Images that the server encoded anew."""


class SavedProject(ComparedProject):
    project: str
    """Id of the project on the server."""
    folder: str
    images: int
    videos: int
    scenes: int
    """Annotated images and frames."""
    annotations: int
    bytes: int


class RestoredProject(ComparedProject):
    project: str
    """Id of the new project on the server."""
    name: str
    media: int


class ExplainedError(_Output):
    code: str
    area: str
    messages: list[str]
    cause: str
    remedy: str


SCHEMAS: dict[str, Any] = {
    "adopt": Done,
    "backup": SavedProject,
    "blocks": list[str],
    "cancel": Done,
    "change": Done,
    "datasets diff": DatasetDifferences,
    "datasets lineage": LineageOfImage,
    "datasets list": list[ListedDataset],
    "datasets show": DatasetWithReceipt,
    "datasets spreadsheet": SpreadsheetCopy,
    "datasets statistics": DatasetStatistics,
    "datasets verify": list[VerifiedDataset],
    "deliver": Campaign,
    "demo": Campaign,
    "deploy": list[str],
    "doctor": DoctorReport,
    "explain": list[ExplainedError],
    "export": Campaign,
    "failed": FailedImages,
    "finish": Campaign,
    "forget": Done,
    "init": WrittenFile,
    "labeler-key": LabelerKey,
    "launch": Campaign,
    "notes": list[Note] | Done,
    "notify": list[str],
    "pause": Done,
    "plan": PlanOfCampaign,
    "prepare-ledger": Done,
    "reopen": Done,
    "restore": RestoredProject,
    "resume": Campaign,
    "run": Campaign,
    "status": list[CampaignInList] | Campaign,
    "sweep": dict[str, SweptCampaign],
    "up": dict[str, str],
    "validate": list[CheckedFile],
}
"""The type of what each command prints with --json."""


def schema_of(command: str) -> dict[str, Any]:
    """Returns the JSON Schema (2020-12) of a command's output. Raises KeyError for a command without --json."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **TypeAdapter(SCHEMAS[command]).json_schema(),
        "title": f"labelwright {command} --json",
    }
