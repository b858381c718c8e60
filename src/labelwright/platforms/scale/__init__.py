"""Platform adapter for Scale AI."""

from labelwright.platforms.entry import Adapter, Credential, PlatformEntry
from labelwright.platforms.image_limits import ImageLimits
from labelwright.platforms.label_support import LabelSupport


def load() -> Adapter:
    from .adapter import Options, Scale, connect
    from .options import image_limits
    from .order import check_labels

    return Adapter(Scale, Options, connect, check_labels, image_limits)


ENTRY = PlatformEntry(
    name="scale",
    title="Scale AI",
    description="Scale AI",
    load=load,
    needs=(Credential.URL, Credential.KEY),
    webhook_header="scale-callback-auth",
    labels=LabelSupport(
        polygons=True,
        whole_images=True,
        attribute_choices=True,
        attribute_texts=True,
        attribute_defaults=False,
        required_attributes=False,
        hierarchy=True,
        parents_drawn=False,
        mixed_hierarchy=False,
        colors=False,
        translations=False,
        instructions=True,
    ),
    assigns_labelers=False,
    unchangeable="Its tasks keep the labels and instructions with which they were created. Launch new labels as a "
    "campaign of their own, under another title. Instructions of a Rapid project can be changed on the project's page: "
    "then run the command again with --ledger-only",
    images=ImageLimits(
        largest_side=10_000,
        most_bytes_uploaded=80_000_000,
        formats=frozenset({"JPEG", "MPO", "PNG", "BMP", "GIF", "TIFF"}),
        stops_launch=True,
    ),
)
