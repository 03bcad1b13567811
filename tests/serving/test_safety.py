from __future__ import annotations

import pytest
from starlette.websockets import WebSocketDisconnect

from cmaen.errors import ConfigError
from cmaen.serving.problems import Problem
from cmaen.serving.safety import Gate
from cmaen.serving.settings import Limits, Settings
from tests.serving.conftest import files, picture, serving, settings


def test_the_key_opens_what_costs_something() -> None:
    with serving(key="cœur secret") as client:
        assert client.get("/page/config.json").json()["key_required"] is True
        assert client.get("/healthz").status_code == client.get("/").status_code == 200
        for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": "Bearer"}, {"Authorization": "Basic x"}):
            refused = client.post("/v1/predict", files=files(picture()), headers=headers)
            assert refused.status_code == 401
            assert "X-API-Key" in refused.json()["detail"]
            assert refused.headers["www-authenticate"] == "Bearer"
        assert client.get("/v1/labels").status_code == 401
    with serving(key="secret") as client:
        for headers in (
            {"X-API-Key": "secret"},
            {"Authorization": "Bearer secret"},
            {"Authorization": "bearer secret"},
        ):
            assert client.post("/v1/predict", files=files(picture()), headers=headers).status_code == 200


def test_an_empty_key_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="empty"):
        Settings(api_key="")


