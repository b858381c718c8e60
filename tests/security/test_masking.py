"""Secrets are masked by value, however a text writes them, and by shape where nobody knows the value."""

from __future__ import annotations

import base64

import pytest

from labelwright.platforms.errors import PlatformRefused, PlatformUnavailable
from labelwright.platforms.protocol import Secret
from labelwright.security.credential_shapes import credential_in_url, is_secret_name
from labelwright.security.masking import HIDDEN, MAX_REMEMBERED, mask, remember, remember_login
from tests.network.fault_server import ENCODINGS

SECRETS = [
    "CANARY-7b1f-0c44",
    'CANARY 7b"1f\\x/y',
    "CANARY&7b1f<b>é+=%41",
    "CANARY\tpäss\U0001f600wörd",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_remembered_secret_is_masked_in_every_encoding(secret: str, encoding: str) -> None:
    remember(secret)
    written = ENCODINGS[encoding](secret)
    shown = mask(f"before {written} after")
    assert "canary" not in shown.lower()
    assert written[:6] not in shown
    assert HIDDEN in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


@pytest.mark.parametrize("around", ["{}", '{{"email": "jane@example.com", "password": "{}"}}', "x{}", "xy{}z"])
def test_a_secret_within_base64_of_something_longer_is_masked(around: str) -> None:
    remember("CANARY-7b1f-0c44")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(around.format("CANARY-7b1f-0c44").encode()).decode()
        assert mask(f"it sent {encoded}, which is wrong") == f"it sent {HIDDEN}, which is wrong"


def test_a_login_is_masked_as_basic_authentication_sends_it() -> None:
    remember_login("jane", "pw-31")
    basic = base64.b64encode(b"jane:pw-31").decode()
    assert mask(f"got {basic} from jane") == f"got {HIDDEN} from jane"


def test_the_domain_of_the_accounts_address_stays_readable() -> None:
    remember_login("bob@river-labels.example", "CANARY-7b1f-0c44")
    text = "https://cvat.river-labels.example/ has no labeler jane@river-labels.example"
    assert mask(text) == text
    assert mask("no user bob@river-labels.example") == f"no user {HIDDEN}"
    assert mask("no user bob%40river-labels.example") == f"no user {HIDDEN}"


def test_password_is_masked_after_many_temporary_secrets() -> None:
    remember_login("jane.doe@example.com", "CANARY-7b1f-0c44")
    for number in range(MAX_REMEMBERED + 10):
        remember(f"{number:06}-passing-{number:06}")
    assert "CANARY" not in mask("no jane.doe@example.com with CANARY-7b1f-0c44")
    assert mask("000000-passing-000000") == "000000-passing-000000", "the memory for passing secrets is bounded"
    assert mask(f"{MAX_REMEMBERED:06}-passing-{MAX_REMEMBERED:06}") == HIDDEN


def test_parts_of_headers_and_signatures_are_masked() -> None:
    remember("Token 93fb0c11aa", "?sv=2&sig=Zm9v%2BYmFyYmF6cXV1eA%3D%3D&se=1")
    remember("DefaultEndpointsProtocol=https;AccountName=river;AccountKey=cHJpdmF0ZS1rZXk=;EndpointSuffix=x.example")
    for text in ("93fb0c11aa", "Zm9v%2BYmFyYmF6cXV1eA%3D%3D", "Zm9v+YmFyYmF6cXV1eA==", "cHJpdmF0ZS1rZXk="):
        assert text not in mask(f"it was ({text})")
    assert mask("the account river") == "the account river"


@pytest.mark.parametrize(
    "text", ["CANARY-7b1f-0c4...", "it had CANARY-7b1f-0c4", "CANARY-7b\n1f-0c44", "RY-7b1f-0c44 x"]
)
def test_a_secret_that_was_cut_or_broken_is_masked(text: str) -> None:
    remember("CANARY-7b1f-0c44")
    assert "7b" not in mask(text)


def test_short_and_common_secrets_leave_sentences_readable() -> None:
    remember("a", "cat", "river", "1234")
    shown = mask(
        "the image set riverside of a campaign has 12345 images, category 'catfish'; river/photo.jpg is missing"
    )
    assert shown == (
        f"the image set riverside of a campaign has 12345 images, category 'catfish'; {HIDDEN}/photo.jpg is missing"
    )
    assert mask('{"password": "a"}') == f'{{"password": "{HIDDEN}"}}'


@pytest.mark.parametrize(
    "text",
    [
        "got Bearer CANARY",
        "header 'Token CANARY1' is wrong",
        "Authorization: Basic CANARY1x",
        "Cookie: sessionid=CANARY; csrftoken=CANARY",
        "Set-Cookie: _oauth2_proxy=CANARY; Path=/",
        'sent {"token": "CANARY"}',
        'sent {\\"api_key\\": \\"CANARY\\"}',
        "at https://jane:CANARY@host/",
        "at https:\\/\\/jane:CANARY@host/",
        "at https://host/x?X-Amz-Security-Token=CANARY&a=1",
        "at https://host/x?next=%2Fy%3Fsig%3DCANARY%26b%3D1",
        "X-Api-Key: CANARY1",
        "eyJhbGciOiJDQU5BUlkifQ.CANARYCANARY.CANARY",
        "AccountKey=CANARY==;",
    ],
)
def test_what_looks_like_a_credential_is_masked(text: str) -> None:
    assert "CANARY" not in mask(text)


@pytest.mark.parametrize(
    "text",
    [
        "Bearer token is missing",
        "Token expired",
        "Invalid token.",
        "Authentication credentials were not provided.",
        "password: This field may not be blank.",
        "the key 'river' exists, author=Jane, monkey=2, page=3",
        "campaign 'river' has 3 of 10 images, see https://host/campaigns/7?page=2",
        "Basic authentication required",
    ],
)
def test_sentences_about_credentials_stay_as_they_are(text: str) -> None:
    assert mask(text) == text


def test_every_error_of_a_platform_is_masked_when_it_is_made() -> None:
    Secret("CANARY-7b1f-0c44")
    for kind in (PlatformRefused, PlatformUnavailable):
        error = kind("x", "find CANARY-7b1f-0c44", message="no CANARY-7b1f-0c44", advice="See ?sig=CANARY")
        assert "CANARY" not in f"{error} {error!r} {error.args} {error.message} {error.advice} {error.operation}"


@pytest.mark.parametrize("name", ["api_key", "apiKey", "key", "X-Amz-Signature", "X-Goog-Signature", "AWSAccessKeyId"])
def test_names_of_credentials_are_known(name: str) -> None:
    assert is_secret_name(name)
    assert credential_in_url(f"https://host/a.jpg?{name}=abc") == f"the parameter '{name}'"


@pytest.mark.parametrize(
    "url",
    [
        "https://host/api/picture?code=WPnVlXa0hzQqv4b7y8dfgh3487fgh34gfhQ==",
        "https://host/a.jpg?next=https%3A%2F%2Fhost%2F%3Fsig%3Dcanary",
        "https://host/a.jpg?next=https%253A%252F%252Fuser%253Acanary%2540host%252F",
        "https://host/a.jpg%3Fsig%3Dcanary",
        "https://host/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.canarycanary/a.jpg",
        "https://host/a.jpg?key1=canary",
        "https://bob:can/ary@host/a.jpg",
        "https://bob:can?ary@host/a.jpg",
        "https://bob:can#ary@host/a.jpg",
        "https://bob:can[ary@host/a.jpg",
        "https://host/a.jpg?rlkey=canary&dl=1",
        "https://host/a.jpg?__gda__=canary",
    ],
)
def test_credentials_are_found_in_every_part_of_a_url(url: str) -> None:
    assert credential_in_url(url) is not None


@pytest.mark.parametrize(
    "text",
    [
        "it ended with exit code=403",
        "code=AuthorizationPermissionMismatch",
        "digest sha256:93fb0c11aa",
        "https://host/a%20b%40c.jpg?country_code=de&code=403",
        "monkey=3 keys=2",
    ],
)
def test_codes_and_encoded_names_stay_readable(text: str) -> None:
    assert mask(text) == text
    assert credential_in_url(text) is None


@pytest.mark.parametrize("name", ["author", "monkey", "page", "se", "sp", "keyword", "name", "versionId", "max_tokens"])
def test_names_of_other_things_are_no_credentials(name: str) -> None:
    assert not is_secret_name(name)
    assert credential_in_url(f"https://host/a.jpg?{name}=abc") is None
