"""Pictures and videos by `cmaen inference`, into its files."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cmaen.cli.inference import inference
from cmaen.errors import OutputError, VideoError
from tests.conftest import EXAMPLES
from tests.inference.conftest import TIMES, write_film
from tests.inference.records import read
from tests.test_cli import cmaen

ASTRONAUT = EXAMPLES / "astronaut.png"


def test_an_image_is_shown_recorded_and_drawn(output: Path) -> None:
    text = cmaen("inference", "--image", ASTRONAUT, "--output", output / "r.json", "--annotated", output / "drawn.png")
    assert "astronaut.png" in text
    assert "happy" in text
    assert "1 image, 1 face, 0 errors" in text
    (record,) = read(output / "r.json")
    assert (record["path"], record["status"], record["predicted_emotion"]) == (str(ASTRONAUT), "ok", "happy")
    assert (np.asarray(Image.open(output / "drawn.png")) != np.asarray(Image.open(ASTRONAUT).convert("RGB"))).any()


def test_a_folder_keeps_its_order_and_only_its_errors_are_shown_where_there_is_a_file(
    pictures: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inference(directory=str(pictures), output=output / "r.json", annotated=output / "drawn", batch_size=2)
    shown = capsys.readouterr().out
    assert "3 images, 1 face, 1 error" in shown
    assert f"{pictures / 'text.jpg'} is not an image in a known format" in shown
    assert "wall.png" not in shown
    assert [record["status"] for record in read(output / "r.json")] == ["ok", "error", "no_face"]
    assert [path.name for path in (output / "drawn").rglob("*.png")] == ["face.png"]
    inference(directory=str(pictures))
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("face.png", "happy", "wall.png", "no face", "text.jpg"))


def test_an_address_is_read_like_its_folder(pictures: Path, output: Path) -> None:
    pytest.importorskip("fsspec")
    inference(directory=f"file://{pictures}", output=output / "address.json")
    inference(directory=str(pictures), output=output / "folder.json")
    found, expected = read(output / "address.json"), read(output / "folder.json")
    assert [f"{record['path']}" for record in found] == [f"file://{record['path']}" for record in expected]
    assert [record["faces"] for record in found] == [record["faces"] for record in expected]


def test_a_video_becomes_rows_a_video_with_sound_and_a_timeline(film: Path, output: Path) -> None:
    av = pytest.importorskip("av")
    rows, drawn, timeline = output / "faces.csv", output / "drawn.mp4", output / "people.png"
    said = cmaen("inference", "--video", film, "--output", rows, "--save-video", drawn, "--timeline", timeline)
    assert "12 frames (1.0 s), 12 faces, 1 person;" in said
    with rows.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in table] == list(range(12))
    assert [float(row["time"]) for row in table] == pytest.approx(TIMES, abs=2e-3)
    assert {row["identity"] for row in table} == {"1"}
    assert all(row["predicted_emotion"] == "happy" for row in table)
    assert float(table[-1]["x"]) - float(table[0]["x"]) == pytest.approx(22, abs=6)
    with av.open(str(drawn)) as container, av.open(str(film)) as source:
        frames, before = (list(one.decode(video=0)) for one in (container, source))
        assert [frame.time for frame in frames] == pytest.approx(TIMES, abs=2e-3)
        one, other = (all_frames[0].to_ndarray(format="rgb24").astype(int) for all_frames in (frames, before))
        assert np.abs(one - other).max() > 100
    with av.open(str(drawn)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) >= 16000
    assert timeline.stat().st_size > 5000
    assert len(list(output.iterdir())) == 3


def test_a_video_becomes_rows_annotations_events_and_subtitles(film: Path, output: Path) -> None:
    names = ("faces.csv", "film.eaf", "film_events.tsv", "film.vtt")
    wanted = [word for name in names for word in ("--output", output / name)]
    said = " ".join(cmaen("inference", "--video", film, *wanted).split())
    assert "faces.csv (12 rows)" in said
    assert all(f"{name} (1 episode)" in said for name in names[1:])
    assert "film_events.json" in said
    assert {path.name for path in output.iterdir()} == {*names, "film_events.json"}
    assert "person 1: happy" in (output / "film.vtt").read_text("utf-8")
    onset, duration, emotion, person, _ = (output / "film_events.tsv").read_text("utf-8").splitlines()[1].split("\t")
    assert (float(onset), float(duration)) == pytest.approx((0, 1), abs=0.2)
    assert (emotion, person) == ("happy", "person 1")


def test_a_webcam_without_a_window(
    film: Path, output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capture, asked = cv2.VideoCapture, []
    monkeypatch.setattr(cv2, "VideoCapture", lambda where: (asked.append(where), capture(str(film)))[1])
    inference(real_time=True, camera_index=3, display=False, output=output / "r.jsonl", save_video=output / "d.mkv")
    assert asked == [3]
    assert re.search(r"\d frames? \(", capsys.readouterr().out)  # one, where the machine is busy
    records = [json.loads(line) for line in (output / "r.jsonl").read_text().splitlines()]
    assert {record["path"] for record in records} == {"camera 3"}
    assert (output / "d.mkv").stat().st_size > 1000


def test_a_part_of_a_video_and_every_so_manyth_frame(film: Path, output: Path) -> None:
    pytest.importorskip("av")
    every = ("--every-frame", 2, "--start", 0.2, "--end", 0.95, "--search-every", 0)
    said = cmaen("inference", "--video", film, *every, "--output", output / "r.json", "--save-video", output / "d.mp4")
    assert "4 frames (0.9 s)" in said
    chosen = [number for number, time in enumerate(TIMES) if number % 2 == 0 and 0.2 <= time <= 0.95]
    assert [record["frame"] for record in read(output / "r.json")] == chosen
    assert [record["time"] for record in read(output / "r.json")] == pytest.approx(
        [TIMES[number] for number in chosen], abs=2e-3
    )
    inference(video=str(film), start=0.5, timeline=output / "t.png")
    assert "earlier versions" not in cmaen("inference", "--video", film, "--every", 0.5, "--output", output / "s.json")
    assert [record["time"] for record in read(output / "s.json")] == pytest.approx([0.0, 0.5, 1.0], abs=0.03)
    said = cmaen("inference", "--video", film, "--every", 2, "--output", output / "n.json")
    assert "every n-th frame in earlier versions, which is --every-frame 2 now" in said
    assert len(read(output / "n.json")) == 1
    with pytest.raises(VideoError, match=r"has no frame from 7 s: its last frame is at 1\.00 s"):
        inference(video=str(film), start=7.0, output=output / "none.json")
    assert not (output / "none.json").exists()


def test_slides_of_people_one_a_second(output: Path) -> None:
    """The same astronaut, three times in another light and place: nobody is left out, nothing crosses a cut."""
    pytest.importorskip("av")
    photo = np.asarray(Image.open(ASTRONAUT).convert("RGB"))
    wall = np.full((512, 512, 3), (30, 90, 160), np.uint8)
    other = np.ascontiguousarray(photo[:, ::-1])
    slides = [photo, photo, wall, other, photo, wall, other]
    path = write_film(output / "slides.mp4", slides, times=[float(second) for second in range(7)])
    inference(video=str(path), output=output / "r.json")
    faces = [record["faces"] for record in read(output / "r.json")]
    assert [len(found) for found in faces] == [1, 1, 0, 1, 1, 0, 1]
    who = [found[0]["identity"] for found in faces if found]
    assert who[0] == who[1]
    assert who[2] != who[0]
    assert who[4] == who[2] or who[4] > max(who[:4])


def test_a_webcam_that_is_not_there_is_said() -> None:
    with pytest.raises(VideoError, match=r"camera 99 cannot be opened.* try another --camera-index"):
        inference(real_time=True, camera_index=99, display=False)


def test_a_run_is_not_gone_on_with_under_another_threshold(pictures: Path, output: Path) -> None:
    with pytest.raises(SystemExit), pytest.MonkeyPatch.context() as patch:
        patch.setattr("cmaen.inference.run._Sinks.finish", lambda _: sys.exit(3))
        inference(directory=str(pictures), output=output / "r.json", uncertain_below=0.5)
    with pytest.raises(OutputError, match=r"uncertain_below was 0\.5 and is None"):
        inference(directory=str(pictures), output=output / "r.json", resume=True)


def test_a_run_that_was_stopped_goes_on_with_what_is_left(
    pictures: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = output / "r.json"
    inference(directory=str(pictures), output=output / "whole.jsonl")
    lines = (output / "whole.jsonl").read_text().splitlines()
    with pytest.raises(SystemExit), pytest.MonkeyPatch.context() as patch:
        patch.setattr("cmaen.inference.run._Sinks.finish", lambda _: sys.exit(3))
        inference(directory=str(pictures), output=target)
    part = output / "r.json.part"
    part.write_text("".join(part.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(OutputError, match="holds an unfinished run"):
        inference(directory=str(pictures), output=target)
    with pytest.raises(OutputError, match=r"detector was 'yunet, .*' and is None"):
        inference(directory=str(pictures), output=target, resume=True, detect=False)
    capsys.readouterr()
    inference(directory=str(pictures), output=target, resume=True, batch_size=1)
    assert "2 images, 0 faces, 1 error" in capsys.readouterr().out
    assert [record["path"] for record in read(target)] == [json.loads(line)["path"] for line in lines]
    assert not part.exists()


def test_ctrl_c_over_a_folder_leaves_the_part_and_over_a_video_the_file(
    pictures: Path, film: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(write: Callable[..., None]) -> Callable[..., None]:
        def then(self: object, *arguments: object) -> None:
            write(self, *arguments)
            raise KeyboardInterrupt

        return then

    from cmaen.inference.run import _Sinks

    monkeypatch.setattr(_Sinks, "write", interrupted(_Sinks.write))
    with pytest.raises(KeyboardInterrupt):
        inference(directory=str(pictures), output=output / "r.json")
    assert [path.name for path in output.iterdir()] == ["r.json.part"]
    pytest.importorskip("av")
    inference(video=str(film), output=output / "film.json")
    assert len(read(output / "film.json")) == 1


def test_several_images_are_all_looked_at(pictures: Path, output: Path) -> None:
    face, wall = pictures / "below" / "face.png", pictures / "wall.png"
    text = cmaen("inference", "--image", face, "--image", wall, "--image", "https://example.org/a.jpg",
                 "--output", output / "r.json")  # fmt: skip
    assert "3 images, 1 face, 1 error" in text
    assert [record["status"] for record in read(output / "r.json")] == ["ok", "no_face", "error"]
    assert "https://example.org/a.jpg is an address" in str(read(output / "r.json")[2]["error"])
    for option in ("--annotated", "--explain"):
        said = cmaen("inference", "--image", face, "--image", wall, option, output / "x.png", code=2)
        assert "one" in said
    assert not (output / "x.png").exists()


def test_faces_are_hidden_in_all_that_is_written_and_the_answers_stay(film: Path, output: Path) -> None:
    pytest.importorskip("av")
    import av

    from cmaen.inference.anonymising import build_searchers

    plain, hidden = output / "plain", output / "hidden"
    for folder, options in ((plain, {}), (hidden, {"anonymise": True})):
        folder.mkdir()
        video = {"save_video": folder / "v.mp4", "timeline": folder / "t.png", "output": folder / "v.csv"}
        inference(video=str(film), **video, **options)
        inference(image=[str(ASTRONAUT)], annotated=folder / "a.png", output=folder / "a.csv", **options)
    for name in ("v.csv", "a.csv"):
        assert (hidden / name).read_text() == (plain / name).read_text()
    (search,) = build_searchers()
    shown = {}
    for folder in (plain, hidden):
        with av.open(str(folder / "v.mp4")) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        frames += [np.asarray(Image.open(folder / name).convert("RGB")) for name in ("t.png", "a.png")]
        shown[folder] = [bool(search(frame)) for frame in frames]
    assert len(shown[plain]) == len(TIMES) + 2
    assert all(shown[plain])
    assert not any(shown[hidden])
