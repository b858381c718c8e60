"""Labelers' keys on the machines of a team: in the ledger, encrypted, or on the machine that received them."""

from __future__ import annotations

import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy.exc import OperationalError

from labelwright.campaigns.kept_keys import KeptKeys, KeyNotHere
from labelwright.campaigns.labeler_keys import LabelerKeys
from labelwright.domain.errors import CannotRun
from labelwright.ledger import Ledger
from labelwright.platforms.protocol import LabelerAccess, Secret
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.security.masking import mask
from labelwright.settings import SettingsError, forget_settings, settings

ANN, LABELER = ("campaign_api", "ann@example.com"), "ann@example.com"
OLD_TEAM_KEY, TEAM_KEY = Fernet.generate_key().decode(), b64encode(bytes(range(200, 232))).decode()

Machine = Callable[..., KeptKeys]


def access(key: str = "key", secret: str | None = "canary") -> LabelerAccess:
    return LabelerAccess(LABELER, key, Secret(secret) if secret else None)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.close()


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ledger: Ledger) -> Iterator[Machine]:
    """The keys as a machine with this name, a home folder of its own and this team key has them."""

    def machine(name: str, team_key: str = "") -> KeptKeys:
        monkeypatch.setattr(socket, "gethostname", lambda: name)
        monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / name))
        (tmp_path / f"{name}.key").write_text(f"{team_key}\n")
        if team_key:
            monkeypatch.setenv("LABELWRIGHT_TEAM_KEY_FILE", str(tmp_path / f"{name}.key"))
        else:
            monkeypatch.delenv("LABELWRIGHT_TEAM_KEY_FILE", raising=False)
        forget_settings()
        return KeptKeys(settings(), ledger, CONNECTIONS)

    yield machine
    forget_settings()


# Without a team key


def test_without_a_team_key_the_key_is_in_the_home_folder_and_the_ledger_says_where(on, tmp_path, ledger):
    on("alpha").keep("campaign_api", access())
    assert on("alpha").find(*ANN) == access()
    assert LabelerKeys(tmp_path / "alpha").find(*ANN) == access()
    (record,) = ledger.labeler_keys.all()
    assert (record.host, record.folder, record.sealed) == ("alpha", str(tmp_path / "alpha"), None)
    assert "canary" not in repr(record)


def test_another_machine_says_which_one_has_the_key_and_how_to_share_it(on, tmp_path):
    on("alpha").keep("campaign_api", access())
    with pytest.raises(KeyNotHere) as refused:
        on("beta").find(*ANN)
    message = str(refused.value)
    assert f"on the machine alpha, in {tmp_path / 'alpha'}" in message
    assert "LABELWRIGHT_TEAM_KEY_FILE" in message
    assert "--rotate" in message
    assert on("beta").is_kept(*ANN), "a launch makes no second key"


def test_a_key_that_was_replaced_elsewhere_is_not_handed_out(on):
    on("alpha").keep("campaign_api", access())
    on("beta").keep("campaign_api", access(secret="rotated"))
    assert on("beta").find(*ANN) == access(secret="rotated")
    with pytest.raises(KeyNotHere, match="that is here was replaced: the present one is kept on the machine beta"):
        on("alpha").find(*ANN)


def test_a_copy_of_the_present_key_is_good_on_every_machine_that_shares_the_home_folder(on, tmp_path):
    on("alpha").keep("campaign_api", access())
    (tmp_path / "beta").symlink_to(tmp_path / "alpha")
    assert on("beta").find(*ANN) == access()


def test_a_key_that_was_stored_without_its_record_is_the_present_one(on, tmp_path, ledger):
    on("alpha").keep("campaign_api", access())
    LabelerKeys(tmp_path / "alpha").keep("campaign_api", access(secret="rotated"))  # and killed
    assert on("alpha").find(*ANN) == access(secret="rotated")
    with pytest.raises(KeyNotHere, match="kept on the machine alpha"):
        on("beta").find(*ANN)
    assert on("alpha").find(*ANN) == access(secret="rotated")


def test_a_key_whose_file_is_gone_is_not_looked_for_elsewhere(on, tmp_path):
    on("alpha").keep("campaign_api", access())
    LabelerKeys(tmp_path / "alpha").path(*ANN).unlink()
    with pytest.raises(KeyNotHere, match="and is gone: restore"):
        on("alpha").find(*ANN)
    assert not on("alpha").is_kept(*ANN), "a launch that is repeated may get another one"
    assert on("beta").is_kept(*ANN)


def test_a_response_without_a_secret_replaces_no_key(on):
    on("alpha").keep("campaign_api", access())
    on("beta").keep("campaign_api", access(secret=None))
    assert on("alpha").find(*ANN) == access()
    with pytest.raises(KeyNotHere):
        on("beta").find(*ANN)


# With a team key


def test_with_a_team_key_every_machine_has_the_key_also_after_a_rotation(on, tmp_path, ledger):
    on("alpha", TEAM_KEY).keep("campaign_api", access())
    assert on("beta", TEAM_KEY).find(*ANN) == access()
    on("beta", TEAM_KEY).keep("campaign_api", access("new", "rotated"))
    assert on("alpha", TEAM_KEY).find(*ANN) == access("new", "rotated")
    assert not list(tmp_path.rglob("labelers/*.json"))
    assert "rotated" not in repr(ledger.labeler_keys.all())


