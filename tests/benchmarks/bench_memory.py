"""The service's peak memory while it seals the largest images, refuses a hostile body and makes pictures of one TIFF.

    python tests/benchmarks/bench_memory.py [--side 13377]

seal      four RGB PNGs of 13,377 x 13,377 pixels: 716 MB each for Pillow, all at once 2.9 GB.
body      PUT of 62 MiB, and of as much as is taken, of `[[],[],...]`: 64 bytes of memory for every three of it.
pictures  a TIFF of the same size, asked for as PNG by four at once.

All three run at the same time against a service in a process of its own. The bound is on that process's peak (VmHWM of
Linux), so it does not depend on how quick the machine is.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import requests
from azure.storage.blob import ContainerClient

KEY, SECRET = "admin-of-the-benchmark", "a secret of the benchmark"
HEADERS = {"Authentication-Key": KEY, "Authentication-Secret": SECRET}
BOUND = 800 * 1024**2
"""Bytes."""

_SERVE = """
import sys
from pathlib import Path
from labelwright.service import ServiceConfig
from labelwright.service.run import serve
serve(ServiceConfig(Path(sys.argv[1]), admin_key=sys.argv[2], admin_secret=sys.argv[3]),
      lambda url: print(url, flush=True))
"""


@contextmanager
def service(folder: Path) -> Iterator[tuple[str, int]]:
    """Address and process id of a service on `folder`."""
    command = [sys.executable, "-c", _SERVE, str(folder), KEY, SECRET]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.terminate()
            process.wait(60)


def peak(pid: int) -> int:
    """Bytes, from the start of the process to now."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def png_of(side: int, folder: Path) -> Path:
    from PIL import Image

    from labelwright.service.imaging.png_stream import PngWriter

    path = folder / "large.png"
    with path.open("wb") as file, PngWriter(file, "RGB", (side, side)) as png:
        for top in range(0, side, 256):
            png.add(Image.new("RGB", (side, min(256, side - top)), (200, top % 256, 40)))
    return path


def tiff_of(side: int, folder: Path) -> Path:
    from PIL import Image

    path = folder / "large.tiff"
    code = "import sys; from PIL import Image; Image.new('RGB', (int(sys.argv[1]),) * 2, (9, 99, 199)).save(sys.argv[2]"
    command = [sys.executable, "-c", f"{code}, compression='tiff_lzw')", str(side), str(path)]
    subprocess.run(command, check=True)
    with Image.open(path) as image:
        assert image.size == (side, side)
    return path


def sealed(url: str, title: str, files: dict[str, Path]) -> dict[str, object]:
    """The image set of these files, once it is finished."""
    image_set = requests.post(
        f"{url}/api/v1/image_sets", json={"title": title, "metadata": None}, headers=HEADERS
    ).json()
    with ContainerClient.from_container_url(image_set["dropbox_url"]) as dropbox:
        for name, path in files.items():
            with path.open("rb") as file:
                dropbox.upload_blob(name, file)
    where = f"{url}/api/v1/image_sets/{image_set['imageset_id']}"
    requests.put(where, json={"new_status": "finished"}, headers=HEADERS).raise_for_status()
    while (status := requests.get(where, headers=HEADERS).json())["status"] != "finished":
        time.sleep(0.2)
    return status


def campaign_of(url: str, image_set: object) -> tuple[int, int]:
    """A new active campaign with the first image of the set: their ids."""
    api = f"{url}/api/v1"
    image = requests.get(f"{api}/image_sets/{image_set}/images", headers=HEADERS).json()["images"][0]["image_id"]
    order = {"title": "memory", "metadata": None, "labeler_email": "labeler@example.com"}
    campaign = requests.post(f"{api}/campaigns", json=order, headers=HEADERS).json()["campaign_id"]
    requests.post(f"{api}/campaigns/{campaign}/images", json=[{"id": image}], headers=HEADERS).raise_for_status()
    requests.put(f"{api}/campaigns/{campaign}", json={"new_status": "active"}, headers=HEADERS).raise_for_status()
    return campaign, image


def measure(folder: Path, side: int) -> dict[str, object]:
    """What the service answered, its resting memory and its peak, in bytes."""
    png, tiff = png_of(side, folder), tiff_of(side, folder)
    with service(folder / "service") as (url, pid):
        resting = peak(pid)
        campaign, image = campaign_of(url, sealed(url, "tiff", {"a.tiff": tiff})["imageset_id"])
        where = f"{url}/api/v1/labeling/campaigns/{campaign}/images/{image}/picture"

        def put(size: int) -> int:
            body = b"[" + b"[]," * (size // 3) + b"[]]"
            objects = f"{url}/api/v1/campaigns/{campaign}/objects"
            return requests.put(objects, data=body, headers={**HEADERS, "Content-Type": "application/json"}).status_code

        def picture(_number: int) -> tuple[int, bytes]:
            with requests.get(where, headers=HEADERS, stream=True) as response:
                head = next(response.iter_content(24), b"")
                for _ in response.iter_content(1 << 16):
                    pass
                return response.status_code, head

        with ThreadPoolExecutor(12) as threads:
            pngs = threads.submit(sealed, url, "pngs", {f"{number}.png": png for number in range(4)})
            pictures = threads.map(picture, range(4))
            bodies = list(threads.map(put, [62 << 20, 31 << 20, 2 << 20, 31 << 20, 62 << 20]))
            answers = {"set": pngs.result(), "pictures": list(pictures), "bodies": bodies}
        return answers | {"resting": resting, "peak": peak(pid)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=13_377, help="pixels")
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), parser.parse_args().side)
    megabyte = 1024**2
    print({key: figures[key] for key in ("set", "pictures", "bodies")})
    print(f"resting {figures['resting'] / megabyte:.0f} MiB, peak {figures['peak'] / megabyte:.0f} MiB")
    if figures["peak"] > BOUND:
        sys.exit(f"the peak is beyond {BOUND / megabyte:.0f} MiB")


if __name__ == "__main__":
    main()
