"""Errors when results of runs cannot be kept. On real servers: tests/flows/test_scaled_out.py."""

from __future__ import annotations

import sys

import pytest

from labelwright.domain.errors import CannotRun
from labelwright.prefect_integration.result_storage import keep_results_in_blob
from labelwright.settings import ResultsSettings, SettingsError

CANARY = "canary4711"


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "prefect_azure.blob_storage", None)
    with pytest.raises(CannotRun, match=r"pip install 'labelwright\[results\]'"):
        keep_results_in_blob(ResultsSettings(account_url="https://team.blob.core.windows.net"))


def test_incomplete_settings_are_refused_by_their_variables():
    with pytest.raises(SettingsError, match="LABELWRIGHT_RESULTS__ACCOUNT_URL"):
        keep_results_in_blob(ResultsSettings())
    with pytest.raises(SettingsError, match="no connection string") as refused:
        keep_results_in_blob(ResultsSettings(connection_string=CANARY))
    assert CANARY not in str(refused.value)


def test_an_unreachable_account_is_reported_without_its_key():
    where = f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey={CANARY}aa;BlobEndpoint=http://127.0.0.1:1/a;"
    with pytest.raises(CannotRun, match="'prefect-results' for results cannot be used") as refused:
        keep_results_in_blob(ResultsSettings(connection_string=where))
    assert CANARY not in str(refused.value)
