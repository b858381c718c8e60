"""Recognize credentials by their shape: names of parameters and fields, URLs, tokens in text.

Nothing here knows a secret's value; `labelwright.security.masking` does.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, unquote, urlsplit

HIDDEN = "***"

_WORDS = frozenset(
    re.findall(
        r"\w+",
        "password passwd passphrase passcode pwd pass pw secret token jwt auth oauth oauth2 authorization sig "
        "signature credential credentials session sessionid sid cookie csrf xsrf csrftoken "
        "csrfmiddlewaretoken bearer policy ticket apikey accesskey hmac hdnea hdnts assertion otp jsessionid "
        "phpsessid key sas tkn hdntl gda",
    )
)
"""A parameter with one of these words in its name holds a credential."""
_PARTS = re.compile(
    r"password|passwd|secret|token(?!s$|iz)|signature|apikey|accesskey|accountkey|sharedkey|privatekey|"
    r"credential|sessionid|awsaccess|authkey|userkey|licen[cs]ekey|subscriptionkey|sharekey|resourcekey|rlkey"
)
"""Names written together, such as AWSAccessKeyId."""
_NOT_LAST = frozenset({"key", "auth", "pass", "session", "policy"})
"""Words that mean a credential only as the last word of a name: `api_key` is one, `key_pair_id` and `pass_count` are
not."""
_IN_NAME = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def is_secret_name(name: str) -> bool:
    """Whether a parameter, field, header or cookie of that name usually holds a credential."""
    plain = unquote(unquote(name))
    parts = [word.lower() for word in _IN_NAME.findall(plain)]
    whole = [word for word in re.split(r"[^a-z0-9]+", plain.lower()) if word]
    if not parts:
        return False
    words = [word for word in parts if not word.isdecimal()] or parts  # key1 and key2 of an account are keys
    last = {words[-1], whole[-1]}
    if any(word in _WORDS and (word not in _NOT_LAST or word in last) for word in (*parts, *whole)):
        return True
    return _PARTS.search("".join(parts)) is not None


def is_secret(name: str, value: str) -> bool:
    """Whether a parameter of that name and value holds a credential. `code` is a status or a country, but a long one is
    the key of an Azure Function or an authorization code."""
    return is_secret_name(name) or (name.lower() == "code" and _LONG_CODE.match(value) is not None)


_LONG_CODE = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[^\s]{20}")
"""Names of errors, such as `code=AuthorizationPermissionMismatch`, have no digits."""


# URLs


def credential_in_url(url: str, depth: int = 3) -> str | None:
    """What a URL holds that opens something: "a user name or password", "the parameter 'sig'"; None without any.

    Looks at the user info, the path and its parameters (`;jsessionid=...`), the query, the fragment, and at the same of
    what is percent-encoded in them (`?next=https%3A%2F%2F...%3Fsig%3D...`), as many times as `depth`. Values are never
    repeated.
    """
    if _user_info(url.strip()):
        return "a user name or password before the host"
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return None
    for text in (parts.query, parts.fragment, *parts.path.split(";")[1:]):
        for pair in re.split(r"[&;?]", text):
            name, _, value = pair.partition("=")
            if value and is_secret(name, value):
                return f"the parameter '{unquote(name)[:40]}'"
            if _JWT.search(unquote(value or name)):
                return "a token"
    if _JWT.search(parts.path):
        return "a token"
    return _credential_within(url, parts, depth) if depth and "%" in url else None


def _credential_within(url: str, parts: SplitResult, depth: int) -> str | None:
    """The credential in a URL's percent-encoded parts."""
    inner = [unquote(pair.partition("=")[2]) for pair in re.split(r"[&;]", f"{parts.query}&{parts.fragment}")]
    texts = [text for text in inner if "://" in text] + [unquote(url)]
    return next(filter(None, (credential_in_url(text, depth - 1) for text in texts)), None)


def secrets_in_url(url: str) -> list[str]:
    """The values of a URL's user info, query and fragment that are credentials, as written and decoded."""
    secrets = []
    if user_info := _user_info(url.strip()):
        user, colon, password = user_info.partition(":")
        secrets.append(password if colon else user)
    try:
        parts: SplitResult = urlsplit(url.strip())
    except ValueError:
        return secrets
    for text in (parts.query, parts.fragment):
        for pair in re.split(r"[&;]", text):
            name, _, value = pair.partition("=")
            if value and is_secret(name, value):
                secrets.append(value)
    return [*secrets, *(unquote(secret) for secret in secrets if unquote(secret) != secret)]


_NOT_ENCODED = re.compile(r"(?i)[a-z][a-z0-9+.-]*://(?!\[)([^/?#@]*:(?!\d*(?:[/?#]|$)).*)@")
"""A password with an unencoded slash, question mark or hash, which ends the host for URL parsers."""


def _user_info(url: str) -> str:
    try:
        user_info = urlsplit(url).netloc.rpartition("@")[0]
    except ValueError:  # a bracket in a password looks like a broken IPv6 address
        user_info = ""
    match = None if user_info else _NOT_ENCODED.match(url)
    return match[1] if match else user_info


_URL = re.compile(r"(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s\"'<>]+")


def urls_with_credentials(text: str) -> list[str]:
    """For each URL in a text that holds a credential: what it is."""
    return [what for url in _URL.findall(text) if (what := credential_in_url(url)) is not None]


