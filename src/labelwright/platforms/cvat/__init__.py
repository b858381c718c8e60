"""Platform adapter for CVAT."""

from labelwright.platforms.entry import Adapter, Credential, PlatformEntry
from labelwright.platforms.label_names import LabelNames
from labelwright.platforms.label_support import LabelSupport


def load() -> Adapter:
    from .adapter import Cvat, Options, connect
    from .schema import check_labels

    return Adapter(Cvat, Options, connect, check_labels)


ENTRY = PlatformEntry(
    name="cvat",
    title="CVAT",
    description="CVAT, from 2.15 to the newest",
    load=load,
    needs=(Credential.URL,),
    webhook_header="x-signature-256",
    labels=LabelSupport(
        polygons=True,
        whole_images=True,
        attribute_choices=True,
        attribute_texts=True,
        attribute_defaults=True,
        required_attributes=False,
        hierarchy=False,
        parents_drawn=False,
        mixed_hierarchy=False,
        colors=True,
        translations=False,
        instructions=True,
    ),
    names=LabelNames(longest=64, longest_attribute=64),  # longer labels are cut without a word
)
