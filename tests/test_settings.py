"""Settings come from the environment and from settings.toml, and are read in one place."""

import json

import pytest

from labelwright.settings import SettingsError, forget_settings, settings


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
    forget_settings()
    yield
    forget_settings()


def test_a_variable_wins_over_the_file(tmp_path, monkeypatch):
    (tmp_path / "settings.toml").write_text("upload_threads = 3\nbatch_size = 7\n")
    monkeypatch.setenv("LABELWRIGHT_UPLOAD_THREADS", "5")
    assert (settings().upload_threads, settings().batch_size) == (5, 7)


def test_a_connection_is_found_by_name(tmp_path):
    (tmp_path / "settings.toml").write_text(
        '[connections.agency]\nplatform = "campaign_api"\nurl = "https://x"\nkey = "k"\nsecret = "s"\n'
    )
    connection = settings().connection("agency")
    assert (connection.platform, connection.url, connection.secret.get_secret_value()) == (
        "campaign_api",
        "https://x",
        "s",
    )


def embedded_service(home):
    (home / "service").mkdir()
    (home / "service" / "admin.json").write_text(json.dumps({"key": "k", "secret": "s"}))
    (home / "service" / "service.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "port": 1}))


def test_the_embedded_service_is_found_by_what_it_wrote(tmp_path):
    embedded_service(tmp_path)
    assert settings().connection("campaign_api").url == "http://127.0.0.1:1/api/v1"


def test_an_address_alone_takes_the_key_of_the_embedded_service(tmp_path, monkeypatch):
    embedded_service(tmp_path)
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL", "http://127.0.0.1:2/api/v1")
    connection = settings().connection("campaign_api")
    assert (connection.url, connection.key.get_secret_value()) == ("http://127.0.0.1:2/api/v1", "k")


@pytest.mark.parametrize("name", ["campaign_api", "agency"])
def test_a_missing_connection_says_how_to_give_it(name):
    with pytest.raises(SettingsError, match=f"LABELWRIGHT_CONNECTIONS__{name.upper()}__URL"):
        settings().connection(name)


def test_a_wrong_value_names_its_setting_and_not_the_value(monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_BATCH_SIZE", "canary")
    with pytest.raises(SettingsError, match="batch_size") as refused:
        settings()
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("content", [b"batch_size = [", b'key = "\xff"', b"batch_size = 1\nbatch_size = 2\n"])
def test_a_file_that_is_no_toml_is_told_by_its_name(tmp_path, content):
    (tmp_path / "settings.toml").write_bytes(content)
    with pytest.raises(SettingsError, match=r"settings\.toml cannot be read"):
        settings()


def test_unparsable_variable_names_the_setting_not_the_value(monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_RETRY_DELAYS", "canary")
    with pytest.raises(SettingsError, match="retry_delays") as refused:
        settings()
    assert "canary" not in str(refused.value)


def test_secrets_do_not_show(monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__AGENCY__SECRET", "canary")
    monkeypatch.setenv("LABELWRIGHT_LEDGER_URL", "postgresql://me:canary@host/db")
    assert "canary" not in repr(settings()) + str(settings().model_dump())


@pytest.mark.parametrize("query", ["?sv=1&sig=canary", "?token=canary", "#access_token=canary", "?x=canary"])
def test_an_address_with_a_signature_is_refused_and_not_repeated(query, monkeypatch):
    from pydantic import ValidationError

    from labelwright.settings import ReceiverSettings, WorkspaceSettings

    url = f"https://photos.blob.core.windows.net/drop{query}"
    for fields in (ReceiverSettings, {"drop_container": url}), (WorkspaceSettings, {"account_url": url}):
        with pytest.raises(ValidationError, match="put a signature into its own setting"):
            fields[0](**fields[1])
    monkeypatch.setenv("LABELWRIGHT_RECEIVER__DROP_CONTAINER", url)
    forget_settings()
    with pytest.raises(SettingsError) as refused:
        settings()
    assert "canary" not in str(refused.value)
    assert "drop_container" in str(refused.value)
