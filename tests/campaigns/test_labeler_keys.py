"""Labelers' keys on this machine."""

import stat

import pytest

from labelwright.campaigns.labeler_keys import LabelerKeys, labeling_link
from labelwright.campaigns.spec import validate_spec
from labelwright.platforms.protocol import LabelerAccess, Secret

CAMPAIGN = {"title": "river", "images": {"folder": "/x"}, "labels": ["a"], "labeler": "ann@example.com"}


@pytest.fixture
def keys(tmp_path):
    return LabelerKeys(tmp_path)


def test_a_key_is_kept_and_only_its_owner_can_read_the_file(keys):
    path = keys.keep("campaign_api", LabelerAccess("a@b.c", "key", Secret("canary")))
    assert keys.find("campaign_api", "a@b.c") == LabelerAccess("a@b.c", "key", Secret("canary"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_stored_secret_survives_a_response_without_one(keys):
    keys.keep("campaign_api", LabelerAccess("a@b.c", "key", Secret("canary")))
    keys.keep("campaign_api", LabelerAccess("a@b.c", "key", None))
    assert keys.find("campaign_api", "a@b.c").secret == Secret("canary")


def test_a_rotated_key_replaces_the_old_one(keys):
    keys.keep("campaign_api", LabelerAccess("a@b.c", "old", Secret("1")))
    keys.keep("campaign_api", LabelerAccess("a@b.c", "new", Secret("2")))
    assert keys.find("campaign_api", "a@b.c").key == "new"


def test_key_files_are_separate_and_stay_in_their_folder(keys, tmp_path):
    keys.keep("one", LabelerAccess("../../x@y", "1", None))
    keys.keep("two", LabelerAccess("../../x@y", "2", None))
    assert keys.find("one", "../../x@y").key == "1"
    assert {path.parent for path in tmp_path.rglob("*.json")} == {tmp_path / "labelers"}


def test_a_secret_never_shows_itself():
    assert "canary" not in repr(LabelerAccess("a@b.c", "key", Secret("canary"))) + str(Secret("canary"))


def test_a_link_holds_the_key_in_its_fragment_and_hides_itself():
    link = labeling_link("http://127.0.0.1:8080", LabelerAccess("a@b.c", "key", Secret("s&t")), "3")
    assert link is not None
    assert link.value == "http://127.0.0.1:8080/label#key=key&secret=s%26t&campaign=3"
    assert "s%26t" not in repr(link)
    assert labeling_link("http://127.0.0.1:8080", LabelerAccess("a@b.c", "key", None), "3") is None


def test_unwritable_folder_is_detected_before_a_rotation(keys, monkeypatch):
    from labelwright.campaigns import labeler_keys as labelers

    keys.check_writable("campaign_api", "ann@example.com")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(labelers.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        keys.check_writable("campaign_api", "ann@example.com")
    assert not list(keys.path("campaign_api", "ann@example.com").parent.glob("*.new"))


def test_no_new_key_is_made_while_it_could_not_be_kept(tmp_path, monkeypatch):
    from labelwright.campaigns.connections import Connections
    from labelwright.campaigns.interventions import rotate_labeler_key
    from labelwright.campaigns.kept_keys import KeptKeys
    from labelwright.domain.errors import CannotRun
    from labelwright.ledger import Ledger
    from labelwright.prefect_integration.connections import CONNECTIONS
    from labelwright.settings import forget_settings, settings

    rotated = []

    class Rotating:
        name = "campaign_api"

        def rotate_labeler_key(self, email):
            rotated.append(email)

    monkeypatch.setattr(Connections, "platform_for", lambda _connections, _spec: Rotating())
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
    forget_settings()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LabelerKeys, "check_writable", full)
    keys = KeptKeys(settings(), Ledger(f"sqlite:///{tmp_path / 'ledger.db'}"), CONNECTIONS)
    with pytest.raises(CannotRun, match=r"No space left on device.*an old one still holds"):
        rotate_labeler_key(validate_spec(CAMPAIGN, "test"), keys, CONNECTIONS)
    assert not rotated
