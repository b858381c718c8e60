"""Lists, assigns and moves CVAT jobs, and finds users.

Changing a job's stage resets its state to "new" unless one request sets both, so every request does. Assignees are sent
by id: a name gets a 500.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from labelwright.platforms.errors import PlatformRefused

from .client import NAME, Client
from .models import CvatJob, JobState, Stage, is_annotation_job, job_from


def jobs_of(client: Client, *, project: int | None = None, task: int | None = None) -> list[CvatJob]:
    """Lists the annotation jobs of a project or a task, in the order of their creation."""
    params = {"project_id": project} if project is not None else {"task_id": task or 0}
    where = f"project {project}" if project is not None else f"task {task}"
    listed = client.all(f"list the jobs of {where}", "/api/jobs", params)
    by_id = {job.id: job for job in (job_from(item) for item in listed if is_annotation_job(item))}
    return [by_id[id] for id in sorted(by_id)]


def job_of(client: Client, job: int) -> CvatJob:
    return job_from(client.call(f"read job {job}", "GET", f"/api/jobs/{job}"))


def assign(client: Client, job: int, user: int | None) -> None:
    advice = "Outside an organization only an administrator may assign others: name one in the options."
    path, payload = f"/api/jobs/{job}", {"assignee": user}
    client.call(f"assign job {job}", "PATCH", path, json=payload, advice=advice)


def move(client: Client, job: CvatJob, stage: Stage, state: JobState | None = None, user: int | None = None) -> None:
    """Moves a job into a stage. Without `state` the job keeps its own; `user` becomes its assignee."""
    payload: dict[str, object] = {"stage": stage.value, "state": (state or job.state).value}
    if user is not None and user != job.assignee:
        payload["assignee"] = user
    client.call(f"put job {job.id} into {stage}", "PATCH", f"/api/jobs/{job.id}", json=payload)


def distribute(jobs: Iterable[CvatJob], people: Sequence[int]) -> Iterator[tuple[CvatJob, int]]:
    """Pairs each job with a user, evenly, and with the same user in every call."""
    for number, job in enumerate(jobs):
        yield job, people[number % len(people)]


class People:
    """Finds users by name or e-mail address; invites them if `invite` is set."""

    def __init__(self, client: Client, *, invite: bool = False) -> None:
        self._client, self._invite = client, invite

    def ids(self, names: Iterable[str]) -> list[int]:
        return [self.id(name) for name in names]

    def id(self, name: str) -> int:
        """Returns the id of a user, by user name or e-mail address.

        An address matches our own user, a user with that name or with the part before the @ as name, or a user with
        that address (CVAT shows addresses to administrators only). Without a match the address is invited if `invite`
        is set. Raises PlatformRefused when there is no such user.
        """
        operation = f"find user {name}"
        me = self._client.current_user()
        if name in (me.text("username"), me.json.get("email")):
            return me.whole("id")
        for username in dict.fromkeys((name, name.partition("@")[0])):
            for user in self._client.all(operation, "/api/users", {"username": username}):
                address = user.json.get("email")
                different_address = "@" in name and address and str(address).lower() != name.lower()
                if user.text("username") == username and not different_address:
                    return user.whole("id")
        if "@" in name:  # the API cannot filter by address
            for user in self._client.all(operation, "/api/users"):
                if str(user.json.get("email") or "").lower() == name.lower():
                    return user.whole("id")
        if "@" in name and self._invite and self._client.organization:
            return self._invited(name)
        where = f"in organization {self._client.organization}" if self._client.organization else "outside organizations"
        message = f"{where} there is no user {name} that you may see"
        advice = "Name users of your organization in the option 'labelers', or set 'invite'."
        raise PlatformRefused(NAME, operation, message=message, advice=advice)

    def _invited(self, email: str) -> int:
        payload = {"role": "worker", "email": email}
        return self._client.call(f"invite {email}", "POST", "/api/invitations", json=payload).inner("user").whole("id")
