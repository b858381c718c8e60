"""Long responses are read object by object, with the result of json.loads."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelwright.platforms.errors import PlatformRefused, PlatformUnavailable
from labelwright.platforms.geti.stream import objects

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def read(body: bytes):
    read_objects, reader = [], objects("list", body, "media")
    while True:
        try:
            read_objects.append(next(reader).json)
        except StopIteration as end:
            return read_objects, end.value.json


@given(
    st.lists(st.dictionaries(st.text(), json_values, max_size=3), max_size=4),
    st.dictionaries(st.text().filter(lambda key: key != "media"), json_values, max_size=3),
    st.booleans(),
    st.sampled_from([None, 2]),
)
def test_objects_and_other_members_are_read_in_any_order(media, others, first, indent):
    document = {"media": media, **others} if first else {**others, "media": media}
    assert read(json.dumps(document, indent=indent).encode()) == (media, others)


@given(st.integers(0, 60))
def test_cut_response_is_unavailable(length):
    document = json.dumps({"media": [{"id": "a", "n": [1, 2]}, {"id": "b"}], "media_count": {"images": 2}}).encode()
    with pytest.raises(PlatformUnavailable):
        read(document[: min(length, len(document) - 1)])


@pytest.mark.parametrize("body", [b"[]", b"null", b"nonsense", b'{"media": [{"id": 1} {"id": 2}]}', b"\xff"])
def test_other_json_is_unavailable(body):
    with pytest.raises(PlatformUnavailable):
        read(body)


@pytest.mark.parametrize(("body", "reason"), [(b"{}", "media is missing"), (b'{"media": 3}', "not a list")])
def test_missing_list_is_refused(body, reason):
    with pytest.raises(PlatformRefused, match=reason):
        read(body)
