"""Block types for credentials match the platforms and the settings."""

from __future__ import annotations

from typing import get_args

import pytest

from labelwright.platforms.registry import PLATFORMS
from labelwright.prefect_integration.blocks import CREDENTIAL_BLOCKS, Credentials, PlatformCredentials
from labelwright.settings import ConnectionSettings


def test_every_platform_has_one_block_type():
    assert list(CREDENTIAL_BLOCKS) == list(PLATFORMS)
    assert list(get_args(Credentials)) == list(CREDENTIAL_BLOCKS.values())


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_block_type_requires_what_its_platform_needs(platform):
    fields = CREDENTIAL_BLOCKS[platform].model_fields
    required = {name for name, field in fields.items() if field.is_required()}
    assert required == {"url", *map(str, PLATFORMS[platform].needs)}


def test_block_types_have_the_fields_of_a_connection():
    assert set(PlatformCredentials.model_fields) == set(ConnectionSettings.model_fields) - {"platform"}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_stored_names_of_block_types_do_not_change(platform):
    block_type = CREDENTIAL_BLOCKS[platform]
    assert block_type.get_block_type_name() == f"Labelwright {platform}"
    assert block_type.get_block_type_slug() == f"labelwright-{platform.replace('_', '-')}"
