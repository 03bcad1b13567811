"""The notice: what an operator words reaches the page and every response, as text, and nothing else does."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cmaen.errors import ConfigError
from cmaen.serving.safety import NOTICE_HEADER, encode_notice
from cmaen.serving.settings import Settings
from cmaen.web.notice import LONGEST, NOTICE, check_notice
from tests.conftest import free_port
from tests.serving.conftest import files, picture, serving
from tests.test_cli import cmaen

HOSTILE = '<script>alert("1")</script> \\ über ☺'


def decode(value: str) -> str:
    """Read the header as RFC 9110 and RFC 8187 say."""
    if quoted := re.fullmatch(r'text="((?:[^"\\]|\\.)*)"', value):
        return re.sub(r"\\(.)", r"\1", quoted[1])
    extended = re.fullmatch(r"text\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~%-]*)", value)
    assert extended, value
    return unquote(extended[1], errors="strict")


def test_every_response_carries_the_usual_notice() -> None:
    with serving() as client:
        for response in (
            client.get("/"),
            client.get("/nothing"),
            client.get("/v1/labels"),
            client.post("/v1/predict", files=files(picture())),
            client.get("/", headers={"Origin": "https://example.org"}),
        ):
            assert decode(response.headers[NOTICE_HEADER]) == NOTICE
        assert client.get("/page/config.json").json()["notice"] == NOTICE
        assert NOTICE_HEADER in client.get("/openapi.json").json()["info"]["description"]


def test_an_operators_words_are_sent_as_text() -> None:
    with serving(notice=f"  {HOSTILE}\t", hosts=("testserver",)) as client:
        assert client.get("/page/config.json").json()["notice"] == HOSTILE
        assert decode(client.get("/").headers[NOTICE_HEADER]) == HOSTILE
        assert HOSTILE not in client.get("/").text
        refused = client.get("/", headers={"Host": "elsewhere"})
        assert refused.status_code == 421
        assert decode(refused.headers[NOTICE_HEADER]) == HOSTILE
        with client.websocket_connect("ws://testserver/v1/live") as socket:
            headers = dict(socket.extra_headers or [])  # type: ignore[attr-defined]
            assert decode(headers[NOTICE_HEADER.lower().encode()].decode()) == HOSTILE


def test_pages_of_permitted_origins_can_read_it() -> None:
    with serving(origins=("https://example.org",)) as client:
        answer = client.get("/v1/labels", headers={"Origin": "https://example.org"})
        assert NOTICE_HEADER in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (" \n ", "is empty"),
        ("a\nb", "a line break"),
        ("a\r\nSet-Cookie: b", "a line break"),
        ("a\0b", "control character"),
        ("a\x1b[31mb", "control character"),
        ("a\u2028b", "a line break"),
        ("a\u2029b", "a line break"),
        ("a\udcffb", "not UTF-8"),
        ("a" * (LONGEST + 1), f"{LONGEST} are the most"),
    ],
)
def test_a_notice_that_cannot_be_shown_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Settings(notice=text)


@given(st.text(max_size=LONGEST + 20))
@example("نمی‌دانم")  # Persian needs a joiner, which is not printable
@example('"\\"')
def test_whatever_is_accepted_is_one_short_header(text: str) -> None:
    try:
        accepted = check_notice(text)
    except ConfigError:
        return
    value = encode_notice(accepted)
    assert decode(value) == accepted == text.strip()
    assert value.isascii()
    assert value.isprintable()
    assert len(value) < 4096 - 1500  # what usual proxies hold of a response's headers, and room for the others


@pytest.mark.parametrize("text", ["", "two\nlines", "x" * (LONGEST + 1)])
def test_the_command_line_refuses_it_in_one_line(text: str) -> None:
    said = cmaen("serve", "--notice", text, "--port", free_port(), code=2)
    assert said.startswith("error: the notice ")
    assert said.count("\n") == 1
