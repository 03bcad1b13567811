from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import ASGITransport, AsyncClient, Response

from cmaen import EmotionPredictor
from cmaen.inference.pipeline import FacePipeline
from cmaen.results import Result
from cmaen.serving.batching import Batcher, Turns
from cmaen.serving.metrics import Metrics
from cmaen.serving.problems import Problem
from cmaen.serving.settings import Limits
from cmaen.types import FaceBox, Frame
from tests.conftest import PATIENCE, wait_until
from tests.serving.conftest import files, picture, serving


@pytest.fixture(scope="module")
def pipeline() -> FacePipeline:
    return EmotionPredictor(threads=1, workers=2).pipeline


@contextmanager
def batching(pipeline: FacePipeline, **limits) -> Iterator[tuple[Batcher, Metrics]]:
    metrics = Metrics()
    batcher = Batcher(pipeline, limits=Limits(**{"images": 1, **limits}), metrics=metrics)
    try:
        yield batcher, metrics
    finally:
        batcher.close()


def frame(number: int) -> Frame:
    pixels = np.random.default_rng(number).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    return Frame(number, f"{number}", pixels)


def value(metrics: Metrics, name: str) -> float:
    (line,) = (line for line in metrics.text().decode().splitlines() if line.startswith(f"{name} "))
    return float(line.split()[1])


def test_many_clients_share_batches_and_get_their_own_answers(pipeline: FacePipeline) -> None:
    expected = EmotionPredictor(threads=1).predict_batch([frame(number).image for number in range(64)], detect=False)
    with batching(pipeline, batch_seconds=0.05) as (batcher, metrics):

        def ask(number: int) -> Result:
            (answer,) = batcher.submit([partial(frame, number)], detect=False)
            return answer.result(PATIENCE)

        with ThreadPoolExecutor(64) as clients:
            results = list(clients.map(ask, range(64)))
        for number, result in enumerate(results):
            assert result.frame.name == f"{number}"
            assert result.frame.image is None
            assert result.to_dict()["probabilities"] == pytest.approx(expected[number]["probabilities"], abs=1e-5)
        assert value(metrics, "cmaen_batch_images_sum") == 64
        assert value(metrics, "cmaen_batch_faces_sum") == 64
        assert value(metrics, "cmaen_batch_images_count") < 32
        assert value(metrics, "cmaen_queue_images") == 0


def test_who_is_alone_does_not_wait_for_others(pipeline: FacePipeline) -> None:
    with batching(pipeline, batch_seconds=4 * PATIENCE) as (batcher, _):
        (answer,) = batcher.submit([partial(frame, 0)], detect=False)
        assert answer.result(PATIENCE).status == "ok"


def test_a_full_queue_refuses_all_of_a_request_and_recovers(pipeline: FacePipeline) -> None:
    held = threading.Event()

    def slow() -> Frame:
        held.wait(PATIENCE)
        return frame(0)

    with batching(pipeline, queue=4) as (batcher, metrics):
        answers = batcher.submit([slow] * 3, detect=False)
        with pytest.raises(Problem, match="queue") as refusal:
            batcher.submit([slow] * 2, detect=False)
        assert (refusal.value.status, refusal.value.refused) == (503, "queue")
        assert int(refusal.value.headers["Retry-After"]) >= 1
        answers += batcher.submit([slow], detect=False)
        with pytest.raises(Problem, match="waiting to be processed"):
            batcher.check_room()
        assert value(metrics, "cmaen_queue_images") == 4
        held.set()
        assert [answer.result(PATIENCE).status for answer in answers] == ["ok"] * 4
        batcher.check_room()


def test_who_would_wait_too_long_is_refused(pipeline: FacePipeline) -> None:
    def slow() -> Frame:
        time.sleep(0.02)
        return frame(0)

    with batching(pipeline, wait=0.2, batch_faces=1) as (batcher, _):
        for answer in batcher.submit([slow] * 40, detect=False):
            answer.result(PATIENCE)
        answers = batcher.submit([slow] * 40, detect=False)  # without other requests there is no wait
        with pytest.raises(Problem, match="40 images are waiting"):
            batcher.submit([slow], detect=False)
        for answer in answers:
            answer.result(PATIENCE)


