"""Signatures cannot be forged, widened, moved or used late."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.storage.blob import ContainerClient


def changed(url, **claims):
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    for name, value in claims.items():
        if value is None:
            query.pop(name)
        else:
            query[name] = value
    return parts._replace(query=urlencode(query)).geturl()


def listing(url):
    return requests.get(f"{url}&restype=container&comp=list")


@pytest.mark.parametrize(
    "claims",
    [
        {"sig": "AAAA"},
        {"sig": None},
        {"sig": "\u00e4"},
        {"sp": "racwdl"},
        {"sp": "l"},
        {"se": "2099-01-01T00:00:00Z"},
        {"se": None},
        {"sr": "b"},
        {"sr": None},
        {"sr": "s"},
        {"sv": "2021-12-02"},
    ],
)
def test_a_url_with_any_claim_changed_is_refused(service, claims):
    url = service.image_set()["dropbox_url"]
    assert listing(url).status_code == 200
    response = listing(changed(url, **claims))
    assert response.status_code == 403
    assert response.headers["x-ms-error-code"] == "AuthenticationFailed"
    assert "<Code>AuthenticationFailed</Code>" in response.text


def test_no_signature_gives_nothing(service):
    url = service.image_set()["dropbox_url"].split("?")[0]
    assert requests.get(f"{url}/a").status_code == 403
    assert requests.get(f"{url}?restype=container&comp=list").status_code == 403


def test_the_signature_of_one_dropbox_opens_no_other(service):
    mine, other = service.image_set(), service.image_set()
    url = other["dropbox_url"].split("?")[0] + "?" + mine["dropbox_url"].split("?")[1]
    assert listing(url).status_code == 403
    main = f"{service.url}/blob/extra-images?{mine['dropbox_url'].split('?')[1]}"
    assert listing(main).status_code == 403


def test_a_late_url_is_refused_and_a_fresh_one_works(serve, make):
    with serve(dropbox_lifetime=timedelta(seconds=-1)) as service:
        image_set = service.image_set()
        with (
            ContainerClient.from_container_url(image_set["dropbox_url"]) as dropbox,
            pytest.raises(ClientAuthenticationError) as refusal,
        ):
            dropbox.upload_blob("a.png", b"x")
        assert refusal.value.error_code == "AuthenticationFailed"
        path = f"/image_sets/{image_set['imageset_id']}"
    with serve() as service:
        for url in (service.ok("POST", f"{path}/dropbox")["dropbox_url"], service.get(path)["dropbox_url"]):
            with ContainerClient.from_container_url(url) as dropbox:
                dropbox.upload_blob("a.png", make.picture(9, 9), overwrite=True)
        service.seal(image_set["imageset_id"])
        assert service("POST", f"{path}/dropbox").status_code == 409
        assert service.get(path)["dropbox_url"] is None


def test_the_url_of_an_image_reads_that_image_and_nothing_else(service):
    _, ids, labeler = service.campaign()
    url = labeler("GET", f"/images/{ids[0]}", allow_redirects=False).headers["Location"]
    other = labeler("GET", f"/images/{ids[1]}", allow_redirects=False).headers["Location"]
    assert requests.get(url).status_code == 200
    assert requests.get(other.split("?")[0] + "?" + url.split("?")[1]).status_code == 403
    put = requests.put(url, data=b"x", headers={"x-ms-blob-type": "BlockBlob"})
    assert (put.status_code, put.headers["x-ms-error-code"]) == (403, "AuthorizationPermissionMismatch")
    assert requests.delete(url).headers["x-ms-error-code"] == "AuthorizationPermissionMismatch"
    container = url.split("?")[0].rsplit("/uploads", 1)[0]
    assert listing(f"{container}?{url.split('?')[1]}").status_code == 403


def test_an_images_url_dies_after_its_minutes(serve):
    with serve(image_url_lifetime=timedelta(seconds=-1)) as service:
        _, ids, labeler = service.campaign()
        assert labeler("GET", f"/images/{ids[0]}").status_code == 403


def test_the_signing_key_outlives_a_restart(serve, make):
    with serve() as service:
        image_set = service.image_set()
        old = service.url
    with (
        serve() as service,
        ContainerClient.from_container_url(image_set["dropbox_url"].replace(old, service.url)) as dropbox,
    ):
        dropbox.upload_blob("a.png", make.picture(9, 9))


def test_containers_can_only_be_listed(service):
    with ContainerClient.from_container_url(service.image_set()["dropbox_url"]) as dropbox:
        for forbidden in (dropbox.delete_container, dropbox.create_container, dropbox.get_container_properties):
            with pytest.raises(HttpResponseError) as refusal:
                forbidden()
            assert refusal.value.status_code == 403


def test_urls_name_the_host_that_the_client_named_or_the_one_configured(service, serve):
    body = {"title": "by-a-proxy", "metadata": None}
    headers = {"Host": "proxy.example:8443"}
    assert service.ok("POST", "/image_sets", body, headers=headers)["dropbox_url"].startswith(
        "http://proxy.example:8443/blob/"
    )
    bad = {"Host": "evil/%0d%0a"}
    assert service("GET", "/image_sets", headers=bad).status_code == 400
    with serve(public_url="https://labels.example/") as other:
        assert other.image_set()["dropbox_url"].startswith("https://labels.example/blob/")
