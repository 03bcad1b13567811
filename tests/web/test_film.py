"""What the page makes of a film, run by Node.js: frames, speed, records, persons and curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.node import run_page

LABELS = ["angry", "happy", "sad"]


def face(identity: int, *shares: float) -> dict[str, Any]:
    best = LABELS[int(np.argmax(shares))]
    probabilities = dict(zip(LABELS, shares, strict=True))
    return {"identity": identity, "predicted_emotion": best, "confidence": max(shares), "probabilities": probabilities}


def record(time: float, *faces: dict[str, Any]) -> dict[str, Any]:
    return {"time": time, "faces": list(faces)}


RECORDS = """
    import { FilmRecords } from './film-records.js';
    const films = given.films.map(({ records, most }) => {
      const film = new FilmRecords(given.labels, most);
      records.forEach((record) => film.add(record));
      return film;
    });
"""


def test_each_frame_is_told_once() -> None:
    """By the browser's own count; where it has none, by its count of frames, and not by its clock."""
    script = """
        import { watchFrames } from './frames.js';
        const played = (video, steps) => {
          const told = [];
          let waiting = [];
          globalThis.requestAnimationFrame = (look) => waiting.push(look);
          const stop = watchFrames(video, (frame) => told.push(frame));
          for (const step of steps) {
            if (step === 'stop') stop();
            else Object.assign(video, step);
            const now = waiting;
            waiting = [];
            now.forEach((look) => look(step.now));
            if (step.presented) video.next?.(step.now, { mediaTime: step.media, presentedFrames: step.presented });
          }
          return told;
        };
        const counting = { requestVideoFrameCallback(next) { this.next = next; } };
        const oldest = { readyState: 4, seeking: false };
        const old = { ...oldest, getVideoPlaybackQuality() { return { totalVideoFrames: this.count }; } };
        const answer = [
          played(counting, [
            { now: 1, media: 0, presented: 1 }, { now: 2, media: 0.04, presented: 2 },
            { now: 3, media: 0.12, presented: 4 }, 'stop', { now: 4, media: 0.16, presented: 5 },
          ]),
          played(old, [
            { now: 1, count: 1, currentTime: 0 }, { now: 2, count: 1, currentTime: 0.01 },
            { now: 3, count: 2, currentTime: 0.05 }, { now: 4, count: 2, currentTime: 0.06 },
            { now: 5, count: 5, currentTime: 0.2 }, { now: 6, count: 6, currentTime: 9, seeking: true },
          ]),
          played(oldest, [
            { now: 1, currentTime: 0 }, { now: 2, currentTime: 0 }, { now: 3, currentTime: 0.1, readyState: 1 },
          ]),
        ];
    """
    counting, old, oldest = run_page(script)
    assert [(told["time"], told["now"], told["missed"]) for told in counting] == [
        *((0, 1, False), (0.04, 2, False), (0.12, 3, True))
    ]
    assert [(told["time"], told["missed"]) for told in old] == [(0, False), (0.05, False), (0.2, True)]
    assert [told["time"] for told in oldest] == [0]


def test_persons_of_a_film() -> None:
    """A frame lasts until the next; the last one until the end; shares are of the time in which somebody is seen."""
    records = [
        record(0.0, face(1, 0.1, 0.8, 0.1)),
        record(1.0, face(1, 0.1, 0.9, 0.0), face(2, 0.6, 0.2, 0.2)),
        record(3.0, face(1, 0.0, 0.3, 0.7)),
        record(3.5),
    ]
    script = f"{RECORDS} const answer = films.map((film) => film.summary(given.end));"
    ((one, two),) = run_page(script, films=[{"records": records}], labels=LABELS, end=4.0)
    assert (one["identity"], one["seconds"], one["first"], one["frames"]) == (1, 3.5, 0, 3)
    assert [row["share"] for row in one["emotions"]] == pytest.approx([0, 3 / 3.5, 0.5 / 3.5])
    assert [(row["peak"], row["time"]) for row in one["emotions"]] == [(0.1, 0), (0.9, 1), (0.7, 3)]
    assert (two["identity"], two["seconds"]) == (2, 2)
    assert sum(row["share"] for row in two["emotions"]) == pytest.approx(1)


def test_a_film_of_one_frame_and_of_none() -> None:
    script = f"""{RECORDS}
        const answer = films.map((film) => [film.summary(0), film.at(0), film.end, film.at(7)]);
    """
    one, none = run_page(
        script, films=[{"records": [record(0.0, face(1, 0.2, 0.7, 0.1))]}, {"records": []}], labels=LABELS
    )
    ((row,), nearest, end, far) = one
    assert (row["seconds"], row["frames"], end, far) == (0, 1, 0, None)
    assert [emotion["share"] for emotion in row["emotions"]] == [0, 1, 0]
    assert nearest["faces"][0]["identity"] == 1
    assert none == [[], None, 0, None]


