"""A service on a real socket, and what tests say to it."""

from __future__ import annotations

import io
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.storage.blob import ContainerClient
from PIL import Image

from labelwright.service import ServiceConfig
from labelwright.service.run import serving

KEY, SECRET = "admin-key", "an-admin-secret-of-the-tests"
_numbers = itertools.count(1)


class Caller:
    """Someone with a pair of keys."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        self.url, self.api = url, f"{url}/api/v1"
        self.headers = {"Authentication-Key": key, "Authentication-Secret": secret}

    def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        headers = {**self.headers, **more.pop("headers", {})}
        return requests.request(method, self.api + path, json=body, headers=headers, timeout=30, **more)

    def get(self, path: str, **more: Any) -> Any:
        return self.ok("GET", path, None, **more)

    def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        response = self(method, path, body, **more)
        assert response.status_code == 200, response.text
        return response.json()


class Service(Caller):
    """The service, asked with the admin's keys."""

    def __init__(self, url: str) -> None:
        super().__init__(url, KEY, SECRET)

    def image_set(self, title: str | None = None) -> dict[str, Any]:
        return self.ok("POST", "/image_sets", {"title": title or fresh("set"), "metadata": None})

    def seal(self, image_set: int) -> dict[str, Any]:
        assert self.ok("PUT", f"/image_sets/{image_set}", {"new_status": "finished"}) == "ok"
        return self.sealed(image_set)

    def sealed(self, image_set: int) -> dict[str, Any]:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            image_set_now = self.get(f"/image_sets/{image_set}")
            if image_set_now["status"] == "finished":
                return image_set_now
            time.sleep(0.02)
        raise AssertionError(f"not sealed in a minute: {image_set_now}")

    def set_of(self, files: dict[str, bytes], title: str | None = None) -> dict[str, Any]:
        """A sealed image set of these files."""
        image_set = self.image_set(title)
        with ContainerClient.from_container_url(image_set["dropbox_url"]) as dropbox:
            for name, data in files.items():
                dropbox.upload_blob(name, data)
        return self.seal(image_set["imageset_id"])

    def images_of(self, image_set: int) -> list[dict[str, Any]]:
        return self.get(f"/image_sets/{image_set}/images")["images"]

    def labeler(self, campaign: dict[str, Any]) -> Caller:
        return Caller(self.url, campaign["access_token"]["apikey"], campaign["access_token"]["apisecret"])

    def campaign(
        self, images: int = 2, *, active: bool = True, **order: Any
    ) -> tuple[dict[str, Any], list[int], Caller]:
        """A campaign, the ids of its images of 100 x 80 pixels, and its labeler."""
        files = {f"{number:04}.png": picture(100, 80) for number in range(images)}
        ids = [image["image_id"] for image in self.images_of(self.set_of(files)["imageset_id"])] if images else []
        body = {"title": fresh("campaign"), "metadata": None, "labeler_email": f"{fresh('labeler')}@example.com"}
        campaign = self.ok("POST", "/campaigns", {**body, **order})
        number = campaign["campaign_id"]
        if ids:
            self.ok("POST", f"/campaigns/{number}/images", [{"id": image} for image in ids])
        if active:
            self.ok("PUT", f"/campaigns/{number}", {"new_status": "active"})
        return campaign, ids, self.labeler(campaign)


def fresh(what: str) -> str:
    return f"{what}-{next(_numbers)}"


def picture(width: int, height: int, kind: str = "PNG", **save: Any) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (width, height), (200, 120, 40)).save(target, kind, **save)
    return target.getvalue()


def box(xmin: float = 1, ymin: float = 2, xmax: float = 30, ymax: float = 40) -> dict[str, float]:
    return {"xmin": xmin, "xmax": xmax, "ymin": ymin, "ymax": ymax}


def thing(label: str = "Plastic", confidence: float = 1, **more: Any) -> dict[str, Any]:
    return {"label": label, "confidence": confidence, "bounding_box": box(), **more}


Serve = Callable[..., AbstractContextManager[Service]]


class Serving(AbstractContextManager[Service]):
    def __init__(self, config: ServiceConfig) -> None:
        self._inner = serving(config)

    def __enter__(self) -> Service:
        return Service(self._inner.__enter__())

    def __exit__(self, *error: Any) -> None:
        self._inner.__exit__(*error)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for all tests that do not mind each other: every title in it is fresh."""
    with Serving(config_of(tmp_path_factory.mktemp("service"))) as running:
        yield running


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Start one of the test's own, configured as it likes."""

    def start(data_dir: Path = tmp_path / "data", **settings: Any) -> Serving:
        return Serving(config_of(data_dir, **settings))

    return start


def config_of(data_dir: Path, **settings: Any) -> ServiceConfig:
    return ServiceConfig(data_dir, **{"admin_key": KEY, "admin_secret": SECRET, **settings})


class _Make:
    """The makers above, for tests, which cannot import a conftest."""

    picture = staticmethod(picture)
    box = staticmethod(box)
    thing = staticmethod(thing)
    fresh = staticmethod(fresh)
    caller = Caller
    key, secret = KEY, SECRET


@pytest.fixture(scope="session")
def make() -> type[_Make]:
    return _Make