# Text


_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?")
_USER_INFO = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}:(?:\\?/){2})[^/?#\s\"'<>\\]+@")
_USER_INFO_NOT_ENCODED = re.compile(
    r"(?i)\b([a-z][a-z0-9+.-]{0,20}:(?:\\?/){2})(?![\[*])[^/?#@\s\"'<>\\]{1,255}:(?!\d*(?:[/?#\s]|$))[^@\s\"'<>]{1,255}@"
)
_PARAMETER = re.compile(
    r"(?i)(?<![\w.%-])([a-z_][\w.\-]{0,63})"
    r"(?:(=[\"']?)([^&\s\"'<>,;)]+)|(%(?:25)*3D)((?:(?!%(?:25)*26)[^&\s\"'<>,;)])+))"
)
_AFTER_PERCENT = re.compile(
    r"(?i)(?<=%26|%3F|526|53F)([a-z_][\w.\-]{0,63})(%(?:25)*3D)((?:(?!%(?:25)*26)[^&\s\"'<>])+)"
)
_FIELD = re.compile(r"(\\{0,8}[\"'])([\w.\-]{1,64})\1(\s{0,8}:\s{0,8})(\\{0,8}[\"'])([^\s\"'\\]{1,4096})")
_SCHEME = re.compile(
    r"(?i)\b(bearer|token|basic|negotiate|digest|apikey)(\s+|\s*[:=]\s*[\"']?|%20|\+)([A-Za-z0-9._~+/=%\-]{3,})"
)
_AUTHORIZATION = re.compile(
    r"(?i)\b((?:proxy-)?authorization|authentication-(?:key|secret)|x-[\w-]{0,40}(?:key|token|secret|auth)[\w-]{0,40})"
    r"([\"']?\s*[:=]\s*[\"']?)(?!(?:bearer|token|basic|negotiate|digest|apikey)\b)([^\s\"'<>,;]{3,})"
)
_COOKIE = re.compile(
    r"(?i)\b((?:set-)?cookie[\"']?\s*[:=]\s*[\"']?)([\w!#$%&*+.^`|~-]+=[^;\s\"'<>]*(?:;\s*[^;\s\"'<>]+)*)"
)
_PLAIN_WORD = re.compile(r"[a-z]{1,19}|[A-Z][a-z]{1,18}|[A-Z]{1,3}")


def mask_shapes(text: str) -> str:
    """The text without what looks like a credential: parameters, fields, headers, cookies, tokens, user info."""
    text = _JWT.sub(HIDDEN, text)
    text = _USER_INFO.sub(rf"\1{HIDDEN}@", text)
    text = _USER_INFO_NOT_ENCODED.sub(rf"\1{HIDDEN}@", text)
    text = _COOKIE.sub(rf"\1{HIDDEN}", text)
    text = _AUTHORIZATION.sub(_masked_unless_word, text)
    text = _SCHEME.sub(_masked_scheme, text)
    text = _FIELD.sub(_masked_field, text)
    text = _AFTER_PERCENT.sub(lambda match: _masked_pair(match, match[1], match[2], match[3]), text)
    return _PARAMETER.sub(lambda match: _masked_pair(match, match[1], match[2] or match[4], match[3] or match[5]), text)


def _masked_pair(match: re.Match[str], name: str, sign: str, value: str) -> str:
    return f"{name}{sign}{HIDDEN}" if is_secret(name, value) else match[0]


def _masked_field(match: re.Match[str]) -> str:
    return f"{match[1]}{match[2]}{match[1]}{match[3]}{match[4]}{HIDDEN}" if is_secret_name(match[2]) else match[0]


def _masked_unless_word(match: re.Match[str]) -> str:
    return match[0] if is_plain_word(match[3]) else f"{match[1]}{match[2]}{HIDDEN}"


_OF_SENTENCES = frozenset(
    re.findall(
        r"\w+",
        "and are auth authentication authorization been credential credentials does error expected expired "
        "failed format has have header headers invalid is key length missing must needed not only provided "
        "realm refused required scheme schemes secret should token tokens type was were with wrong",
    )
)
"""Words that follow "Bearer" in sentences, such as "Bearer token is missing"."""


def _masked_scheme(match: re.Match[str]) -> str:
    """What follows `Bearer` is a token unless it is a word of a sentence; `token` and `basic` are words themselves, so
    there it has to look like one."""
    scheme, sign, value = match[1], match[2], match[3]
    bare = value.rstrip(".,:;-=").lower()
    if scheme.lower() in ("bearer", "apikey", "negotiate") or scheme in ("Token", "Digest", "Basic"):
        keep = bare in _OF_SENTENCES or bare.startswith("realm")
        if scheme in ("Token", "Digest", "Basic") and not sign.strip():
            keep = keep or (is_plain_word(value) and len(bare) > 3)
    else:
        keep = is_plain_word(value) or bare in ("md5", "sha1", "sha256", "sha512")
    return match[0] if keep else f"{scheme}{sign}{HIDDEN}"


def is_plain_word(value: str) -> bool:
    """Whether it reads as a word of a sentence and not as a credential."""
    return _PLAIN_WORD.fullmatch(value.strip(".,:;!?-=()")) is not None