def test_what_nobody_waits_for_is_left_out(pipeline: FacePipeline) -> None:
    held, begun, decoded = threading.Event(), [], []

    def slow(number: int) -> Frame:
        begun.append(number)
        held.wait(PATIENCE)
        decoded.append(number)
        return frame(number)

    with batching(pipeline) as (batcher, metrics):
        answers = batcher.submit([partial(slow, number) for number in range(6)], detect=False)
        wait_until(lambda: len(begun) == 2)  # by two workers
        for answer in answers[2:]:
            assert answer.cancel()
        held.set()
        assert [answer.result(PATIENCE).status for answer in answers[:2]] == ["ok", "ok"]
        with pytest.raises(CancelledError):
            answers[3].result(1)
        batcher.submit([partial(frame, 9)], detect=False)[0].result(PATIENCE)
        assert sorted(decoded) == [0, 1]
    assert value(metrics, "cmaen_queue_images") == 0


def test_the_unforeseen_costs_one_picture_and_no_thread(pipeline: FacePipeline) -> None:
    def bad() -> Frame:
        raise MemoryError("no room")

    with batching(pipeline) as (batcher, metrics):
        good, wrong, last = batcher.submit([partial(frame, 0), bad, partial(frame, 1)], detect=True)
        with pytest.raises(MemoryError):
            wrong.result(PATIENCE)
        assert good.result(PATIENCE).error is last.result(PATIENCE).error is None
    assert value(metrics, "cmaen_queue_images") == 0


def test_closing_finishes_what_was_taken(pipeline: FacePipeline) -> None:
    with batching(pipeline) as (batcher, _):
        answers = batcher.submit([partial(frame, number) for number in range(50)], detect=False)
    assert all(answer.done() for answer in answers)
    assert [answer.result().frame.index for answer in answers] == list(range(50))


def test_a_busy_server_refuses_and_a_slow_one_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()

    def slow(index: int, name: str, fetch, **_) -> Frame:
        held.wait(PATIENCE)
        return frame(index)

    monkeypatch.setattr("cmaen.serving.service.read_frame", slow)
    with serving(queue=2, images=2, seconds=1.5) as client, ThreadPoolExecutor(1) as clients:
        late = clients.submit(client.post, "/v1/predict", files=files(picture(), picture()))
        wait_until(lambda: "cmaen_queue_images 2.0" in client.get("/metrics").text)
        refused = client.post("/v1/predict", files=files(picture()))
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert 'cmaen_refused_total{limit="queue"} 1.0' in client.get("/metrics").text
        assert late.result().status_code == 504
        held.set()
        wait_until(lambda: "cmaen_queue_images 0.0" in client.get("/metrics").text)
        wait_until(lambda: client.post("/v1/predict", files=files(picture())).status_code == 200)


def test_requests_hold_no_more_bytes_than_they_may() -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=x"}

    async def ask(app: FastAPI) -> tuple[Response, Response]:
        begun, held = asyncio.Event(), asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b"--x--\r\n" + b" " * 2500  # bytes after the last part count too
            begun.set()
            await held.wait()

        async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
            slow = asyncio.create_task(client.post("/v1/predict", content=body(), headers=kind))
            await begun.wait()
            refused = await client.post("/v1/predict", content=bytes(2000), headers=kind)
            held.set()
            return refused, await slow

    with serving(body_bytes=3000, held_bytes=4000) as client:
        refused, slow = asyncio.run(ask(client.app))
    assert refused.status_code == 503
    assert "bytes" in refused.json()["detail"]
    assert slow.status_code == 422  # an empty form, which was read


def test_bytes_that_are_announced_and_do_not_come_take_no_room() -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": "3000"}

    async def ask(app: FastAPI) -> tuple[Response, list[Response]]:
        begun, held = asyncio.Semaphore(0), asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b"--x--"
            begun.release()
            await held.wait()

        async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
            slow = [asyncio.create_task(client.post("/v1/predict", content=body(), headers=kind)) for _ in range(8)]
            for _ in slow:
                await begun.acquire()
            answered = await client.post("/v1/predict", files=files(b"text"))
            held.set()
            return answered, await asyncio.gather(*slow)

    with serving(body_bytes=3000, held_bytes=4000) as client:
        answered, slow = asyncio.run(ask(client.app))
        assert answered.status_code == 200
        assert {response.status_code for response in slow} == {422}
        assert client.post("/v1/predict", files=files(bytes(2500))).status_code == 200  # all room has been given back


