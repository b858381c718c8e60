"""An Azure ML workspace is a Prefect block, or stands in the settings."""

from __future__ import annotations

import pytest

from labelwright.prefect_integration.blocks import AzureMlWorkspace
from labelwright.settings import SettingsError, WorkspaceSettings, forget_settings, settings
from labelwright.tasks.export.stores import open_store, workspace_named

from .conftest import make_spec

SECRET = "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net"


@pytest.mark.usefixtures("prefect_server", "home")
def test_a_workspace_block_is_opened_by_tasks_only(tmp_path, monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_WORKSPACES__DEFAULT__PYTHON_V1", "/opt/azureml-v1/bin/python")
    forget_settings()
    AzureMlWorkspace(subscription_id="s", resource_group="g", workspace_name="w", connection_string=SECRET).save(
        "team-workspace"
    )
    workspace = workspace_named("block:team-workspace", settings())
    assert isinstance(workspace, WorkspaceSettings)
    assert (workspace.workspace_name, workspace.container, str(workspace.python_v1)) == (
        "w",
        "extra-images",
        "/opt/azureml-v1/bin/python",
    )
    assert workspace.connection_string is not None
    assert workspace.connection_string.get_secret_value() == SECRET
    export = {"store": "azure_ml", "workspace": "block:team-workspace"}
    campaign = make_spec("river", tmp_path, tmp_path, export=export)
    store = open_store(campaign.export, settings())
    assert "c2VjcmV0" not in repr(workspace) + repr(store) + campaign.model_dump_json()


@pytest.mark.usefixtures("prefect_server", "home")
def test_a_workspace_that_is_not_there_is_told_with_what_to_set():
    with pytest.raises(SettingsError, match="LABELWRIGHT_WORKSPACES__TEAM__CONFIG"):
        workspace_named("team", settings())
    with pytest.raises(SettingsError, match="no block 'lake' of type labelwright-azure-ml-workspace"):
        workspace_named("block:lake", settings())


@pytest.mark.usefixtures("home")
def test_a_workspace_of_the_settings_file_is_found_by_its_name(home):
    home.mkdir(parents=True)
    (home / "settings.toml").write_text('[workspaces.team]\nworkspace_name = "w"\naccount_url = "https://a"\n')
    forget_settings()
    assert workspace_named("Team", settings()).account_url == "https://a"