def test_the_record_of_a_moment_is_the_nearest_one() -> None:
    records = [record(time, face(1, 1.0, 0.0, 0.0)) for time in (0.0, 0.04, 0.08, 5.0, 10.0)]
    script = f"{RECORDS} const answer = given.moments.map((moment) => films[0].at(moment)?.time ?? null);"
    moments = [-9.0, -0.1, 0.0, 0.019, 0.021, 0.3, 2.5, 2.6, 7.4, 10.1, 11.0]
    found = run_page(script, films=[{"records": records}], labels=LABELS, moments=moments)
    assert found == [None, 0, 0, 0, 0.04, 0.08, 0.08, 5, 5, 10, None]


def test_times_that_do_not_go_on_are_no_frames() -> None:
    records = [record(time, face(1, 1.0, 0.0, 0.0)) for time in (0.0, 0.1, 0.1, 0.05, 0.2)]
    script = f"{RECORDS} const answer = films[0].all.map(({{ time }}) => time);"
    assert run_page(script, films=[{"records": records}], labels=LABELS) == [0, 0.1, 0.2]


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 5), st.integers(1, 60)), min_size=8, max_size=20))
def test_memory_is_bounded_and_the_whole_film_stays(films: list[tuple[int, int, int]]) -> None:
    """However many frames and faces: no more are kept than were allowed, evenly over the film, the first among them."""
    given = [
        {"records": [record(number / 10, *(face(k, 1.0, 0.0, 0.0) for k in range(faces))) for number in range(count)]}
        | {"most": most}
        for count, faces, most in films
    ]
    script = f"""{RECORDS}
        const answer = films.map((film) => [film.all.map(({{ time }}) => time), film.looked, film.stride]);
    """
    for (count, faces, most), (times, looked, stride) in zip(
        films, run_page(script, films=given, labels=LABELS), strict=True
    ):
        assert looked == count
        assert len(times) * max(faces, 1) <= max(most, max(faces, 1))
        assert times == [round(number / 10, 1) for number in range(0, count, stride)]
        assert stride & (stride - 1) == 0


def test_curves_have_a_point_for_each_column_and_gaps_where_nobody_is() -> None:
    script = """
        import { columnsOf } from './film-records.js';
        const answer = given.cases.map(([moments, end, count]) => columnsOf(moments, end, count, 1));
    """

    def moments(times: list[float], lasting: float) -> list[dict[str, Any]]:
        return [{"time": time, "until": time + lasting, "shares": [time % 1]} for time in times]

    many = [number / 100 for number in range(1000)]
    cases: list[tuple[Any, ...]] = [
        (moments(many, 0.01), 10, 50),
        (moments([0, 1, 2, 7, 8], 1), 10, 100),
        ([], 10, 100),
        (moments([0], 0), 0, 100),  # one frame, and no time
    ]
    whole, parted, nothing, one = run_page(script, cases=cases)
    assert [len(run) for run in whole] == [51], "50 columns and the end"
    assert all(column["tops"][0] >= column["means"][0] for column in whole[0])
    assert whole[0][0]["means"][0] == pytest.approx(np.mean(many[:20]))
    assert [(run[0]["x"], run[-1]["x"]) for run in parted] == [(0, 30), (70, 90)]
    assert nothing == []
    assert [[column["x"] for column in run] for run in one] == [[0, 100]]


PACE = """
    import { Pace, WAITING } from './pace.js';
    // A film of so many frames a second, an engine that looks at so many; the browser shows 60 a second at most.
    const answer = given.cases.map(({ duration, told, fps, engine }) => {
      const pace = new Pace(told ?? duration);
      let [time, next, last, worked, looked, waiting, held, missed] = [0, 0, -Infinity, 0, 0, 0, false, 0];
      const speeds = [];
      for (let tick = 0; time < duration && worked < given.most; tick += 1) {
        worked += 0.01;
        if (!held) time += 0.01 * pace.rate;
        const shown = Math.floor(time * fps) / fps;
        const skipped = shown - next > 1.5 / fps;
        if (shown > next || tick === 0) {
          next = shown;
          if (pace.takes(shown, last, skipped)) {
            last = shown;
            waiting += 1;
            looked += 1;
          }
          missed += skipped;
        }
        if (waiting && tick % Math.max(1, Math.round(100 / engine)) === 0) waiting -= 1;
        held = waiting >= WAITING.full || (held && waiting > WAITING.few);
        const how = { waiting, looked: Math.max(looked - waiting, 0), worked, time: last };
        if (tick % 20 === 0) speeds.push(pace.settle(how));
      }
      return { worked, looked, frames: duration * fps, rate: Math.max(...speeds) };
    });
"""


