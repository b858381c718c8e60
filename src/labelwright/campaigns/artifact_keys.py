"""Keys of the artifacts that campaigns have in Prefect."""

from __future__ import annotations

import re
from hashlib import sha256


def artifact_key(title: str, name: str) -> str:
    """A key of lower-case letters, digits and dashes, as Prefect requires; a hash keeps similar titles apart."""
    plain = re.sub(r"[^a-z0-9]+", "-", f"{title}-{name}".lower()).strip("-")
    if plain == f"{title}-{name}":
        return plain
    return f"{plain}-{sha256(title.encode()).hexdigest()[:8]}"
