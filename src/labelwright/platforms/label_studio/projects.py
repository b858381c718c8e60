"""Projects: titles, the record that Labelwright keeps in a project's description, and counters.

Label Studio's titles have 3 to 50 characters and are not unique. A campaign whose title is shorter or longer has a
project with a short form of it; the whole title is in the project's description, with what Label Studio has no place
for: whether the campaign was finished, and how far a reopening came.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import CampaignOrder, RemoteCampaign, RemoteState

_SHORTEST, _LONGEST = 3, 50
_NOTICE = "A campaign of Labelwright, which reads the next line: please leave this text as it is."
COUNTERS = "id,title,description,is_published,task_number,finished_task_number,skipped_annotations_number"
"""The fields of a project that tell its state."""
WHOLE = f"{COUNTERS},label_config,expert_instruction,skip_queue,maximum_annotations,model_version"


def project_title(title: str) -> str:
    """Returns the title of a campaign's project: its own one where that fits, else the begin of it and a digest."""
    if _SHORTEST <= len(title) <= _LONGEST and title == title.strip():
        return title
    digest = hashlib.sha256(title.encode()).hexdigest()[:8]
    return f"{title.strip()[: _LONGEST - 10].strip()} ~{digest}"


def digest_of(order: CampaignOrder) -> str:
    """Returns a digest of what a campaign is created from."""
    labels = [(label.name, label.geometry.value) for label in order.labels]
    text = json.dumps([order.title, labels, order.instructions], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot of all annotations on the server."""

    id: int
    md5: str


@dataclass(frozen=True, slots=True)
class Record:
    """What Labelwright keeps in a project's description."""

    title: str
    order: str = ""
    snapshot: Snapshot | None = None
    """Set while the campaign is finished."""
    last_snapshot: int = 0
    """Id of the newest snapshot of earlier finishes."""
    reopening: int = 0
    """While the campaign is being reopened: the id of its newest annotation when that began."""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        fields: dict[str, Any] = {"labelwright": self.title, "order": self.order}
        if self.snapshot is not None:
            fields["snapshot"], fields["md5"] = self.snapshot.id, self.snapshot.md5
        for name, value in (("last_snapshot", self.last_snapshot), ("reopening", self.reopening)):
            if value:
                fields[name] = value
        if self.metadata:
            fields["metadata"] = dict(self.metadata)
        return f"{_NOTICE}\n{json.dumps(fields, ensure_ascii=False)}"

    def reopened(self) -> Record:
        """The record without its snapshot."""
        last = self.snapshot.id if self.snapshot is not None else self.last_snapshot
        return replace(self, snapshot=None, last_snapshot=max(last, self.last_snapshot))


def record_in(description: str) -> Record | None:
    """Returns the record in a description; None when it holds none."""
    for line in description.splitlines():
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(fields, dict) and isinstance(fields.get("labelwright"), str):
            whole = {
                name: fields[name] if isinstance(fields.get(name), int) else 0
                for name in ("snapshot", "last_snapshot", "reopening")
            }
            snapshot = Snapshot(whole["snapshot"], str(fields.get("md5", ""))) if whole["snapshot"] else None
            metadata = fields.get("metadata")
            return Record(
                fields["labelwright"],
                str(fields.get("order", "")),
                snapshot,
                whole["last_snapshot"],
                whole["reopening"],
                metadata if isinstance(metadata, dict) else {},
            )
    return None


@dataclass(frozen=True, slots=True)
class Project:
    """A project with its counters."""

    id: int
    title: str
    record: Record | None
    is_open: bool
    """Whether the campaign was activated. The server lets people label before that, too."""
    tasks: int
    finished: int
    skipped: int
    """Annotations that are skips."""
    label_config: str = ""
    instructions: str = ""
    skip_queue: str = ""
    overlap: int = 1
    model_version: str = ""

    @property
    def campaign_title(self) -> str:
        return self.record.title if self.record is not None else self.title

    @property
    def own_record(self) -> Record:
        """The record, or a new one when somebody changed the description."""
        return self.record or Record(self.title)

    def state(self) -> RemoteState:
        if not self.is_open:
            return RemoteState.CREATED
        if not self.tasks or self.finished < self.tasks:
            return RemoteState.ACTIVE
        if self.own_record.reopening:
            return RemoteState.ACTIVE
        return RemoteState.FINISHED if self.own_record.snapshot is not None else RemoteState.COMPLETED

    def campaign(self, skipped: int = 0) -> RemoteCampaign:
        return RemoteCampaign(
            str(self.id), self.campaign_title, self.state(), self.finished, self.tasks, skipped=skipped
        )


def project_from(fields: Fields) -> Project:
    def count(name: str) -> int:
        return fields.whole(name) if fields.has(name) else 0

    def text(name: str) -> str:
        return fields.text(name) if fields.has(name) else ""

    return Project(
        id=fields.whole("id"),
        title=fields.text("title"),
        record=record_in(text("description")),
        is_open=fields.json.get("is_published") is True,
        tasks=count("task_number"),
        finished=count("finished_task_number"),
        skipped=count("skipped_annotations_number"),
        label_config=text("label_config"),
        instructions=text("expert_instruction"),
        skip_queue=text("skip_queue"),
        overlap=count("maximum_annotations") or 1,
        model_version=text("model_version"),
    )
