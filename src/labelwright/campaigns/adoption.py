"""Takes over a campaign that exists on its platform and is not in this ledger: after a loss, or on another machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from labelwright.domain import Reject, State
from labelwright.domain.commands import quoted
from labelwright.domain.errors import AdoptionRefused
from labelwright.ingest import InventoryItem, SourceFile, build_inventory
from labelwright.ledger import CampaignRecord, Ledger, ManifestEntry, campaign_lease, open_ledger
from labelwright.platforms.protocol import (
    FindsDeletedImages,
    KeepsImageSets,
    ListsLabels,
    Platform,
    RemoteCampaign,
    RemoteImage,
    RemoteState,
    RotatesLabelerKeys,
    SetState,
    TakesImages,
)
from labelwright.settings import settings

from .changes import may_be_replaced
from .connections import Connections
from .image_source import entry_of, limits_of, open_source, stamp_of
from .kept_keys import KeptKeys
from .label_agreement import added_labels, missing_labels
from .platform_access import connection_named
from .shared_paths import refuse_unshared
from .spec import CampaignSpec

STEP = "adopt"
_SHOWN = 10
_NOT_THERE = "not in the campaign on the platform when it was taken over"


@dataclass(frozen=True, slots=True)
class Adopted:
    """A campaign that was taken over."""

    state: State
    images: int
    done: int
    left_out: tuple[str, ...]
    """Files that are not in the campaign on the platform."""
    added_labels: tuple[str, ...]
    """Labels of the platform that the file does not have."""
    key_missing: bool
    """Whether no key of the labeler is kept, and the platform can make a new one."""


@dataclass(slots=True)
class _OnPlatform:
    """The campaign as the platform has it."""

    campaign: RemoteCampaign
    image_set: str | None = None
    images: dict[str, RemoteImage] = field(default_factory=dict)
    """By name, as they were uploaded."""
    added_labels: tuple[str, ...] = ()


def adopt(title: str, spec: CampaignSpec, connections: Connections, count: Callable[[int], None]) -> Adopted:
    """Writes the ledger of a campaign from its file, its images and its platform. Uploads and changes nothing there.

    count: called with the number of each image that was checked. Raises CannotRun when file, images and platform do not
    agree, CampaignBusy, PlatformError, SourceError, SettingsError.
    """
    if spec.title != title:
        raise AdoptionRefused(
            f"the file describes '{spec.title}', not '{title}': a campaign is found by its exact title"
        )
    spec, ledger = spec.with_paths_from(settings().home), open_ledger(settings().ledger_address())
    refuse_unshared(spec, settings())
    with ledger.leases.held(campaign_lease(title), "somebody on the command line"), connection_named(spec):
        record = ledger.campaigns.find(title)
        _refuse_recorded(ledger, record)
        platform = connections.platform_for(spec)
        on_platform = _read_platform(platform, spec)
        entries, rejects = _check_images(spec, connections, count)
        left_out = _pair(platform, on_platform, entries, spec)
        rejects += [Reject(name, _NOT_THERE) for name in left_out]
        kept = [entry for entry in entries if entry.image.name not in set(left_out)]
        _write(ledger, record, spec, on_platform, kept, rejects)
        has_key = KeptKeys(settings(), ledger, connections).is_kept(spec.connection_name, spec.labeler)
        return Adopted(
            ledger.campaigns.get(title).state,
            len(kept),
            on_platform.campaign.done,
            tuple(left_out),
            on_platform.added_labels,
            not has_key and isinstance(platform, RotatesLabelerKeys),
        )


def _refuse_recorded(ledger: Ledger, record: CampaignRecord | None) -> None:
    """Raises CannotRun for a campaign that this ledger has. One of which it made nothing may be taken over."""
    if record is None or may_be_replaced(ledger, record):
        return
    if any(effect.done_at is None for effect in ledger.effects.of_step(record.title, STEP)):
        return  # an earlier attempt broke off
    raise AdoptionRefused(
        f"'{record.title}' is in this ledger already ({record.state.value}): labelwright status "
        f"{quoted(record.title)}. To "
        f"write its record anew: labelwright forget {quoted(record.title)} --force, then adopt it"
    )


def _read_platform(platform: Platform, spec: CampaignSpec) -> _OnPlatform:
    title = spec.title
    campaign = platform.find_campaign(title)
    if campaign is None:
        raise AdoptionRefused(
            f"there is no campaign of exactly the title '{title}' on {spec.platform} (connection "
            f"'{spec.connection_name}'): check title and connection, or launch it"
        )
    labels = platform.list_labels(campaign.id) if isinstance(platform, ListsLabels) else campaign.labels
    missing = missing_labels(spec.schema_of_labels(), labels) if labels is not None else []
    if missing:
        raise AdoptionRefused(
            f"{spec.platform} does not have {'; '.join(missing)} in '{title}': correct the campaign file"
        )
    added = added_labels(spec.schema_of_labels(), labels) if labels is not None and not labels.shared else []
    on_platform = _OnPlatform(campaign, added_labels=tuple(added))
    if isinstance(platform, KeepsImageSets):
        _read_image_set(platform, on_platform, title)
    elif isinstance(platform, TakesImages):
        on_platform.images = {image.name: image for image in platform.list_campaign_images(campaign.id)}
    return on_platform


def _read_image_set(platform: KeepsImageSets, on_platform: _OnPlatform, title: str) -> None:
    """Reads which images of the set are in the campaign, and which others are."""
    campaign = on_platform.campaign
    image_set = platform.find_image_set(title)
    if image_set is None or image_set.state is not SetState.FINISHED:
        state = "missing" if image_set is None else image_set.state.value
        raise AdoptionRefused(
            f"the image set of '{title}' is {state} on the platform: launch the images under another title"
        )
    on_platform.image_set = image_set.id
    images = {image.name: image for image in platform.list_images(image_set.id)}
    if campaign.total < len(images) and campaign.total and isinstance(platform, FindsDeletedImages):
        gone = platform.deleted_images(campaign.id, [image.id for image in images.values()])
        images = {name: image for name, image in images.items() if image.id not in gone}
    if campaign.total > len(images) and isinstance(platform, Platform):  # of another set; their labels name them
        cursor, is_first = None, True
        while cursor is not None or is_first:
            is_first, page = False, platform.read_labels(campaign.id, cursor)
            cursor = page.next
            for labeled in page.images:
                width, height = (labeled.size.width, labeled.size.height) if labeled.size is not None else (0, 0)
                images.setdefault(labeled.name, RemoteImage(labeled.remote_id, labeled.name, width, height))
    on_platform.images = images


def _check_images(
    spec: CampaignSpec, connections: Connections, count: Callable[[int], None]
) -> tuple[list[ManifestEntry], list[Reject]]:
    """Opens, decodes and hashes every image of the file, as a launch does."""
    source = open_source(spec.images, connections.image_settings(settings(), spec.images))
    stamps: dict[str, str | None] = {}

    def note_stamp(file: SourceFile) -> None:
        stamps[file.location] = stamp_of(file)

    entries: list[ManifestEntry] = []
    rejects: list[Reject] = []
    for number, item in enumerate(build_inventory(source, limits_of(spec.images), known=note_stamp), 1):
        if isinstance(item, InventoryItem):
            entries.append(entry_of(item, stamps.pop(item.location, None)))
        else:
            rejects.append(item)
        count(number)
    return entries, rejects


def _pair(
    platform: Platform, on_platform: _OnPlatform, entries: Sequence[ManifestEntry], spec: CampaignSpec
) -> list[str]:
    """Returns the names of files that are not in the campaign. Raises CannotRun for images without their file."""
    title, images, campaign = spec.title, on_platform.images, on_platform.campaign
    names = {entry.image.name for entry in entries}
    missing = sorted(set(images) - names)
    if missing or campaign.total > len(images):
        listed = f": {_listed(missing)}" if missing else ""
        number = max(len(missing), campaign.total - len(images))
        raise AdoptionRefused(
            f"{number} images of '{title}' on {spec.platform} are not among the images of the campaign file{listed}. "
            "Put the files there, or correct images in the file, then run this again"
        )
    differing = [entry.image.name for entry in entries if _differs(entry, images)]
    if differing:
        raise AdoptionRefused(
            f"{len(differing)} files are not the images that '{title}' has on {spec.platform}, where they have another "
            f"size: {_listed(differing)}. Put the original files back, then run this again"
        )
    if isinstance(platform, TakesImages) and campaign.state is RemoteState.CREATED:
        return []  # a launch sends what is missing
    return sorted(names - set(images))


def _differs(entry: ManifestEntry, images: Mapping[str, RemoteImage]) -> bool:
    remote, size = images.get(entry.image.name), entry.image.size
    return bool(remote and remote.width and (remote.width, remote.height) != (size.width, size.height))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _write(
    ledger: Ledger,
    record: CampaignRecord | None,
    spec: CampaignSpec,
    on_platform: _OnPlatform,
    entries: Sequence[ManifestEntry],
    rejects: Sequence[Reject],
) -> None:
    """Writes the campaign as if this ledger had launched it. Interrupted, it is written anew by the next attempt."""
    title, campaign, document = spec.title, on_platform.campaign, spec.model_dump(mode="json")
    campaigns, effects, manifests = ledger.campaigns, ledger.effects, ledger.manifests
    if record is None:
        campaigns.add(title, document)
    else:
        campaigns.begin_again(title, document, keep_images=False)
    effects.intend(title, STEP)
    mark = manifests.begin(title)
    manifests.add(title, mark, entries, rejects)
    manifests.complete(title, mark)
    manifests.record_remote_ids(title, ((image.name, image.id) for image in on_platform.images.values()))
    outcomes = {"create campaign": campaign.id}
    if on_platform.image_set is not None:
        campaigns.record_image_set(title, on_platform.image_set)
        outcomes |= {"create image set": on_platform.image_set, "seal image set": "sealed"}
    launched = campaign.state is not RemoteState.CREATED
    if launched:
        outcomes["activate"] = "active"
    for step, outcome in outcomes.items():
        effects.intend(title, step)
        effects.settle(title, step, outcome)
    campaigns.record_remote_campaign(title, campaign.id)
    sent = launched or on_platform.image_set is not None
    for state in (State.UPLOADING, *([State.CREATED] if sent else []), *([State.ACTIVE] if launched else [])):
        campaigns.move(title, state, "taken over from its platform")
    effects.settle(title, STEP, campaign.id)
