"""The notebook that came with the task, step by step: fields and values as it prints them."""

from __future__ import annotations

import re

import requests
from azure.storage.blob import ContainerClient

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def test_the_notebook_runs_from_its_first_cell_to_its_last(serve, make):
    with serve(admin_email="jayke@test.com") as service:
        headers, api_url = service.headers, service.api

        # Create imageset
        body = {"title": "imageset-26-10-2020", "metadata": {"country": "Nederland"}}
        response = requests.post(f"{api_url}/image_sets", json=body, headers=headers).json()
        assert MOMENT.fullmatch(response.pop("date_created"))
        dropbox_url = response.pop("dropbox_url")
        assert re.fullmatch(
            rf"{service.url}/blob/dropbox-imageset-26-10-2020"
            r"\?se=\d{4}-\d\d-\d\dT\d\d%3A\d\d%3A\d\dZ&sp=rwdl&sv=2019-02-02&sr=c&sig=[A-Za-z0-9%]+",
            dropbox_url,
        )
        image_set_id = response["imageset_id"]
        assert response == {
            "blobstorage_path": "dropbox-imageset-26-10-2020",
            "created_by": "jayke@test.com",
            "date_finished": None,
            "imageset_id": 1,
            "metadata": {"country": "Nederland"},
            "status": "created",
            "title": "imageset-26-10-2020",
        }

        # Upload images
        with ContainerClient.from_container_url(dropbox_url) as dropbox:
            for name in ("car.png", "jayke.png", "shadyguy_dark.png", "zebra.png"):
                dropbox.upload_blob(name, make.picture(200, 240))

        # Finish the image set
        body = {"new_status": "finished"}
        assert requests.put(f"{api_url}/image_sets/{image_set_id}", json=body, headers=headers).json() == "ok"
        assert service.sealed(image_set_id)["rejected"] == []
        with ContainerClient.from_container_url(dropbox_url) as dropbox:
            assert not dropbox.get_blob_client("car.png").exists(), "the dropbox is deleted"

        # Create a labeling campaign
        body = {
            "title": "campaign-26-10-2020",
            "metadata": {"to_be_used_for": "New train set"},
            "labeler_email": "new_user@example.com",
        }
        response = requests.post(f"{api_url}/campaigns", json=body, headers=headers).json()
        campaign_id, token = response["campaign_id"], response.pop("access_token")
        assert re.fullmatch(r"[0-9a-f]{32}", token["apikey"])
        assert re.fullmatch(r"[0-9a-f]{32}", token["apisecret"])
        user_headers = {"Authentication-Key": token["apikey"], "Authentication-Secret": token["apisecret"]}
        created = response["date_created"]
        assert MOMENT.fullmatch(created)
        expected = {
            "campaign_id": 1,
            "created_by": "jayke@test.com",
            "date_completed": None,
            "date_created": created,
            "date_finished": None,
            "date_started": None,
            "label_translations": None,
            "metadata": {"to_be_used_for": "New train set"},
            "progress": {"done": 0, "total": 0},
            "status": "created",
            "title": "campaign-26-10-2020",
        }
        assert response == expected

        # Add images to the campaign
        response = requests.get(f"{api_url}/images", headers=headers).json()
        filesize = response["images"][0]["file"]["filesize"]
        assert filesize == len(make.picture(200, 240))
        assert response["images"][0] == {
            "blobstorage_path": "extra-images/uploads/imageset-26-10-2020/car.png",
            "date_taken": None,
            "file": {"dimensions": {"height": 240, "width": 200}, "filesize": filesize, "filetype": "PNG"},
            "image_id": 1,
            "imageset": {"imageset_id": 1, "title": "imageset-26-10-2020"},
            "location": {"description": None, "lat": None, "lon": None},
            "metadata": None,
            "tss_id": None,
            "type": None,
        }
        body = [{"id": 1}, {"id": 2}, {"id": 3}, {"id": 4}]
        url = f"{api_url}/campaigns/{campaign_id}"
        assert requests.post(f"{url}/images", json=body, headers=headers).json() == "ok"
        expected["progress"] = {"done": 0, "total": 4}
        assert requests.get(url, json=body, headers=headers).json() == expected

        # Change the status of the campaign to active
        assert requests.put(url, json={"new_status": "active"}, headers=headers).json() == "ok"

        # Access to the images
        response = requests.get(f"{url}/images", headers=user_headers).json()
        for image in response["images"]:
            assert image.pop("done") is False  # ours
        assert response == {
            "images": [{"image_id": number, "url": f"/images/{number}"} for number in (1, 2, 3, 4)],
            "pagination": {"next": None, "page": 1, "pages": 1, "per_page": 1000, "prev": None, "total": 4},
        }
        redirect = requests.get(f"{api_url}/images/1", headers=user_headers, allow_redirects=False)
        assert redirect.status_code == 302
        assert requests.get(f"{api_url}/images/1", headers=user_headers).content == make.picture(200, 240)
        assert requests.get(redirect.headers["Location"]).content == make.picture(200, 240), "the URL alone is enough"

        # Providing labels
        first = [
            _seen(1, ("Plastic", 1, 13, 57, 123, 198), ("Organic", 0.56, 26, 98, 12, 54)),
            _seen(2, ("Wood", 0.12, 74, 172, 91, 112), ("Plastic", 0.93, 58, 124, 68, 98)),
        ]
        assert requests.put(f"{url}/objects", json=first, headers=user_headers).json() == "ok"
        response = requests.get(url, headers=headers).json()
        assert MOMENT.fullmatch(response["date_started"])
        assert response == {
            **expected,
            "date_started": response["date_started"],
            "progress": {"done": 2, "total": 4},
            "status": "active",
        }
        second = [_seen(3, ("Plastic", 0.433, 83, 153, 91, 145)), _seen(4)]
        assert requests.put(f"{url}/objects", json=second, headers=user_headers).json() == "ok"
        response = requests.get(url, headers=headers).json()
        assert (response["status"], response["progress"]) == ("completed", {"done": 4, "total": 4})

        # Finishing the campaign
        assert requests.put(url, json={"new_status": "finished"}, headers=headers).json() == "ok"
        response = requests.get(url, headers=headers).json()
        assert response["status"] == "finished"
        assert MOMENT.fullmatch(response["date_finished"])
        assert "/extra-images/label_sets/campaign-26-10-2020_labels.csv?" in response["labels_csv_url"]
        rows = requests.get(response["labels_csv_url"]).text.splitlines()
        assert rows[1] == "1,car.png,200,240,Plastic,1,13,123,57,198,,"
        assert rows[-1] == "4,zebra.png,200,240,,,,,,,,"


def _seen(image, *objects):
    return {
        "image_id": image,
        "objects": [
            {
                "label": label,
                "confidence": confidence,
                "bounding_box": {"xmin": xmin, "xmax": xmax, "ymin": ymin, "ymax": ymax},
            }
            for label, confidence, xmin, xmax, ymin, ymax in objects
        ],
    }
