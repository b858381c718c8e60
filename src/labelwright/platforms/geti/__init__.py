"""Sonoma Creek 1.x and Intel Geti 2.x."""

from labelwright.platforms.entry import Adapter, Credential, PlatformEntry
from labelwright.platforms.image_limits import ImageLimits
from labelwright.platforms.label_support import LabelSupport


def load() -> Adapter:
    from .adapter import Geti, Options, connect
    from .labels import check_labels

    return Adapter(Geti, Options, connect, check_labels)


ENTRY = PlatformEntry(
    name="geti",
    title="Geti",
    description="Sonoma Creek 1.x and Intel Geti 2.x: a campaign is a project",
    load=load,
    needs=(Credential.URL,),
    labels=LabelSupport(
        polygons=True,
        whole_images=True,
        attribute_choices=False,
        attribute_texts=False,
        attribute_defaults=False,
        required_attributes=False,
        hierarchy=True,
        parents_drawn=True,
        mixed_hierarchy=False,
        colors=True,
        translations=False,
        instructions=False,
    ),
    assigns_labelers=False,
    unchangeable="Its API creates projects with their labels, and no call is known here that adds one later. Add the "
    "label on the project's page in Geti, then run the command again with --ledger-only",
    images=ImageLimits(
        smallest_side=32,
        largest_side=20_000,
        formats=frozenset({"JPEG", "MPO", "PNG", "BMP", "TIFF", "WEBP"}),
        stops_launch=True,
    ),
)
