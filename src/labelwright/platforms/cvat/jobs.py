"""Jobs: who works on them, and their way through stages.

Changing a job's stage resets its state to "new" unless both are said in one request, so both always are. An assignee
is named by id: a name is answered 500.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from labelwright.platforms.errors import PlatformRefused

from .client import NAME, Client
from .models import CvatJob, DoneMeans, JobState, Stage, job_from, labels_are_put_into

REOPENING = {
    DoneMeans.LABELED: (Stage.VALIDATION, JobState.COMPLETED),
    DoneMeans.ACCEPTED: (Stage.ACCEPTANCE, JobState.REJECTED),
}
"""How jobs are marked that are about to go back to their labelers."""


def jobs_of(client: Client, *, project: int | None = None, task: int | None = None) -> list[CvatJob]:
    """The jobs of a project or a task, in the order in which they were made."""
    params = {"project_id": project} if project is not None else {"task_id": task or 0}
    where = f"project {project}" if project is not None else f"task {task}"
    listed = client.all(f"list the jobs of {where}", "/api/jobs", params)
    found = {job.id: job for job in (job_from(one) for one in listed if labels_are_put_into(one))}
    return [found[id] for id in sorted(found)]


def job_of(client: Client, job: int) -> CvatJob:
    return job_from(client.call(f"read job {job}", "GET", f"/api/jobs/{job}"))


def assign(client: Client, job: int, user: int | None) -> None:
    advice = "Outside an organization only an administrator may assign others: name one in the options."
    path, said = f"/api/jobs/{job}", {"assignee": user}
    client.call(f"assign job {job}", "PATCH", path, json=said, advice=advice)


def move(client: Client, job: CvatJob, stage: Stage, state: JobState | None = None, user: int | None = None) -> None:
    """Put a job into a stage; its state stays as it is unless another one is said. `user`: who works on it then."""
    said: dict[str, object] = {"stage": stage.value, "state": (state or job.state).value}
    if user is not None and user != job.assignee:
        said["assignee"] = user
    client.call(f"put job {job.id} into {stage}", "PATCH", f"/api/jobs/{job.id}", json=said)


def shared_out(jobs: Iterable[CvatJob], people: Sequence[int]) -> Iterator[tuple[CvatJob, int]]:
    """Each job with whose it is: the same one each time, as even as can be."""
    for number, job in enumerate(jobs):
        yield job, people[number % len(people)]


class People:
    """Users by name or e-mail address."""

    def __init__(self, client: Client, *, invite: bool = False) -> None:
        self._client, self._invite = client, invite

    def ids(self, names: Iterable[str]) -> list[int]:
        return [self.id(name) for name in names]

    def id(self, name: str) -> int:
        """Of a user name, or of an e-mail address: that of ourselves, or of a user who is called so, or is called by
        the part before the @, or whose address it is (CVAT shows addresses to administrators only), or of a person
        who is invited.

        Raises PlatformRefused for one who is not there.
        """
        operation = f"find user {name}"
        me = self._client.who()
        if name in (me.text("username"), me.json.get("email")):
            return me.whole("id")
        for called in dict.fromkeys((name, name.partition("@")[0])):
            for user in self._client.all(operation, "/api/users", {"username": called}):
                address = user.json.get("email")
                other = "@" in name and address and str(address).lower() != name.lower()
                if user.text("username") == called and not other:
                    return user.whole("id")
        for user in (
            self._client.all(operation, "/api/users") if "@" in name else ()
        ):  # nothing finds them by their address
            if str(user.json.get("email") or "").lower() == name.lower():
                return user.whole("id")
        if "@" in name and self._invite and self._client.organization:
            return self._invited(name)
        where = f"in organization {self._client.organization}" if self._client.organization else "outside organizations"
        told = f"{where} there is no user {name} whom you may see"
        advice = "Name users of your organization in the option 'labelers', or set 'invite'."
        raise PlatformRefused(NAME, operation, message=told, advice=advice)

    def _invited(self, email: str) -> int:
        said = {"role": "worker", "email": email}
        return self._client.call(f"invite {email}", "POST", "/api/invitations", json=said).inner("user").whole("id")