def test_a_dead_key_in_a_home_folder_does_not_win_over_the_ledger(on):
    on("alpha").keep("campaign_api", access())
    on("beta", TEAM_KEY).keep("campaign_api", access(secret="rotated"))
    assert on("alpha", TEAM_KEY).find(*ANN) == access(secret="rotated")
    with pytest.raises(KeyNotHere, match="this machine does not have that: set LABELWRIGHT_TEAM_KEY_FILE"):
        on("alpha").find(*ANN)


@pytest.mark.parametrize(
    ("team_key", "message"), [("", "TEAM_KEY_FILE"), (OLD_TEAM_KEY, "is another one")], ids=["none", "another"]
)
def test_a_machine_without_the_right_team_key_says_so(on, team_key, message):
    on("alpha", TEAM_KEY).keep("campaign_api", access())
    with pytest.raises(KeyNotHere, match=message) as refused:
        on("beta", team_key).find(*ANN)
    assert "canary" not in str(refused.value)
    assert TEAM_KEY not in str(refused.value)


def test_the_team_key_is_changed_in_three_steps(on, ledger):
    on("alpha", OLD_TEAM_KEY).keep("campaign_api", access())
    assert on("beta", f"{TEAM_KEY}\n{OLD_TEAM_KEY}").find(*ANN) == access()
    assert on("beta", f"{TEAM_KEY} {OLD_TEAM_KEY}").share([ANN]) == 1
    assert on("beta", f"{TEAM_KEY} {OLD_TEAM_KEY}").share([ANN]) == 0
    assert on("alpha", TEAM_KEY).find(*ANN) == access()
    with pytest.raises(KeyNotHere):
        on("alpha", OLD_TEAM_KEY).find(*ANN)


def test_an_encrypted_key_of_another_labeler_is_refused(on, ledger):
    on("alpha", TEAM_KEY).keep("campaign_api", access())
    record = ledger.labeler_keys.find(*ANN)
    ledger.labeler_keys.put(
        "campaign_api", "eve@example.com", sealed=record.sealed, proof=record.proof, host="x", folder="x"
    )
    with pytest.raises(KeyNotHere, match="another labeler's"):
        on("alpha", TEAM_KEY).find("campaign_api", "eve@example.com")


@pytest.mark.parametrize("text", ["canary-team-key", "", TEAM_KEY[:-4], f"{TEAM_KEY} canary-team-key"])
def test_a_text_that_is_no_team_key_is_refused_by_the_name_of_its_setting(on, monkeypatch, text):
    monkeypatch.setenv("LABELWRIGHT_TEAM_KEY", text)
    with pytest.raises(SettingsError, match="LABELWRIGHT_TEAM_KEY cannot be used") as refused:
        on("alpha").keep("campaign_api", access())
    assert "canary" not in str(refused.value)


def test_a_block_without_a_prefect_server_is_refused(on, monkeypatch):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    monkeypatch.setenv("LABELWRIGHT_TEAM_KEY", "block:team-key")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(SettingsError, match="block:team-key is a block of Prefect, and no Prefect server is configured"),
    ):
        on("alpha").find(*ANN) or on("alpha").keep("campaign_api", access())


def test_each_of_several_team_keys_is_masked_in_texts(on):
    assert on("alpha", f"{TEAM_KEY},{OLD_TEAM_KEY}").team_key is not None
    assert mask(f"see {OLD_TEAM_KEY} and {TEAM_KEY}") == "see *** and ***"


# Ledgers and keys of earlier versions


def test_a_key_of_an_earlier_version_gets_into_the_ledger_when_its_machine_prints_it(on, tmp_path, ledger):
    LabelerKeys(tmp_path / "alpha").keep("campaign_api", access())
    assert on("beta", TEAM_KEY).find(*ANN) is None
    assert on("alpha").find(*ANN) == access()
    assert ledger.labeler_keys.find(*ANN).host == "alpha"
    assert on("alpha", TEAM_KEY).find(*ANN) == access(), "a team key that is set later encrypts it"
    assert on("beta", TEAM_KEY).find(*ANN) == access()


def test_all_keys_of_a_machine_are_shared_at_once(on, tmp_path):
    LabelerKeys(tmp_path / "alpha").keep("campaign_api", access())
    on("alpha").keep("agency", LabelerAccess("bob@example.com", "bob", Secret("two")))
    both = [ANN, ("agency", "bob@example.com"), ("agency", "nobody@example.com")]
    assert on("alpha").share(both) == 0
    assert on("alpha", TEAM_KEY).share(both) == 2
    assert on("beta", TEAM_KEY).find("agency", "bob@example.com").key == "bob"
    assert on("beta", TEAM_KEY).find(*ANN) == access()


# Before a key is made


def test_a_ledger_that_cannot_be_written_is_noticed_before_a_key_is_made(on, ledger, monkeypatch):
    keys = on("alpha", TEAM_KEY)
    keys.check_writable(*ANN)
    assert ledger.labeler_keys.all() == []

    def full() -> None:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    monkeypatch.setattr(ledger.labeler_keys, "check_writable", full)
    with pytest.raises(CannotRun, match=r"disk is full.*an old one still holds"):
        keys.check_writable(*ANN)
