"""Many at once: no error, no label lost, no number given twice."""

from __future__ import annotations

import threading


def test_eight_labelers_at_once_meet_no_error(service, make):
    """Each labels a campaign of its own, image by image, while two sets are sealed beside them."""
    campaigns = [service.campaign(images=12) for _ in range(8)]
    faults: list[str] = []

    def label(campaign, ids, labeler):
        path = f"/campaigns/{campaign['campaign_id']}"
        for image in ids:
            for response in (
                labeler("GET", f"{path}/images"),
                labeler("PUT", f"{path}/objects", [{"image_id": image, "objects": [make.thing()] * 3}]),
            ):
                if response.status_code != 200:
                    faults.append(response.text)

    def seal():
        sealed = service.set_of({f"{number}.png": make.picture(9, 9) for number in range(20)})
        if sealed["image_count"] != 20:
            faults.append(str(sealed))

    threads = [threading.Thread(target=label, args=each) for each in campaigns]
    threads += [threading.Thread(target=seal) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    for campaign, ids, _ in campaigns:
        progress = service.get(f"/campaigns/{campaign['campaign_id']}")
        assert (progress["status"], progress["progress"]) == ("completed", {"done": len(ids), "total": len(ids)})
    total = service.get("/images")["pagination"]["total"]
    numbers = [image["image_id"] for image in service.get("/images", params={"per_page": 10_000})["images"]]
    assert numbers == list(range(1, total + 1)), "no gap, though many wrote at once"


def test_image_put_by_a_labeler_in_eight_threads_counts_once(service, make):
    campaign, ids, labeler = service.campaign(images=2)
    path = f"/campaigns/{campaign['campaign_id']}"
    body = [{"image_id": ids[0], "objects": [make.thing()]}]
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(labeler("PUT", f"{path}/objects", body).status_code))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 8
    assert service.get(path)["progress"] == {"done": 1, "total": 2}