def test_a_film_is_looked_at_as_fast_as_the_engine_can() -> None:
    cases = [
        {"duration": 30, "fps": 25, "engine": 50},  # every frame, faster than it plays
        {"duration": 3600, "fps": 25, "engine": 50},  # a long one: ten a second
        {"duration": 20, "fps": 25, "engine": 5},  # slowly: what fits into a minute
        {"duration": 120, "fps": 25, "engine": 5},  # as long as it plays, or a little longer
        {"duration": 30, "fps": 1, "engine": 50},
        {"duration": 90, "told": 1e9, "fps": 25, "engine": 50},
    ]
    quick, long, short, slow, rare, endless = run_page(PACE, cases=cases, most=2000)
    assert quick["looked"] > 0.9 * quick["frames"]
    assert quick["worked"] < 22
    assert long["worked"] < 900
    assert 3 < long["looked"] / 3600 < 12
    assert short["worked"] < 80
    assert short["looked"] > 0.4 * short["frames"]
    assert slow["worked"] < 200
    assert slow["looked"] / 120 > 2
    assert rare["looked"] >= 29
    assert rare["worked"] < 15
    assert endless["worked"] < 90
    assert all(each["rate"] <= 16 for each in (quick, long, short, slow, rare, endless))


def test_the_time_left() -> None:
    script = """
        import { Pace } from './pace.js';
        const left = (duration, worked, time) => new Pace(duration).left({ worked, time });
        const cases = [[100, 10, 50], [100, 0.5, 50], [Infinity, 10, 50], [100, 10, 0], [NaN, 9, 9]];
        const answer = cases.map((numbers) => left(...numbers));
    """
    assert run_page(script) == [10, None, None, None, None]


def test_moments_are_written_as_people_read_them() -> None:
    script = """
        import { clock, lasting, marks } from './clock.js';
        const answer = [
          [0, 59.99, 83.4, 3683, -1].map((seconds) => clock(seconds)),
          [4.56, 59.96, 119.97, 600.04].map((seconds) => clock(seconds, 1)),
          [0.26, 9.96, 12.4, 83, 3683].map(lasting),
          [4.6, 83, 600, 36000, 0.04, 1e7].map((end) => marks(end, 8)),
        ];
    """
    clocks, tenths, spans, axes = run_page(script)
    assert clocks == ["0:00", "0:59", "1:23", "1:01:23", "0:00"]
    assert tenths == ["0:04.6", "1:00.0", "2:00.0", "10:00.0"]
    assert spans == ["0.3 s", "10.0 s", "12 s", "1:23 min", "1:01:23 h"]
    for axis, end in zip(axes, (4.6, 83, 600, 36000, 0.04, 1e7), strict=True):
        assert 1 <= len(axis["moments"]) <= 9
        assert axis["moments"][0] == 0
        assert axis["moments"][-1] <= end + 1e-6


LOADING = """
    import { fetchAll, keyOf } from './loading.js';
    import { gzipSync } from 'node:zlib';
    const content = new Uint8Array(5000).map((_, i) => i % 7);
    const answer = [];
    for (const { encoded, beside, labelled, kept, damaged, missing } of given.cases) {
      const asked = [];
      const store = new Map();
      if (kept) store.set(keyOf('http://x/net', 'sum'), new Response(content.slice(0, kept)));
      const cache = { match: async (key) => store.get(key), put: async (key, value) => { store.set(key, value); } };
      globalThis.caches = { open: async () => cache };
      globalThis.fetch = async (url, { method = 'GET' } = {}) => {
        asked.push(`${method} ${url}`);
        const headers = encoded ? { 'Content-Encoding': 'br' } : {};
        if (method === 'HEAD') return new Response(null, { headers });
        if (missing) return new Response('none', { status: 404 });
        if (!url.endsWith('.gz')) return new Response(damaged ? content.slice(0, 100) : content, { headers });
        if (!beside) return new Response('none', { status: 404 });
        // what calls itself encoded was decoded by the browser already
        if (labelled) return new Response(content, { headers: { 'Content-Encoding': 'gzip' } });
        return new Response(gzipSync(content));
      };
      const told = [];
      try {
        const downloads = { net: { bytes: content.length, sha256: 'sum' } };
        const files = await fetchAll(downloads, (name) => `http://x/${name}`, (got, whole) => told.push([got, whole]));
        answer.push({ asked, right: Buffer.compare(files.net, content) === 0, last: told.at(-1), stored: store.size });
      } catch (error) {
        answer.push({ asked, error: error.message });
      }
    }
"""


def test_the_networks_come_compressed_from_any_server() -> None:
    ask, plain, beside = "HEAD http://x/net", "GET http://x/net", "GET http://x/net.gz"
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"beside": True}, [ask, beside]),  # a server that knows nothing of compressed copies
        ({"encoded": True, "beside": True}, [ask, plain]),
        ({}, [ask, beside, plain]),
        ({"beside": True, "labelled": True}, [ask, beside]),
        ({"kept": 5000}, []),  # what this browser has
        ({"kept": 4999, "beside": True}, [ask, beside]),  # half of it
    ]
    answers = run_page(LOADING, cases=[case for case, _ in cases])
    for (case, asked), answer in zip(cases, answers, strict=True):
        assert answer["asked"] == asked, case
        assert answer["right"], case
        assert answer["last"] == [5000, 5000]
        assert answer["stored"] == 1
    damaged, missing = run_page(LOADING, cases=[{"damaged": True}, {"missing": True}])
    assert "net: it is not the file that belongs to this page" in damaged["error"]
    assert "net: the server answered 404" in missing["error"]
