"""``cmaen convert``: results that exist already, in the forms that other tools read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cmaen.cli.convert import convert
from cmaen.errors import CmaenError
from tests.inference.records import PICTURES, written
from tests.inference.test_episode_sinks import FILM
from tests.recordings.made import parse_subtitles
from tests.test_cli import cmaen


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return written(Path("faces.csv"), FILM)


def test_a_table_becomes_every_form(table: Path) -> None:
    said = cmaen("convert", table, "--output", "out/a.eaf", "--output", "out/a_events.tsv", "--to", "out/a.vtt")
    assert (
        "wrote out/a.eaf (4 episodes), out/a_events.tsv (4 episodes), out/a_events.json, out/a.vtt (4 episodes)" in said
    )
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.eaf", "a.vtt", "a_events.json", "a_events.tsv"]
    assert 'RELATIVE_MEDIA_URL="../film.mp4"' in Path("out/a.eaf").read_text("utf-8")


def test_short_episodes_and_interruptions_are_chosen(table: Path) -> None:
    for options, count in (((), 4), (("--shortest", 2), 1), (("--bridge", 1.5), 3)):
        cmaen("convert", table, "--output", "a.vtt", *options)
        assert len(parse_subtitles(Path("a.vtt").read_bytes())) == count, options


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("faces.csv", "--output", "a.srt"), "episodes are written as .eaf, _events.tsv, .vtt"),
        (("faces.csv", "--output", "a.vtt", "--output", "a.vtt"), "two options would write to a.vtt"),
        (("faces.csv", "--output", "a.vtt", "--bridge", "inf"), "must be numbers of seconds"),
        (("a_events.json", "--output", "a_events.tsv"), "would replace a_events.json, from which it is made"),
        (("nowhere.csv", "--output", "a.vtt"), "nowhere.csv"),
        (("pictures.csv", "--output", "a.vtt"), "not of a video"),
        (("film.mp4", "--output", "a.vtt"), "results are read from"),
    ],
)
def test_what_cannot_be_converted_is_said_and_nothing_is_written(
    arguments: tuple[str, ...], message: str, table: Path
) -> None:
    written(Path("pictures.csv"), PICTURES)
    shutil.copy(table, "a_events.json")
    before = sorted(Path().iterdir())
    assert message in " ".join(cmaen("convert", *arguments, code=2).split())
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl"])
def test_a_file_that_ends_anywhere_is_converted_or_named(suffix: str, table: Path) -> None:
    content = written(Path(f"whole{suffix}"), FILM[:6]).read_bytes()
    broken = Path(f"broken{suffix}")
    for length in range(0, len(content), max(1, len(content) // 60)):
        broken.write_bytes(content[:length])
        try:
            convert(table=broken, output=[Path("a.eaf")], shortest=0)
        except CmaenError as error:
            assert broken.name in str(error)  # noqa: PT017 - either is right


def test_rows_that_cannot_be_read_are_counted(table: Path) -> None:
    lines = table.read_text("utf-8").splitlines()
    table.write_text("\n".join([*lines, lines[-1].replace("film.mp4,39,3.9", "film.mp4,39,soon")]), "utf-8")
    assert "1 row of faces.csv could not be read" in cmaen("convert", table, "--output", "a.vtt")
