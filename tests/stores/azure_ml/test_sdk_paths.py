"""azureml-core lists the images of a folder by the paths that our tables have."""

from __future__ import annotations

import json
import subprocess

import pytest

from labelwright.stores.azure_ml.names import sdk_path
from tests.stores.azure import python_of

pytestmark = pytest.mark.azureml

FOLDER = "https://account.blob.core.windows.net/container/image_sets/river/0123"
READ = """
import json, sys
from azureml.dataprep.api.engineless_dataflow import EnginelessDataflow
from azureml.dataprep.api.expressions import col
from azureml.dataprep.api.functions import get_portable_path
from azureml.dataprep.native import StreamInfo
folder, *names = sys.argv[1:]
streams = [StreamInfo("AzureBlobStorage", f"{folder}/{name}", {}) for name in names]
images = EnginelessDataflow.from_stream_infos(streams)
paths = images.add_column(get_portable_path(col("Path"), folder), "Portable Path", "Path")  # as FileDataset.to_path
print(json.dumps([record["Portable Path"] for record in paths._to_pyrecords()]))
"""
NAMES = [f"a{chr(code)}b.jpg" for code in range(0x20, 0x7F) if chr(code) not in "/\\"]
NAMES += ["=a.jpg", "-a.jpg", "'a.jpg", "дно/река.jpg", "Ku\u0308ste.jpg", "\u8c48.jpg", "\U0001f600.jpg", "x/%20%.jpg"]


def test_every_name_is_listed_as_our_tables_say() -> None:
    command = [python_of("v1"), "-c", READ, FOLDER, *NAMES]
    process = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    assert json.loads(process.stdout.splitlines()[-1]) == [sdk_path(name) for name in NAMES]
