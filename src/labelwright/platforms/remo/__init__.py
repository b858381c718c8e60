"""Remo 0.3 and 0.6."""

from labelwright.platforms.entry import Adapter, Credential, PlatformEntry
from labelwright.platforms.image_limits import ImageLimits
from labelwright.platforms.label_support import LabelSupport


def load() -> Adapter:
    from .adapter import Options, Remo, connect
    from .label_check import check_labels

    return Adapter(Remo, Options, connect, check_labels)


ENTRY = PlatformEntry(
    name="remo",
    title="Remo",
    description="Remo, 0.3 and 0.6, on a server of your own",
    load=load,
    needs=(Credential.URL, Credential.SECRET),
    labels=LabelSupport(
        polygons=True,
        whole_images=True,
        attribute_choices=False,
        attribute_texts=False,
        attribute_defaults=False,
        required_attributes=False,
        hierarchy=False,
        parents_drawn=False,
        mixed_hierarchy=False,
        colors=False,
        translations=False,
        instructions=False,
    ),
    assigns_labelers=False,
    images=ImageLimits(formats=frozenset({"JPEG", "PNG", "TIFF"})),
)
