"""Plans a campaign: checks its images and lists what launching would create, without side effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from labelwright.datasets.names import file_stem
from labelwright.datasets.writers.ultralytics import FORMATS_FOR_ULTRALYTICS
from labelwright.domain.errors import CannotRun, text_with_code, with_code
from labelwright.ingest import InventoryItem, NearDuplicateSearch, build_inventory
from labelwright.ingest.checks.near_duplicates import in_words as near_duplicates_in_words
from labelwright.platforms import PlatformError, PlatformRefused, PlatformUnavailable
from labelwright.platforms.image_limits import ImageLimits
from labelwright.platforms.protocol import BillsTasks, KeepsImageSets, TakesImages
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import Settings, SettingsError

from .accepted_images import AcceptedImages, documented_limits, limits_of_platform
from .billing import TooManyTasks, bill_of, in_words, refuse_over_limit
from .connections import Connections
from .image_notes import ImageNotes
from .image_source import limits_of, open_source
from .name_notes import NameNotes
from .notebook_tables import facts_as_html
from .platform_access import check_access, platform_of
from .reader_notes import ReaderNotes
from .shared_paths import note_on_images, refuse_unshared
from .spec import BLOCK, CampaignSpec
from .split_preview import SplitPreview
from .unsupported import Unsupported, reasons_to_refuse, unsupported_in


@dataclass(slots=True)
class Plan:
    """What would be uploaded, created and exported."""

    title: str
    platform: str
    labeler: str
    labels: list[str]
    deadline: str | None
    timezone: str | None = None
    images: int = 0
    bytes: int = 0
    largest: str = ""
    batches: int = 0
    rejects: list[dict[str, str]] = field(default_factory=list)
    near_duplicates: list[dict[str, Any]] = field(default_factory=list)
    """Groups of images that look alike: the `first` one, and the `others`."""
    look_alike: str = ""
    """The same as a sentence; empty without any."""
    create: list[str] = field(default_factory=list)
    export: list[str] = field(default_factory=list)
    billed: int | None = None
    """Tasks that will be billed; None where nothing is billed, or when it is unknown without credentials."""
    billing: str = ""
    """The bill as a sentence."""
    refusal: str = ""
    """Why launching would be refused, one reason a line."""
    access: str = ""
    """What responded at the platform's address; empty when it was not asked or did not respond."""
    frames: str = ""
    """Of which videos the images are, and where they are kept until the launch."""
    split: dict[str, dict[str, int]] = field(default_factory=dict)
    """By part of the split, the number of images, and of groups that are kept together."""
    parts: list[str] = field(default_factory=list)
    """The same as sentences."""
    warnings: list[str] = field(default_factory=list)
    """What else to know before launching."""

    def refuse(self, reason: str) -> None:
        self.refusal = "\n".join(filter(None, (self.refusal, reason)))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def _repr_html_(self) -> str:
        """For notebooks: what would be done, and what stands against it."""
        facts = {
            "would upload": f"{self.images:,} images, {self.bytes / 1e6:,.1f} MB",
            "would leave out": f"{len(self.rejects):,} files",
            "would create": "; ".join(self.create),
            "would export": "; ".join(self.export),
            "warnings": "; ".join(self.warnings),
            "launching would be refused": self.refusal,
        }
        return facts_as_html(self.title, facts)