def test_clients_of_the_service_share_batches(client: TestClient) -> None:
    with ThreadPoolExecutor(4) as clients:
        ask = partial(client.post, "/v1/predict?detect=false", files=files(picture()))
        responses = [clients.submit(ask) for _ in range(8)]
        assert {response.result().status_code for response in responses} <= {200, 503}


def test_turns_are_taken_in_order_and_what_is_too_large_waits_to_be_alone() -> None:
    turns, done = Turns(10), []

    def work(count: int) -> None:
        with turns.reserve(count):
            done.append(count)
            assert turns.used <= 10 or turns.used == count

    turns.enter(8)
    with ThreadPoolExecutor(8) as workers:
        for count in (100, 1, 2, 3, 9, 10, 1, 50):
            workers.submit(work, count)
            time.sleep(0.02)
        assert done == []  # the small ones do not overtake the large one
        turns.leave(8)
    assert sorted(done) == [1, 1, 2, 3, 9, 10, 50, 100]
    assert done[0] == 100
    assert turns.used == 0


def test_large_pictures_are_decoded_one_after_the_other(pipeline: FacePipeline) -> None:
    busy, most = [], []

    def large() -> Frame:
        busy.append(1)
        most.append(len(busy))
        time.sleep(0.05)
        busy.pop()
        return frame(0)

    with batching(pipeline, decoding_pixels=1000) as (batcher, _):
        answers = batcher.submit([large] * 6, detect=False, sizes=[lambda: 800] * 6)
        assert [answer.result(PATIENCE).status for answer in answers] == ["ok"] * 6
        assert max(most) == 1
        for answer in batcher.submit([large] * 6, detect=False, sizes=[lambda: 500] * 6):
            answer.result(PATIENCE)
        assert max(most) == 2


class Crowd:
    """A detector that finds very many faces."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self, image: np.ndarray) -> list[FaceBox]:
        return [FaceBox(0.0, 0.0, 48.0, 48.0)] * self.count


def test_faces_that_wait_take_little_memory_and_are_limited(pipeline: FacePipeline) -> None:
    crowd = replace(pipeline, detector=Crowd(20))
    located = crowd.locate(frame(0))
    side = pipeline.classifier.card.preprocess.side
    assert all(crop.dtype == np.uint8 and crop.ndim == 2 and max(crop.shape) <= side for crop in located.crops)
    large = Frame(0, "", np.zeros((900, 900, 3), np.uint8))
    whole = replace(crowd, detector=lambda _: [FaceBox(0.0, 0.0, 900.0, 900.0)]).locate(large)
    assert sum(crop.nbytes for crop in whole.crops) <= side * side * 3
    with batching(crowd, faces=19) as (batcher, _):
        (refused,) = batcher.submit([partial(frame, 0)], detect=True)
        assert "20 faces, over the limit of 19" in refused.result(PATIENCE).error
    with batching(crowd, faces=20, waiting_faces=24, batch_faces=8) as (batcher, metrics):
        answers = batcher.submit([partial(frame, number) for number in range(6)], detect=True)
        assert [len(answer.result(PATIENCE).faces) for answer in answers] == [20] * 6
        assert batcher._faces.used == 0
    assert value(metrics, "cmaen_queue_images") == 0


def test_what_comes_too_late_is_not_computed(pipeline: FacePipeline) -> None:
    def slow() -> Frame:
        time.sleep(0.3)
        return frame(0)

    with batching(pipeline, seconds=0.2) as (batcher, metrics):
        answers = batcher.submit([slow] * 5, detect=False)
        for answer in answers:
            with pytest.raises(TimeoutError):
                answer.result(PATIENCE)
        assert value(metrics, "cmaen_queue_images") == 0

        def is_answered() -> bool:
            (next_one,) = batcher.submit([partial(frame, 1)], detect=False)
            with suppress(TimeoutError):
                return next_one.result(PATIENCE).status == "ok"
            return False

        wait_until(is_answered)  # the next ones are
