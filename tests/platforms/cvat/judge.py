"""Uses cvat-sdk like a user of CVAT. Runs in an environment that has the SDK, without our package.

    python judge.py URL USER PASSWORD FOLDER

Everything that the SDK checks (shapes of answers, states, files) it checks here; what it then shows is checked too.
"""

import sys
import zipfile
from pathlib import Path

from cvat_sdk import make_client, models
from cvat_sdk.core.proxies.tasks import ResourceType


def check(condition, message):
    if not condition:
        raise SystemExit(f"check failed: {message}")


def main(url, user, password, folder):
    images = sorted(Path(folder).glob("*.png"))
    with make_client(url, credentials=(user, password)) as client:
        client.config.status_check_period = 0.05
        client.organization_slug = "acme"
        check(client.users.retrieve_current_user().username == user, "the user is the one who logged in")
        project = client.projects.create(
            models.ProjectWriteRequest(
                name="judged",
                labels=[
                    models.PatchedLabelRequest(
                        name="car",
                        color="#ff0000",
                        attributes=[
                            models.AttributeRequest(
                                name="kind", mutable=False, input_type="select", values=["a", "b"], default_value="a"
                            )
                        ],
                    )
                ],
            )
        )
        check([project.name for project in client.projects.list()] == ["judged"], "the project is listed")
        task = client.tasks.create_from_data(
            models.TaskWriteRequest(name="first", project_id=project.id, segment_size=2),
            images,
            resource_type=ResourceType.LOCAL,
            data_params={"image_quality": 70, "sorting_method": "lexicographical"},
        )
        check(task.size == len(images), "every image is in")
        check([frame.name for frame in task.get_meta().frames] == [image.name for image in images], "in their order")
        jobs = sorted(task.get_jobs(), key=lambda job: job.id)
        check([(job.start_frame, job.stop_frame) for job in jobs] == [(0, 1), (2, 2)], "cut into jobs of two")
        (label,) = task.get_labels()
        task.set_annotations(
            models.LabeledDataRequest(
                shapes=[
                    models.LabeledShapeRequest(frame=0, label_id=label.id, type="rectangle", points=[1, 2, 11, 12]),
                    models.LabeledShapeRequest(frame=2, label_id=label.id, type="polygon", points=[1, 1, 9, 1, 5, 8]),
                ]
            )
        )
        check(len(task.get_annotations().shapes) == 2, "both shapes are there")
        check(len(jobs[1].get_annotations().shapes) == 1, "one of them in the second job")
        labeler = next(user for user in client.users.list() if user.username == "labeler1")
        jobs[0].update(models.PatchedJobWriteRequest(assignee=labeler.id))
        jobs[0].update(models.PatchedJobWriteRequest(state="completed"))
        jobs[0].update(models.PatchedJobWriteRequest(stage="acceptance"))
        jobs[0].fetch()
        check((str(jobs[0].stage), str(jobs[0].state)) == ("acceptance", "new"), "a stage resets the state")
        for include, names in ((False, 1), (True, 1 + len(images))):
            target = Path(folder) / f"export-{include}.zip"
            task.export_dataset("COCO 1.0", target, include_images=include)
            with zipfile.ZipFile(target) as file:
                check(len(file.namelist()) == names, f"the export holds {names} files")
        large = client.tasks.create(models.TaskWriteRequest(name="by parts", project_id=project.id))
        by_parts(client, large, images)
        task.remove()
        project.remove()
        check(not client.projects.list(), "all is deleted")


def by_parts(client, task, images):
    """Every file by TUS, as large ones are sent."""
    from cvat_sdk.core import uploading

    class Small(uploading.DataUploader):
        def __init__(self, client):
            super().__init__(client, max_request_size=1)

    expected, uploading.DataUploader = uploading.DataUploader, Small
    import cvat_sdk.core.proxies.tasks as tasks

    tasks.DataUploader = Small
    client.api_client.default_headers["Origin"] = client.api_map.host
    task.upload_data(images, params={"image_quality": 70})
    task.fetch()
    check(task.size == len(images), "every image came by parts")
    uploading.DataUploader = tasks.DataUploader = expected


if __name__ == "__main__":
    main(*sys.argv[1:])
    print("judged")
