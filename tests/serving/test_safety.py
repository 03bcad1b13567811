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
    with serving(rate=0.5, burst=3) as client:
        statuses = [client.get("/v1/labels").status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        refused = client.get("/v1/labels")
        assert 1 <= int(refused.headers["retry-after"]) <= 2
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
        for host in ("rebound.example.org", "", "testserver@x", "[::1"):
            assert client.get("/healthz", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize(
    "wrong",
    [{"queue": 3, "images": 4}, {"seconds": 0}, {"wait": float("nan")}, {"rate": -1}, {"images": 0}, {"held_bytes": 1}],
)
def test_limits_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Limits(**wrong)
