"""Works through a campaign with the vendor's own SDK: `python judge.py URL TOKEN`. Prints "judged" at its end.

It runs in an environment with label-studio-sdk alone, and imports nothing of ours.
"""

from __future__ import annotations

import json
import sys

from label_studio_sdk import LabelStudio
from label_studio_sdk.core.api_error import ApiError

CONFIG = (
    '<View><Image name="image" value="$image"/><RectangleLabels name="label" toName="image">'
    '<Label value="boat"/><Label value="buoy"/></RectangleLabels></View>'
)
BOX = {
    "id": "r1",
    "from_name": "label",
    "to_name": "image",
    "type": "rectanglelabels",
    "original_width": 400,
    "original_height": 300,
    "image_rotation": 0,
    "value": {"x": 25, "y": 25, "width": 25, "height": 25, "rotation": 0, "rectanglelabels": ["boat"]},
}


def main(url: str, token: str) -> None:
    client = LabelStudio(base_url=url, api_key=token)
    assert client.users.whoami().email == "owner@example.com"
    project = client.projects.create(title="judged", label_config=CONFIG)
    assert client.projects.get(project.id).title == "judged"
    assert "judged" in [item.title for item in client.projects.list()]
    client.projects.update(project.id, skip_queue="IGNORE_SKIPPED")
    assert client.projects.get(project.id).skip_queue == "IGNORE_SKIPPED"

    request = [{"data": {"image": f"https://images.example.com/{number}.jpg"}} for number in range(3)]
    report = client.projects.import_tasks(project.id, request=request, return_task_ids=True)
    assert report.task_count == 3
    tasks = list(client.tasks.list(project=project.id, fields="all"))
    assert [task.data["image"] for task in tasks] == [item["data"]["image"] for item in request]
    first, second, third = (task.id for task in tasks)

    prediction = client.predictions.create(task=first, model_version="m-1", score=0.8, result=[BOX])
    assert [item.id for item in client.predictions.list(task=first)] == [prediction.id]
    made = client.annotations.create(first, result=[BOX], lead_time=3.5)
    assert client.annotations.get(made.id).lead_time == 3.5
    client.annotations.create(second, result=[], was_cancelled=True)
    client.annotations.update(made.id, result=[])
    assert [item.id for item in client.annotations.list(first)] == [made.id]
    assert client.tasks.get(str(first)).is_labeled is True
    counters = client.projects.get(project.id)
    assert (counters.task_number, counters.finished_task_number, counters.skipped_annotations_number) == (3, 2, 1)

    snapshot = client.projects.exports.create(project.id, title="v1")
    assert client.projects.exports.get(project.id, snapshot.id).status == "completed"
    exported = json.loads(b"".join(client.projects.exports.download(project.id, snapshot.id)))
    assert [len(task["annotations"]) for task in exported] == [1, 1, 0]

    hook = client.webhooks.create(url="https://hooks.example.com/x", project=project.id)
    assert [item.id for item in client.webhooks.list(project=str(project.id))] == [hook.id]
    client.annotations.delete(made.id)
    client.tasks.delete(str(third))
    client.projects.delete(project.id)
    try:
        client.projects.get(project.id)
    except ApiError as error:
        if error.status_code == 404:
            print("judged")


if __name__ == "__main__":
    main(*sys.argv[1:])
