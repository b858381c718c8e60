"""Files and forms on their way up, and bytes on their way down into a file."""

from __future__ import annotations

import io

import pytest

from labelwright.platforms.errors import PlatformUnavailable
from labelwright.platforms.http.client import Http
from labelwright.platforms.http.multipart import Form, FormFile, UrlForm
from tests.platforms.scripted import answer, scripted


def whole(form) -> bytes:
    stream = form.open()
    data = b"".join(stream)
    assert len(data) == len(form.open())
    return data


def test_a_form_holds_the_fields_and_the_file_byte_by_byte():
    data = bytes(range(256)) * 300
    form = Form({"upload_info": '{"label_ids": []}'}, [FormFile('a "b" ü.png', lambda: io.BytesIO(data))])
    boundary = form.content_type.partition("boundary=")[2]
    assert (
        whole(form)
        == (
            f'--{boundary}\r\nContent-Disposition: form-data; name="upload_info"\r\n\r\n{{"label_ids": []}}\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a %22b%22 ü.png"\r\n\r\n'
        ).encode()
        + data
        + f"\r\n--{boundary}--\r\n".encode()
    )


def test_a_file_is_opened_anew_for_every_try_and_closed_after_it():
    opened: list[io.BytesIO] = []

    def opener() -> io.BytesIO:
        opened.append(io.BytesIO(b"the file"))
        return opened[-1]

    busy = answer(503, headers=("Retry-After: 0",))
    with scripted(busy, answer(200, b'{"id": 1}')) as server:
        got = Http("test", server.url, patience=5).call("send", "POST", "/x", body=Form({}, [FormFile("a", opener)]))
    assert got == {"id": 1}
    assert len(opened) == 2
    assert all(file.closed for file in opened)


def test_files_of_known_size_are_opened_one_after_the_other():
    events: list[str] = []

    class File(io.BytesIO):
        def __init__(self, name: str) -> None:
            super().__init__(name.encode())
            self.name = name
            events.append(f"open {name}")

        def close(self) -> None:
            if not self.closed:
                events.append(f"close {self.name}")
            super().close()

    def file(name: str) -> FormFile:
        return FormFile(name, lambda: File(name), 1, field="files", media_type="image/png")

    stream = Form({}, [file("a"), file("b")]).open()
    assert events == []
    assert stream.read().count(b'name="files"; filename=') == 2
    assert events == ["open a", "close a", "open b", "close b"]


def test_closing_a_stream_early_closes_its_file():
    for size in (5, None):
        file = io.BytesIO(b"12345")
        form = Form({}, [FormFile("a", lambda file=file: file, size)])
        stream = form.open()
        end = len(form.content_type.partition("boundary=")[2]) + 8
        assert stream.read(len(stream) - end - 2).endswith(b"\r\n\r\n123")
        assert not file.closed
        stream.close()
        assert file.closed


def test_the_repr_of_a_url_form_shows_no_field():
    form = UrlForm({"login": "a b", "password": "p&w"})
    assert whole(form) == b"login=a+b&password=p%26w"
    assert "p&w" not in repr(form)


def test_bytes_go_into_a_file_and_a_page_of_html_does_not():
    page = answer(200, b"<html></html>", ("Content-Type: text/html",))
    image = answer(200, b"\xff\xd8 and more than 13 bytes", ("Content-Type: image/jpeg",))
    with scripted(page, image) as server:
        http, into = Http("test", server.url, largest=13), io.BytesIO()
        with pytest.raises(PlatformUnavailable, match="text/html, not a file"):
            http.call("read", "GET", "/x", expect="media", into=into)
        assert into.getvalue() == b""
        http.call("read", "GET", "/x", expect="media", into=into)
        assert into.getvalue() == b"\xff\xd8 and more than 13 bytes"


def test_a_login_request_gets_cookies_and_sends_no_credential():
    moved = answer(302, b"", ("Location: /next", "Set-Cookie: a=1; Path=/", "Set-Cookie: b=2; Path=/"))
    with scripted(moved) as server:
        http = Http("test", server.url, headers={"x-api-key": "token"})
        got = http.request_without_credentials(
            "log in", "POST", "/x", body=UrlForm({"a": "1"}), headers={"Cookie": "c=3"}
        )
        assert (got.status, got.headers["Location"]) == (302, "/next")
        assert [cookie.partition(";")[0] for cookie in got.cookies] == ["a=1", "b=2"]
        assert "x-api-key" not in server.requests[0]
        assert "Cookie: c=3" in server.requests[0]
    with pytest.raises(PlatformUnavailable):
        http.request_without_credentials("log in", "GET", "/x")
