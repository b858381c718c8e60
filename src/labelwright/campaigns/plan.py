"""Plans a campaign: checks its images and lists what launching would create, without side effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from labelwright.datasets.names import file_stem
from labelwright.domain.errors import CannotRun
from labelwright.ingest import InventoryItem, build_inventory
from labelwright.platforms import PlatformError, PlatformRefused, PlatformUnavailable
from labelwright.platforms.protocol import BillsTasks, KeepsImageSets, TakesImages
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import Settings, SettingsError

from .billing import TooManyTasks, bill_of, in_words, refuse_over_limit
from .connections import Connections
from .image_source import limits_of, open_source
from .platform_access import check_access, platform_of
from .spec import BLOCK, CampaignSpec
from .unsupported import reasons_to_refuse, unsupported_in

_SHOWN = 5


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
    warnings: list[str] = field(default_factory=list)
    """What else to know before launching."""

    def refuse(self, reason: str) -> None:
        self.refusal = "\n".join(filter(None, (self.refusal, reason)))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def make_plan(
    spec: CampaignSpec,
    settings: Settings,
    connections: Connections,
    on_file: Callable[[int], None] | None = None,
) -> Plan:
    """Checks every image as launching does. Sends and writes nothing. Raises SourceError.

    on_file: called with the number of files that were checked so far.
    """
    deadline = spec.deadline.isoformat() if spec.deadline else None
    labels = [label.name for label in spec.labels]
    plan = Plan(spec.title, spec.platform, spec.labeler, labels, deadline, spec.timezone)
    if spec.passed_deadline:
        plan.warnings.append(f"the deadline has passed: {spec.passed_deadline}")
    largest, limits, faults = (0, ""), PLATFORMS[spec.platform].images, list[str]()
    source = open_source(spec.images, connections.image_settings(settings, spec.images))
    for number, item in enumerate(build_inventory(source, limits_of(spec.images)), 1):
        if isinstance(item, InventoryItem):
            plan.images += 1
            plan.bytes += item.image.bytes
            largest = max(largest, (item.image.bytes, item.image.name))
            fault = limits.fault(item.image)
            faults += [f"{item.image.name} {fault}"] if fault else []
        else:
            plan.rejects.append({"file": item.name, "reason": item.reason})
        if on_file is not None:
            on_file(number)
    plan.largest = largest[1]
    plan.batches = -(-plan.images // settings.batch_size)
    plan.create = [f"campaign '{spec.title}' for {spec.labeler}"]
    adapter = PLATFORMS[spec.platform].adapter()
    if issubclass(adapter, KeepsImageSets):
        plan.create.insert(0, f"image set '{spec.title}'")
    if issubclass(adapter, BillsTasks):
        _add_bill(plan, spec, connections)
    plan.export = _exported(spec)
    _check_labels(plan, spec)
    _add_faults(plan, faults)
    return plan


def _add_faults(plan: Plan, faults: list[str]) -> None:
    """Adds images that the platform does not accept to the reasons to refuse, or to the warnings."""
    if not faults:
        return
    entry = PLATFORMS[plan.platform]
    more = f" and {len(faults) - _SHOWN:,} more" if len(faults) > _SHOWN else ""
    message = f"{entry.shown_name} does not accept {len(faults):,} of the images: {'; '.join(faults[:_SHOWN])}{more}"
    if entry.images.stops_launch:
        plan.refuse(f"{message}. Leave them out (images.exclude), or convert them")
    else:
        plan.warnings.append(f"{message}. It leaves them out")


def add_access(plan: Plan, spec: CampaignSpec, settings: Settings, connections: Connections) -> None:
    """Asks the platform once, and looks the workspace up. Adds what launching would be refused for, and warnings.

    The embedded service need not run yet: `labelwright run` starts it.
    """
    if spec.connection_name.startswith(BLOCK):
        plan.warnings.append(f"the credentials of {spec.connection_name} are checked when the campaign is launched")
    else:
        _add_platform_access(plan, spec, connections)
    if spec.export.store == "azure_ml" and not spec.export.workspace.startswith(BLOCK):
        try:
            settings.workspace(spec.export.workspace)
        except SettingsError as error:
            plan.refuse(str(error))


def _add_platform_access(plan: Plan, spec: CampaignSpec, connections: Connections) -> None:
    try:
        platform = platform_of(spec, connections)
        if isinstance(platform, TakesImages) and (size := platform.batch_size()) is not None:
            plan.create.append(f"{-(-plan.images // size):,} tasks of at most {size:,} images")
        plan.access = check_access(spec, connections)
    except PlatformUnavailable as error:
        plan.warnings.append(str(error))
    except (SettingsError, CannotRun, PlatformRefused) as error:
        if isinstance(error, SettingsError) and spec.connection_name == spec.platform == "campaign_api":
            plan.warnings.append(f"{error}. `labelwright run` starts the embedded one itself")
        else:
            plan.refuse(str(error))


def _check_labels(plan: Plan, spec: CampaignSpec) -> None:
    """Adds what the platform cannot show to the reasons to refuse, or to the warnings when it is to be ignored."""
    for reason in reasons_to_refuse(spec):
        plan.refuse(reason)
    if spec.on_unsupported == "ignore":
        plan.warnings += [f"ignored: {loss}" for loss in unsupported_in(spec)]


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
            plan.refuse(str(refusal))
