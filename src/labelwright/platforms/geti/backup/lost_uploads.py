"""Finds the uploads of a restore whose response was lost, by name and time.

Content is no key, because servers re-encode images. Before an upload is sent, the journal gets a line with the latest
upload time that the server has returned so far. After an error the server's media are listed: a medium that no line of
the journal claims, with the name of an upload without a response and not older than that upload, is the one that
arrived.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.duplicates import is_annotated
from labelwright.platforms.geti.models import GetiMedium, GetiProject

from .archive import ArchivedMedium, Backup
from .compare import same_file
from .journal import Journal
from .save import page_size

_CLOCK_SKEW = timedelta(minutes=1)
"""Allowed between the clocks of a server's machines. Our own clock is not compared with them."""

_Key = tuple[str, str]


def by_name(media: Sequence[ArchivedMedium]) -> list[list[ArchivedMedium]]:
    """Groups of media with the same type and name, in the order of their first members."""
    groups: dict[_Key, list[ArchivedMedium]] = defaultdict(list)
    for medium in media:
        groups[medium.type, medium.name].append(medium)
    return list(groups.values())


class PageUploads:
    """The uploads of one page of a backup. `targets`: ids on the server by ids of the backup."""

    def __init__(self, client: GetiClient, project: GetiProject, backup: Backup, page: str, journal: Journal) -> None:
        self._client, self._project, self._backup = client, project, backup
        self._journal, self._file = journal, f"page-{page}"
        self.targets = journal.targets(page)
        self._sent: Counter[str] = Counter()
        self._not_before: dict[str, str] = {}
        for line in journal.lines(self._file):
            if "sending" in line:
                self._sent[line["sending"]] += 1
                self._not_before.setdefault(line["sending"], line.get("after", ""))
        self._knows_intents = bool(self._sent) or not journal.is_interrupted(page)
        """Journals of earlier versions have no intents: there any missing medium may have been sent."""
        self._latest = ""

    def intend(self, medium: ArchivedMedium) -> None:
        """Records that a medium is about to be sent."""
        self._journal.write(self._file, sending=medium.id, after=self._latest)
        self._sent[medium.id] += 1
        self._not_before.setdefault(medium.id, self._latest)

    def settle(self, medium: ArchivedMedium, uploaded: GetiMedium) -> None:
        """Records a medium's id on the server."""
        self._journal.write(self._file, medium=medium.id, target=uploaded.id)
        self.targets[medium.id] = uploaded.id
        if _is_later(uploaded.uploaded, self._latest):
            self._latest = uploaded.uploaded

    def find_lost(self, media: Sequence[ArchivedMedium]) -> None:
        """Settles the uploads that arrived though their response was lost."""
        missing = [medium for medium in media if medium.id not in self.targets]
        if self._knows_intents:
            missing = [medium for medium in missing if self._sent[medium.id]]
        arrived = self._unclaimed(missing)
        for group in by_name(missing):
            candidates = arrived[group[0].type, group[0].name]
            for medium in group:
                match = self._match(medium, candidates, alone=len(group) == 1)
                if match is not None:
                    candidates.remove(match)
                    self.settle(medium, match[1])

    def remove_late_arrivals(self, media: Sequence[ArchivedMedium]) -> None:
        """Deletes uploads that arrived after they had been sent again; the second copy stays."""
        repeated = [medium for medium in media if self._sent[medium.id] > 1]
        for candidates in self._unclaimed(repeated).values():
            for dataset, candidate in candidates:
                if not is_annotated(candidate):
                    self._client.delete_medium(self._project, candidate, dataset=dataset)

    def _unclaimed(self, media: Sequence[ArchivedMedium]) -> dict[_Key, list[tuple[str, GetiMedium]]]:
        """Media on the server that no line of the journal claims and that may be these, as (dataset, medium) by key."""
        unclaimed: dict[_Key, list[tuple[str, GetiMedium]]] = defaultdict(list)
        if not media:
            return unclaimed
        expected: dict[_Key, str] = {}
        for medium in media:
            expected.setdefault((medium.type, medium.name), self._not_before.get(medium.id, ""))
        claimed = self._journal.all_targets()
        for dataset, _ in self._project.datasets:
            for kind in {medium.type for medium in media}:
                for candidate in self._client.media(self._project, kind, dataset, page_size(self._client)):
                    key = (kind, candidate.name)
                    if key in expected and candidate.id not in claimed and not _too_old(candidate, expected[key]):
                        unclaimed[key].append((dataset, candidate))
        return unclaimed

    def _match(
        self, medium: ArchivedMedium, candidates: list[tuple[str, GetiMedium]], *, alone: bool
    ) -> tuple[str, GetiMedium] | None:
        """The oldest candidate, one of the same size first.

        Where several media of one name may have been sent (only with journals of earlier versions) the files are
        compared.
        """
        if alone:
            size = (medium.width, medium.height)
            return min(candidates, key=lambda pair: ((pair[1].width, pair[1].height) != size, pair[1].id), default=None)
        path = self._backup.folder / medium.file
        for dataset, candidate in candidates:
            if same_file(self._client, self._project, candidate, dataset, medium, path):
                return dataset, candidate
        return None


def _time(text: str) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo is not None else None


def _is_later(text: str, than: str) -> bool:
    time, earlier = _time(text), _time(than)
    return time is not None and (earlier is None or time > earlier)


def _too_old(medium: GetiMedium, not_before: str) -> bool:
    uploaded, sent = _time(medium.uploaded), _time(not_before)
    return uploaded is not None and sent is not None and uploaded < sent - _CLOCK_SKEW