def make_plan(
    spec: CampaignSpec,
    settings: Settings,
    connections: Connections,
    on_file: Callable[[int], None] | None = None,
) -> Plan:
    """Checks every image as launching does, and asks the platform which it accepts. Raises SourceError.

    Writes nothing, except that frames of videos are extracted, which launching then need not do.

    on_file: called with the number of files that were checked so far.
    """
    deadline = spec.deadline.isoformat() if spec.deadline else None
    labels = [label.name for label in spec.labels]
    plan = Plan(spec.title, spec.platform, spec.labeler, labels, deadline, spec.timezone)
    if spec.passed_deadline:
        plan.warnings.append(f"the deadline has passed: {spec.passed_deadline}")
    largest, source = (0, ""), open_source(spec.images, connections.image_settings(settings, spec.images))
    names, readers, split = NameNotes(), ReaderNotes(spec.export.formats), spec.export.split
    notes, videos = ImageNotes(), set[str | None]()
    preview = SplitPreview(split.as_split()) if split is not None else None
    accepted = AcceptedImages(spec, _limits_of_platform(spec, connections), source)
    near = NearDuplicateSearch(skip=spec.images.near_duplicates == "skip")
    found = build_inventory(source, replace(limits_of(spec.images), perceptual_hash=True))
    for number, item in enumerate(near.check(accepted.check(found)), 1):
        if isinstance(item, InventoryItem):
            names.add(item)
            readers.add(item.image)
            if preview is not None:
                preview.add(item)
            plan.images += 1
            plan.bytes += item.image.bytes
            largest = max(largest, (item.image.bytes, item.image.name))
            notes.add(item.image)
            videos.add(item.frame.video if item.frame is not None else None)
        else:
            plan.rejects.append({"file": item.name, "reason": item.reason})
        if on_file is not None:
            on_file(number)
    _add_near_duplicates(plan, near, spec)
    plan.largest = largest[1]
    plan.frames = _frames_of(len(videos - {None}), plan, settings)
    plan.batches = -(-plan.images // settings.batch_size)
    plan.create = [f"campaign '{spec.title}' for {spec.labeler}"]
    adapter = PLATFORMS[spec.platform].adapter()
    if issubclass(adapter, KeepsImageSets):
        plan.create.insert(0, f"image set '{spec.title}'")
    if issubclass(adapter, BillsTasks):
        _add_bill(plan, spec, connections)
    plan.export = _exported(spec)
    _check_labels(plan, spec)
    plan.warnings += filter(None, [names.sentence(), *readers.sentences(), *notes.lines()])
    if "validation" not in (split.as_split().parts if split is not None else ()):
        plan.warnings += [
            f"{name}: no images are set aside for validation, so data.yaml names the training images. Add export.split"
            for name in spec.export.formats
            if name in FORMATS_FOR_ULTRALYTICS
        ]
    if preview is not None:
        plan.split, plan.parts = preview.counts(), preview.sentences()
        plan.warnings += preview.warnings()
    if refusal := accepted.refusal():
        plan.refuse(with_code(refusal, "LW1310"))
    return plan


def _frames_of(videos: int, plan: Plan, settings: Settings) -> str:
    return f"of {videos:,} videos; {plan.bytes / 1e6:,.1f} MB in {settings.frames_folder}" if videos else ""


def _limits_of_platform(spec: CampaignSpec, connections: Connections) -> ImageLimits:
    """Those of the registry where only a flow can read the credentials, from a block."""
    if spec.connection_name.startswith(BLOCK):
        return documented_limits(spec)
    return limits_of_platform(spec, lambda: connections.platform_for(spec))


def add_access(plan: Plan, spec: CampaignSpec, settings: Settings, connections: Connections) -> None:
    """Asks the platform once, and looks the workspace up. Adds what launching would be refused for, and warnings.

    The embedded service need not run yet: `labelwright run` starts it.
    """
    if spec.connection_name.startswith(BLOCK):
        plan.warnings.append(f"the credentials of {spec.connection_name} are checked when the campaign is launched")
    else:
        _add_platform_access(plan, spec, connections)
    if note := note_on_images(spec, settings):
        plan.warnings.append(note)
    try:
        refuse_unshared(spec, settings)
    except SettingsError as error:
        plan.refuse(text_with_code(error))
    if spec.export.store == "azure_ml" and not spec.export.workspace.startswith(BLOCK):
        try:
            settings.workspace(spec.export.workspace)
        except SettingsError as error:
            plan.refuse(text_with_code(error))


def _add_platform_access(plan: Plan, spec: CampaignSpec, connections: Connections) -> None:
    try:
        platform = platform_of(spec, connections)
        if isinstance(platform, TakesImages) and (size := platform.batch_size()) is not None:
            plan.create.append(f"{-(-plan.images // size):,} tasks of at most {size:,} images")
        plan.access = check_access(spec, connections)
    except PlatformUnavailable as error:
        plan.warnings.append(text_with_code(error))
    except (SettingsError, CannotRun, PlatformRefused) as error:
        if isinstance(error, SettingsError) and spec.connection_name == spec.platform == "campaign_api":
            plan.warnings.append(f"{error}. `labelwright run` starts the embedded one itself")
        else:
            plan.refuse(text_with_code(error))


def _check_labels(plan: Plan, spec: CampaignSpec) -> None:
    """Adds what the platform cannot show to the reasons to refuse, or to the warnings when it is to be ignored."""
    for reason in reasons_to_refuse(spec):
        plan.refuse(with_code(reason, Unsupported.error_code))
    if spec.on_unsupported == "ignore":
        plan.warnings += [f"ignored: {loss}" for loss in unsupported_in(spec)]


def _add_near_duplicates(plan: Plan, near: NearDuplicateSearch, spec: CampaignSpec) -> None:
    groups = near.groups()
    plan.near_duplicates = [
        {"first": group.first.name, "others": [image.name for image in group.others]} for group in groups
    ]
    if groups:
        skipped = spec.images.near_duplicates == "skip"
        what = "left out" if skipped else "all taken. To leave these out: images.near_duplicates: skip"
        plan.look_alike = f"{near_duplicates_in_words(groups)}, {what}"


def _exported(spec: CampaignSpec) -> list[str]:
    if spec.export.store == "local":
        name = file_stem(spec.title)
        return [f"{spec.export.folder}/{name}_images", f"{spec.export.folder}/{name}_labels"]
    from labelwright.stores.azure_ml.names import asset_name

    where = f"Azure ML workspace '{spec.export.workspace}' by {spec.export.engine}"
    return [f"{where}: {asset_name(spec.title, ending)}" for ending in ("_images", "_labels")]


def _add_bill(plan: Plan, spec: CampaignSpec, connections: Connections) -> None:
    try:
        platform = connections.platform_for(spec)
        credentials = connections.credentials_of(spec.connection_name, spec.platform)
        bill = bill_of(platform, plan.images, credentials.most_tasks)
    except (SettingsError, PlatformError) as error:
        plan.billing = f"{plan.images:,} tasks will be billed, unless it is a test key: {error}"
        return
    if bill is not None:
        plan.billed, plan.billing = bill.tasks, in_words(bill)
        try:
            refuse_over_limit(spec.title, platform.name, bill)
        except TooManyTasks as refusal:
            plan.refuse(text_with_code(refusal))
