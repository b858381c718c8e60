"""Why the files of a dataset cannot be written."""

from __future__ import annotations


class NotDelivered(ValueError):
    """An image of the manifest has no labels, not even an empty list; the validation should have refused it."""

    error_code = "LW5009"


class ImageChanged(NotDelivered):
    """An image cannot be read any more, or has other bytes than when it was checked; the message says which."""

    error_code = "LW5014"


class LibraryMissing(NotDelivered):
    """The library that writes a format is not installed; the message says how to install it."""

    error_code = "LW5015"
