"""Finds images that a platform reads in another size, at launch, before anybody labels them in vain.

Labels are measured in pixels of the image as browsers show it. A platform that reads another size shows the image
turned otherwise (it reads its orientation as browsers do not), scaled, or another frame of it: labels drawn there would
not fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labelwright.domain import Reject, Size
from labelwright.domain.commands import quoted
from labelwright.platforms import PlatformRefused
from labelwright.platforms.protocol import RemoteImage, WithdrawsImages
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import log

from .image_checks import FilesLeftOut, report_rejects

_SHOWN = 20
_ADVICE = (
    "Save these files upright, as JPEG or PNG, and launch them under another title. To give this campaign up: "
    "labelwright cancel {title}"
)


class SizesDiffer(PlatformRefused):
    """The platform reads images in another size than they have, and they cannot be left out."""

    error_code = "LW3003"


@dataclass(frozen=True, slots=True)
class ResizedImage:
    """An image that the platform reads in another size."""

    id: str
    """The platform's."""
    name: str
    reason: str


def resized_images(platform: str, images: Sequence[RemoteImage], sizes: Mapping[str, Size]) -> list[ResizedImage]:
    """The images whose size differs from the manifest's (`sizes`, by name). Platforms that give no size give 0."""
    return [
        ResizedImage(image.id, image.name, _reason(platform, image, size))
        for image in images
        if (size := sizes.get(image.name)) is not None
        and image.width > 0
        and image.height > 0
        and (image.width, image.height) != (size.width, size.height)
    ]


def _reason(platform: str, image: RemoteImage, size: Size) -> str:
    turned = (image.width, image.height) == (size.height, size.width)
    why = "so"
    if turned:
        why = "it does not turn the image as its EXIF orientation says, and"
        if image.name.lower().endswith(".webp"):
            why = "it turns the image by an orientation that browsers do not follow in WebP, and"
    remote_size = f"{image.width} x {image.height}"
    own_size = f"{size.width} x {size.height}"
    return f"{platform} sees {remote_size} pixels, it has {own_size}: {why} labels drawn there would not fit"


def is_launched(context: CampaignContext) -> bool:
    """Whether the campaign was activated for its labelers."""
    activated = context.ledger.effects.find(context.title, "activate")
    return activated is not None and activated.done_at is not None


def withdraw_resized(context: CampaignContext, resized: Sequence[ResizedImage]) -> bool:
    """Remove the images from a campaign that is being launched, and from the manifest, with their reasons.

    Returns whether any was removed: the platform may have removed others along with them, so its images have to be
    listed again. From a campaign that was launched before nothing is removed: they are logged.
    Raises SizesDiffer where the platform cannot remove images, FilesLeftOut (strict, or no image is left).
    """
    if not resized:
        return False
    if is_launched(context):
        warn_of_resized(context, resized)
        return False
    if not isinstance(context.platform, WithdrawsImages):
        refuse_resized(context, resized)
    # The platform first: an image in the campaign that is not in the manifest counts as foreign.
    context.require_capability(WithdrawsImages).withdraw_images(context.remote_id, [image.id for image in resized])
    drop_resized(context, resized)
    return True


def drop_resized(context: CampaignContext, resized: Sequence[ResizedImage]) -> None:
    """Move the images from the manifest to the rejects. Raises FilesLeftOut (strict, or no image is left)."""
    warn_of_resized(context, resized)
    for image in resized:
        context.ledger.manifests.drop(context.title, Reject(image.name, image.reason))
    report_rejects(context)
    if context.spec.images.strict:
        raise FilesLeftOut(
            f"{len(resized)} images have another size on the platform and the campaign is strict: {_listed(resized)}"
        )
    if not context.record.images:
        raise FilesLeftOut(f"no image is left, each has another size on the platform: {_listed(resized)}")


def refuse_resized(context: CampaignContext, resized: Sequence[ResizedImage]) -> None:
    """Raises SizesDiffer with the list of images."""
    raise SizesDiffer(
        context.platform.name,
        "show images in their size",
        message=f"{len(resized)} images have another size there: {_listed(resized)}",
        advice=_ADVICE.format(title=quoted(context.title)),
    )


def warn_of_resized(context: CampaignContext, resized: Sequence[ResizedImage]) -> None:
    for image in resized[:_SHOWN]:
        log().warning("%s: %s: %s", context.title, image.name, image.reason)
    if len(resized) > _SHOWN:
        log().warning("%s: %d more images have another size on the platform", context.title, len(resized) - _SHOWN)


def _listed(resized: Sequence[ResizedImage]) -> str:
    return "; ".join(f"{image.name}: {image.reason}" for image in resized[:_SHOWN])
