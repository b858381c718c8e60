"""The vendor's own client, unchanged, judges the stand-in of Geti 2.x: if it works there, what our adapter is tested
against is what that client is used to."""

from __future__ import annotations

import io
import json
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from labelwright.platforms.geti.backup.journal import Journal
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.models import GetiAnnotation
from labelwright.platforms.geti.projects import NewLabel, NewTask
from labelwright.platforms.geti.session import GetiSession
from labelwright.platforms.protocol import Secret
from tests.sdk_environments import python_with, shelf

from .server import TOKEN, geti_server
from .test_backup import box, differences_from_backup, empty_scene, outline, photo, restore_backup

JUDGE = Path(__file__).with_name("sdk_judge.py")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in")])
    now = datetime.now(UTC)
    command = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + command.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.sdk
def test_geti_sdk_works_on_the_fake_server_and_reads_our_project(certificate, tmp_path, monkeypatch):
    python = python_with("geti-sdk-2.13.1", "geti-sdk==2.13.1", shelf())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with geti_server("2.12.1", certificate=certificate) as server:
        client = GetiClient(GetiSession(server.url, "", Secret(TOKEN)))
        tasks = [NewTask("detection", (NewLabel("dog"),)), NewTask("segmentation", (NewLabel("dog shape"),))]
        our_project = client.create_project("ours", tasks)
        media = [
            client.upload(our_project, f"photo {n}.jpg", lambda n=n: io.BytesIO(photo(2 * n + 1))) for n in range(3)
        ]
        detection, segmentation = our_project.trained
        client.annotate(
            our_project, media[0], [box(client, detection.labels[0]), outline(client, segmentation.labels[0])]
        )
        client.annotate(our_project, media[1], [empty_scene(client, detection)])
        command = [str(python), str(JUDGE), server.url, TOKEN, str(tmp_path), "ours"]
        completed = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert completed.returncode == 0, completed.stderr[-3000:]
        result = json.loads(completed.stdout.splitlines()[-1])
        expected = {
            "photo 0": [["dog", "Rectangle"], ["dog shape", "Polygon"]],
            "photo 1": [["No object", "Rectangle"]],
            "photo 2": None,
        }
        assert result["ours"] == expected
        assert result["copy"] == expected
        assert "detection_to_classification" in result["kinds"]
        # and we read what it wrote
        sdk_project = client.project(result["made"])
        scenes = [client.scene(sdk_project, medium) for medium in client.media(sdk_project)]
        assert [len(scene.annotations) for scene in scenes if scene is not None] == [2, 1]
        assert all(
            isinstance(annotation, GetiAnnotation) for scene in scenes if scene for annotation in scene.annotations
        )
        assert client.auto_train(sdk_project) is False
        copy = client.project(result["copy id"])
        assert sorted(medium.name for medium in client.media(copy)) == ["photo 0", "photo 1", "photo 2"]
        # and the folder that it wrote of our project is restored by us
        journal = Journal(tmp_path / "journal")
        restored = restore_backup(client, tmp_path / "copy", "restored", journal)
        assert differences_from_backup(client, tmp_path / "copy", restored, journal).differences == []
        restored_project = client.project(restored)
        scenes = [client.scene(restored_project, medium) for medium in client.media(restored_project)]
        assert sorted(len(scene.annotations) for scene in scenes if scene is not None) == [1, 2]