def test_the_rate_of_a_client_is_limited() -> None:
    with serving(rate=0.01, burst=3) as client:
        statuses = [client.get("/v1/labels").status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        refused = client.get("/v1/labels")
        assert 1 <= int(refused.headers["retry-after"]) <= 100
        assert client.get("/healthz").status_code == 200
        assert 'cmaen_refused_total{limit="rate"} 3.0' in client.get("/metrics").text


def test_clients_have_their_own_rates_and_tokens_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("cmaen.serving.safety.time.monotonic", lambda: now[0])
    gate = Gate(settings(rate=10, burst=2))
    for client in ("a", "a", "b"):
        gate.count(client)
    with pytest.raises(Problem):
        gate.count("a")
    gate.count("b")
    now[0] = 0.11
    gate.count("a")
    for number in range(10_001):
        gate.count(f"{number}")
    assert len(gate._buckets) == 10_000


def test_every_answer_carries_the_headers_of_safety() -> None:
    with serving() as client:
        for response in (client.get("/"), client.get("/nothing"), client.post("/v1/predict"), client.get("/page/x")):
            headers = response.headers
            policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
            assert policy["default-src"] == "'self'"
            assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
            assert policy["style-src"] == "'self'"
            assert policy["connect-src"] == "'self' ws://testserver wss://testserver"
            assert policy["frame-ancestors"] == "'none'"
            assert headers["x-content-type-options"] == "nosniff"
            assert "camera=(self)" in headers["permissions-policy"]
            assert headers["referrer-policy"] == "no-referrer"
            assert "access-control-allow-origin" not in headers
        odd = client.get("/", headers={"Host": "x; script-src *"})
        assert "script-src *" not in odd.headers["content-security-policy"]


def test_pages_of_other_hosts_may_not_ask() -> None:
    with serving() as client:
        post = client.post
        for origin in ("https://example.org", "null", "http://testserver.example.org", "http://testserver:81"):
            refused = post("/v1/predict", files=files(picture()), headers={"Origin": origin})
            assert refused.status_code == 403
            with pytest.raises(WebSocketDisconnect), client.websocket_connect("/v1/live", headers={"Origin": origin}):
                pass
        same = {"Origin": "http://testserver"}
        assert post("/v1/predict", files=files(picture()), headers=same).status_code == 200
        with client.websocket_connect("/v1/live", headers=same):
            pass


def test_pages_that_are_named_may_ask() -> None:
    origin = {"Origin": "https://example.org"}
    with serving(origins=("https://example.org",)) as client:
        answer = client.post("/v1/predict", files=files(picture()), headers=origin)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://example.org"
        with client.websocket_connect("/v1/live", headers=origin):
            pass
        assert client.post("/v1/predict", headers={"Origin": "https://example.com"}).status_code == 403


def test_a_server_answers_to_its_names_alone() -> None:
    with serving(hosts=("testserver", "::1")) as client:
        assert client.get("/healthz", headers={"Host": "TESTSERVER:8000"}).status_code == 200
        assert client.get("/healthz", headers={"Host": "[::1]:8000"}).status_code == 200
        for host in ("rebound.example.org", "", "testserver@x", "[::1", "[1.2]", "[:]", "[::1]]", "testserver:x"):
            assert client.get("/healthz", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize(
    "wrong",
    [{"queue": 3, "images": 4}, {"seconds": 0}, {"wait": float("nan")}, {"rate": -1}, {"images": 0}, {"held_bytes": 1}],
)
def test_limits_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Limits(**wrong)


ORIGINS = {
    "http://x/": "http://x",
    "HTTPS://Example.ORG": "https://example.org",
    "https://example.org:443/": "https://example.org",
    "http://localhost:3000": "http://localhost:3000",
    " https://bücher.example ": "https://xn--bcher-kva.example",
    "http://[::1]:3000/": "http://[::1]:3000",
    "chrome-extension://abcdef": "chrome-extension://abcdef",
}


@pytest.mark.parametrize("origin", ORIGINS)
def test_origins_are_kept_as_browsers_send_them(origin: str) -> None:
    assert Settings(origins=(origin,)).origins == (ORIGINS[origin],)
    assert Settings(origins=(ORIGINS[origin],)).origins == (ORIGINS[origin],)  # as read by the processes of a server


WRONG_ORIGINS = [
    "*", "null", "", "example.org", "localhost:3000", "//example.org", "https://", "https://example.org/page",
    "https://example.org?x", "https://user@example.org", "https://example.org:port", "https://example.org:99999",
    "https://exa mple.org", "https://a.org,https://b.org", "file:///page.html", "wss://example.org", "https://[::1",
]  # fmt: skip


@pytest.mark.parametrize("origin", WRONG_ORIGINS)
def test_what_no_browser_sends_as_an_origin_is_refused(origin: str) -> None:
    with pytest.raises(ConfigError, match=r"origin.*like https://example\.org"):
        Settings(origins=(origin,))


def test_a_page_that_is_named_with_a_slash_may_ask() -> None:
    with serving(origins=("http://X/",), hosts=("TestServer:8000",)) as client:
        assert client.post("/v1/predict", files=files(picture()), headers={"Origin": "http://x"}).status_code == 200


HOSTS = {
    "Example.org": "example.org",
    "example.org:8000": "example.org",
    "example.org.": "example.org",
    "[::1]": "::1",
    "[::1]:8000": "::1",
    "0:0::1": "::1",
    "127.0.0.1": "127.0.0.1",
    "bücher.example": "xn--bcher-kva.example",
}


@pytest.mark.parametrize("host", HOSTS)
def test_names_are_kept_as_they_are_compared(host: str) -> None:
    assert Settings(hosts=(host,)).hosts == (HOSTS[host],)


@pytest.mark.parametrize("host", ["", "*", "http://example.org", "example.org/x", "a b", "user@x", "x:port", "*.x.org"])
def test_names_that_could_never_be_asked_for_are_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="not the name of a server"):
        Settings(hosts=(host,))


def test_keys_are_those_that_a_header_can_carry() -> None:
    assert Settings(api_key=" secret\n").api_key == "secret"
    for key in ("  ", "a\nb", "a\0b"):
        with pytest.raises(ConfigError, match="API key"):
            Settings(api_key=key)
    gate = Gate(settings(key="cœur"))
    assert gate.knows("cœur")
    assert gate.knows("cœur".encode().decode("latin-1"))  # UTF-8 in a header is read like this
    assert not gate.knows("c?ur")
    assert not gate.knows("")
