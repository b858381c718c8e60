"""Label Studio."""

from labelwright.platforms.entry import Adapter, Credential, PlatformEntry
from labelwright.platforms.image_limits import ImageLimits
from labelwright.platforms.label_support import LabelSupport


def load() -> Adapter:
    from .adapter import LabelStudio, Options, connect
    from .label_config import check_labels

    return Adapter(LabelStudio, Options, connect, check_labels)


ENTRY = PlatformEntry(
    name="label_studio",
    title="Label Studio",
    description="Label Studio, the open-source server (tried: 1.23)",
    load=load,
    needs=(Credential.URL, Credential.KEY),
    webhook_header="x-labelwright-secret",
    labels=LabelSupport(
        polygons=True,
        whole_images=True,
        attribute_choices=True,
        attribute_texts=True,
        attribute_defaults=False,
        required_attributes=False,
        hierarchy=False,
        parents_drawn=False,
        mixed_hierarchy=False,
        colors=True,
        translations=False,
        instructions=True,
    ),
    assigns_labelers=False,
    images=ImageLimits(formats=frozenset({"JPEG", "PNG", "GIF", "BMP", "WEBP"}), stops_launch=True),
)
