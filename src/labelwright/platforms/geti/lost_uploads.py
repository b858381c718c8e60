"""Uploads of a restore whose response was lost: found again by name and time, never by comparing pictures.

Servers write images anew, so the picture on the server need not be the one that was sent. An upload is written into the
journal before it is sent, with the latest time that the server is known to have given a medium by then. After an error
the server is listed: a medium that no line of the journal claims, that bears the name of an upload without a response
and is not older than that upload is what arrived.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from .backup.archive import ArchivedMedium, Backup
from .backup.compare import same_file
from .backup.journal import Journal
from .backup.save import page_size
from .client import GetiClient
from .duplicates import is_annotated
from .models import GetiMedium, GetiProject

_CLOCKS = timedelta(minutes=1)
"""By how much the clocks of a server's machines may differ. Our own clock is not compared with them."""

_Key = tuple[str, str]


def by_name(media: Sequence[ArchivedMedium]) -> list[list[ArchivedMedium]]:
    """Media in groups of one type and name, in the order in which the names come first."""
    groups: dict[_Key, list[ArchivedMedium]] = defaultdict(list)
    for one in media:
        groups[one.type, one.name].append(one)
    return list(groups.values())


class PageUploads:
    """The uploads of one page of a backup. `targets`: of each medium that arrived its id on the server."""

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
        self._knows_intents = bool(self._sent) or not journal.begun(page)
        """Journals of earlier versions hold no intents: there any missing medium may have been sent."""
        self._latest = ""

    def intend(self, one: ArchivedMedium) -> None:
        """Write down that a medium is about to be sent."""
        self._journal.write(self._file, sending=one.id, after=self._latest)
        self._sent[one.id] += 1
        self._not_before.setdefault(one.id, self._latest)

    def settle(self, one: ArchivedMedium, there: GetiMedium) -> None:
        """Write down what a medium became on the server."""
        self._journal.write(self._file, medium=one.id, target=there.id)
        self.targets[one.id] = there.id
        if _later(there.uploaded, self._latest):
            self._latest = there.uploaded

    def find_lost(self, media: Sequence[ArchivedMedium]) -> None:
        """Settle what was sent without a response and arrived."""
        missing = [one for one in media if one.id not in self.targets]
        if self._knows_intents:
            missing = [one for one in missing if self._sent[one.id]]
        arrived = self._unclaimed(missing)
        for group in by_name(missing):
            candidates = arrived[group[0].type, group[0].name]
            for one in group:
                found = self._match(one, candidates, alone=len(group) == 1)
                if found is not None:
                    candidates.remove(found)
                    self.settle(one, found[1])

    def remove_late_arrivals(self, media: Sequence[ArchivedMedium]) -> None:
        """Delete what arrived after it had been sent again: the second copy is the one that counts."""
        repeated = [one for one in media if self._sent[one.id] > 1]
        for candidates in self._unclaimed(repeated).values():
            for dataset, there in candidates:
                if not is_annotated(there):
                    self._client.delete_medium(self._project, there, dataset=dataset)

    def _unclaimed(self, media: Sequence[ArchivedMedium]) -> dict[_Key, list[tuple[str, GetiMedium]]]:
        """Media on the server that no line of the journal claims and that may be these: with their datasets."""
        found: dict[_Key, list[tuple[str, GetiMedium]]] = defaultdict(list)
        if not media:
            return found
        expected: dict[_Key, str] = {}
        for one in media:
            expected.setdefault((one.type, one.name), self._not_before.get(one.id, ""))
        claimed = self._journal.all_targets()
        for dataset, _ in self._project.datasets:
            for kind in {one.type for one in media}:
                for there in self._client.media(self._project, kind, dataset, page_size(self._client)):
                    key = (kind, there.name)
                    if key in expected and there.id not in claimed and not _too_old(there, expected[key]):
                        found[key].append((dataset, there))
        return found

    def _match(
        self, one: ArchivedMedium, candidates: list[tuple[str, GetiMedium]], *, alone: bool
    ) -> tuple[str, GetiMedium] | None:
        """The oldest of the candidates, one of the same size before others. Where several media of one name may have
        been sent (only journals of earlier versions leave that open) their files decide."""
        if alone:
            size = (one.width, one.height)
            ranked: Iterator[tuple[str, GetiMedium]] = iter(
                sorted(candidates, key=lambda found: ((found[1].width, found[1].height) != size, found[1].id))
            )
            return next(ranked, None)
        path = self._backup.folder / one.file
        for dataset, there in candidates:
            if same_file(self._client, self._project, there, dataset, one, path):
                return dataset, there
        return None


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _later(text: str, than: str) -> bool:
    time, other = _time(text), _time(than)
    return time is not None and (other is None or time > other)


def _too_old(there: GetiMedium, not_before: str) -> bool:
    uploaded, begun = _time(there.uploaded), _time(not_before)
    return uploaded is not None and begun is not None and uploaded < begun - _CLOCKS
