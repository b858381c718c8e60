"""XML documents of the Azure Blob API."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element, ParseError, SubElement, XMLPullParser, tostring

from .store import Blob

_MOST_BLOCKS = 50_000
_MOST_ATTRIBUTES = 100
"""Of the XML declaration, and namespaces. A million of them would take 300 MB."""


class BadXml(ValueError):
    """A body that is not the expected XML."""


def error_xml(code: str, message: str) -> bytes:
    root = Element("Error")
    SubElement(root, "Code").text = code
    SubElement(root, "Message").text = message
    return _document(root)


def list_blobs_xml(
    container: str, query: Mapping[str, str], entries: Sequence[Blob | str], following: str | None
) -> bytes:
    root = Element("EnumerationResults", ContainerName=container)
    for tag, parameter in (("Prefix", "prefix"), ("Marker", "marker"), ("MaxResults", "maxresults")):
        if parameter in query:
            SubElement(root, tag).text = query[parameter]
    if "delimiter" in query:
        SubElement(root, "Delimiter").text = query["delimiter"]
    listed = SubElement(root, "Blobs")
    with_metadata = "metadata" in query.get("include", "").split(",")
    for entry in entries:
        if isinstance(entry, str):
            SubElement(SubElement(listed, "BlobPrefix"), "Name").text = entry
        else:
            _blob(listed, entry, with_metadata)
    marker = "" if following is None else urlsafe_b64encode(following.encode()).decode()
    SubElement(root, "NextMarker").text = marker
    return _document(root)


def _blob(listed: Element, blob: Blob, with_metadata: bool) -> None:
    element = SubElement(listed, "Blob")
    SubElement(element, "Name").text = blob.name
    properties = SubElement(element, "Properties")
    for tag, text in (
        ("Creation-Time", blob.modified),
        ("Last-Modified", blob.modified),
        ("Etag", blob.etag.strip('"')),
        ("Content-Length", str(blob.size)),
        ("Content-Type", blob.content_type),
        ("Content-MD5", blob.md5),
        ("BlobType", "BlockBlob"),
        ("LeaseStatus", "unlocked"),
        ("LeaseState", "available"),
        ("ServerEncrypted", "false"),
    ):
        if text is not None:
            SubElement(properties, tag).text = text
    if with_metadata and blob.metadata:
        metadata = SubElement(element, "Metadata")
        for name, value in blob.metadata.items():
            SubElement(metadata, name).text = value


def list_blocks_xml(staged: Mapping[str, tuple[str, int]]) -> bytes:
    root = Element("BlockList")
    SubElement(root, "CommittedBlocks")
    waiting = SubElement(root, "UncommittedBlocks")
    for block_id, (_, size) in staged.items():
        block = SubElement(waiting, "Block")
        SubElement(block, "Name").text = block_id
        SubElement(block, "Size").text = str(size)
    return _document(root)


def block_ids(body: bytes) -> list[str]:
    """Parses the block ids of a `<BlockList>`, in order.

    Raises BadXml. Document types are refused before anything in them is read: no entity can expand.
    """
    if b"\0" in body:  # UTF-16, in which the checks below would not see what they look for
        raise BadXml("a block list is in UTF-8")
    if b"<!" in body:
        raise BadXml("a block list has no document type")
    if body.count(b'"') + body.count(b"'") > 2 * _MOST_ATTRIBUTES:  # ids in base64 have no quotes
        raise BadXml("a block list has no attributes")
    if body.count(b"<") > 2 * (_MOST_BLOCKS + 2):  # before an element is made of each
        raise BadXml("a block list has at most 50,000 blocks")
    parser: XMLPullParser[Element] = XMLPullParser(["end"])
    try:
        parser.feed(body)
        parser.close()
        ended: list[Element] = [event[1] for event in parser.read_events()]  # type: ignore[misc]
    except (ParseError, LookupError) as error:  # LookupError: an encoding that Python does not know
        raise BadXml(f"the block list is not XML: {error}") from None
    if not ended or ended[-1].tag != "BlockList":
        raise BadXml("the body is not a BlockList")
    ids = [(element.text or "").strip() for element in ended[:-1]]
    if len(ids) > _MOST_BLOCKS:
        raise BadXml("a block list has at most 50,000 blocks")
    return ids


def _document(root: Element) -> bytes:
    text: bytes = tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + text
