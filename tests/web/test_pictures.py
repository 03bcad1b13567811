"""Many pictures on the page in a real browser: counts, filters, orders, keys, archives; see ``browsing``."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cmaen.images.reader import read_image
from tests.web.browsing import ASTRONAUT, Open, Opening, answered, saved

GREY = np.full((200, 300, 3), 120, np.uint8)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Happy ones, one of them in two folders, a neutral and an unsure one, one without a face, one that is none."""
    folder = tmp_path_factory.mktemp("photos")
    astronaut = cv2.imread(str(ASTRONAUT))
    face = astronaut[:260, 95:355]
    covered = astronaut[:260, 90:350].copy()
    covered[140:] = 30
    two = np.hstack([face, face])
    pictures = {
        "1.jpg": astronaut,
        "2.png": two,
        "3.png": covered,
        "4.png": cv2.GaussianBlur(face, (0, 0), 8),
        "5.png": GREY,
    }
    for name, picture in pictures.items():
        cv2.imwrite(str(folder / name), picture)
    (folder / "6.jpg").write_text("no picture")
    (folder / "again").mkdir()
    cv2.imwrite(str(folder / "again" / "1.jpg"), astronaut)
    return [*(folder / name for name in (*pictures, "6.jpg")), folder / "again" / "1.jpg"]


@pytest.fixture(scope="module")
def done(opening: Opening, photos: list[Path]) -> Iterator[Any]:
    """The page with all of them done."""
    with opening() as open_page:
        page = open_page()
        page.set_input_files("#photo-files", photos)
        page.wait_for_selector("#tally:has-text('7 of 7')")
        page.wait_for_timeout(200)
        said = page.inner_text("#announce")
        assert said.startswith("All 7 pictures are done. happy 4, neutral 1"), "said once, at the end"
        yield page


@pytest.fixture
def many(done: Any) -> Any:
    """That page as it was: all pictures in the first order, and the first of them looked at."""
    page = done
    page.select_option("#order", "added")
    page.click(".group.every")
    page.click(".strip li:nth-child(1) button")
    answered(page)
    return page


def listed(page: Any) -> list[str]:
    return [each.inner_text() for each in page.query_selector_all(".strip .name")]


def columns(page: Any) -> dict[str, int]:
    return {
        button.query_selector(".name").inner_text(): int(button.query_selector(".number").inner_text())
        for button in page.query_selector_all(".group")
    }


def test_counts_are_filters(many: Any) -> None:
    page = many
    assert columns(page) == {
        "all pictures": 7,
        "happy": 4,
        "neutral": 1,
        "unsure": 1,
        "without a face": 1,
        "unreadable": 1,
    }
    page.click(".group.unsure")
    assert listed(page) == ["3.png"]
    assert page.inner_text("#caption") == "3.png", "what is looked at is among them"
    assert page.locator(".group[aria-pressed='true']").count() == 1
    page.click(".group.emotion >> nth=0")
    assert listed(page) == ["1.jpg", "1.jpg", "2.png"]
    page.click(".group.emotion >> nth=0")
    assert len(listed(page)) == 7
    page.click(".group.every")
    assert len(listed(page)) == 7


def test_orders(many: Any) -> None:
    page = many
    before = listed(page)
    page.select_option("#order", "unsurest")
    assert listed(page)[0] == "3.png"
    assert listed(page)[-2:] == ["5.png", "6.jpg"]
    page.select_option("#order", "surest")
    assert listed(page)[4] == "3.png"
    page.select_option("#order", "emotion")
    assert listed(page)[3:] == ["4.png", "3.png", "5.png", "6.jpg"]
    page.select_option("#order", "added")
    assert listed(page) == before


def test_the_arrow_keys_go_through_what_is_shown(many: Any) -> None:
    page = many
    page.click(".group.emotion >> nth=0")
    assert page.inner_text("#place") == "1 of 3"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert (page.inner_text("#place"), page.inner_text("#caption")) == ("3 of 3", "2.png")
    assert page.text_content("h1") == "2.png"
    assert page.title().startswith("2.png")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#place") == "3 of 3"
    assert page.evaluate("scrollY") == 0, "the picture stays in view"
    page.focus(".strip li:nth-child(3) button")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.matches('.strip li:nth-child(2) button')"), "the focus goes along"
    looked_at = page.get_attribute(".strip [aria-current]", "title")
    page.focus("#order")
    page.keyboard.press("ArrowRight")  # is the list of orders' own
    assert page.get_attribute(".strip [aria-current]", "title") == looked_at
    page.select_option("#order", "added")
    page.click("#previous")
    assert page.is_disabled("#previous")


def test_every_control_is_reached_by_the_keyboard(many: Any) -> None:
    page = many
    page.focus("#clear")
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className.split(' ')[0]"))
        if page.evaluate("document.activeElement.matches('.strip button')"):
            break
    order = ["group", "outline", "next", "save-png", "save-all", "save-json", "save-csv", "head", "order"]
    places = [reached.index(name) for name in order]
    assert places == sorted(places), "in the order in which they are seen"
    page.focus(".group.unsure")
    page.keyboard.press("Enter")
    assert listed(page) == ["3.png"]
    assert page.evaluate("document.activeElement.matches('.group.unsure')"), "the focus stays"
    page.keyboard.press("Space")
    assert len(listed(page)) == 7


def test_all_pictures_in_one_archive(many: Any) -> None:
    page = many
    with zipfile.ZipFile(saved(page, "#save-all")) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        rows = list(csv.DictReader(io.StringIO(archive.read("cmaen.csv").decode("utf-8"))))
        drawn = read_image(archive.read("2-faces.png"))
    assert names == [
        *("1-faces.jpg", "1-faces-2.jpg", "2-faces.png", "3-faces.png", "4-faces.png", "5-faces.png"),
        "cmaen.csv",
    ]
    assert [row["face"] for row in rows if row["path"] == "2.png"] == ["1", "2"]
    assert drawn.shape == (260, 520, 3)
    assert "6 pictures saved; 1 left out" in page.inner_text(".notice")
    page.click(".group.unsure")
    assert page.inner_text("#save-all") == "This picture alone"
    with zipfile.ZipFile(saved(page, "#save-all")) as archive:
        assert archive.namelist() == ["3-faces.png", "cmaen.csv"]
    assert len(json.loads(saved(page, "#save-json").read_text())) == 7, "of all, whatever is shown"


def test_starting_again_forgets_the_filter(open_page: Open, photos: list[Path]) -> None:
    page = open_page()
    page.set_input_files("#photo-files", photos)
    page.wait_for_selector("#tally:has-text('7 of 7')")
    page.click(".group.unsure")
    page.select_option("#order", "surest")
    page.click("#clear")
    assert page.text_content("h1").startswith("What does this face")
    page.set_input_files("#photo-files", [ASTRONAUT])
    answered(page)
    assert page.is_hidden("#overview")
    assert page.is_hidden("#walk")
    assert page.is_hidden("#save-all")
    page.set_input_files("#photo-files", [ASTRONAUT])
    page.wait_for_selector("#tally:has-text('2 of 2')")
    assert page.input_value("#order") == "added"
    assert columns(page)["all pictures"] == 2


def test_smaller_faces_are_found_in_the_enlarged_picture(open_page: Open, tmp_path: Path) -> None:
    astronaut = cv2.imread(str(ASTRONAUT))[40:200, 140:300]
    far = np.random.default_rng(1).normal(140, 5, (300, 400, 3)).clip(0, 255).astype(np.uint8)
    far[100:120, 200:220] = cv2.resize(astronaut, (20, 20), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "far.png"), far)
    cv2.imwrite(str(tmp_path / "wall.png"), GREY)
    page = open_page()
    page.set_input_files("#photo-files", tmp_path / "wall.png")
    page.click("text=Search again for smaller faces")
    page.wait_for_selector("text=There are no smaller faces either.")
    page.click("#clear")
    page.set_input_files("#photo-files", tmp_path / "far.png")
    page.wait_for_selector(".empty h3, .outline")
    if page.locator(".outline").count():
        pytest.fail("the face is not small enough for this test")
    page.click("text=Search again for smaller faces")
    page.wait_for_selector(".outline")
    (record,) = json.loads(saved(page, "#save-json").read_text())
    x, y, width, height = record["faces"][0]["box"]
    middle = (x + width / 2, y + height / 2)
    assert np.allclose(middle, (210, 110), atol=15), "in pixels of the picture itself"


def test_a_whole_photo_is_not_taken_for_a_face_in_silence(open_page: Open, photos: list[Path], tmp_path: Path) -> None:
    page = open_page()
    page.check("#crops")
    page.set_input_files("#photo-files", photos[1])
    page.wait_for_selector("text=This looks like a whole photo. Find its faces?")
    assert page.locator(".outline").count() == 0
    page.click("text=Find its faces >> nth=-1")
    answered(page, count=2)
    assert not page.is_checked("#crops")
    page.click("#clear")
    page.check("#crops")
    crop = tmp_path / "crop.png"
    cv2.imwrite(str(crop), cv2.imread(str(ASTRONAUT))[50:180, 160:290])
    page.set_input_files("#photo-files", crop)
    page.wait_for_selector(".card")
    page.wait_for_timeout(1000)
    assert page.locator(".hint").count() == 0


def test_a_crowd_has_numbers_dots_and_a_legend(open_page: Open, tmp_path: Path) -> None:
    face = cv2.resize(cv2.imread(str(ASTRONAUT))[20:220, 125:325], (72, 72), interpolation=cv2.INTER_AREA)
    crowd = tmp_path / "crowd.png"
    cv2.imwrite(str(crowd), np.tile(face, (6, 9, 1)))
    page = open_page(width=390, height=844)
    page.set_input_files("#photo-files", crowd)
    answered(page, count=31)
    count = page.locator(".outline").count()
    assert page.locator(".card").count() == count
    assert [each.inner_text() for each in page.query_selector_all(".who")] == [f"Face {i + 1}" for i in range(count)]
    assert page.inner_text(".legend") == f"happy {count}"
    page.focus(".outline >> nth=20")
    assert page.inner_text(".outline.pointed .tag").startswith("21 happy"), "what has no room is shown when pointed at"
    drawn = read_image(saved(page, "#save-png"))
    assert drawn.shape[0] > 6 * 72, "the legend stands below the picture"
    assert drawn.shape[1] == 9 * 72


def test_every_example_has_an_answer(open_page: Open) -> None:
    page = open_page()
    for number, faces in enumerate((1, 1, 6, 1)):
        page.click(f".example >> nth={number}")
        answered(page, count=faces)
        assert page.locator(".outline").count() == faces
        assert (page.locator(".card.unsure").count() > 0) == (number in (1, 2)), "one is unsure, and one of six"
        page.click("#clear")


def test_where_it_looked(open_page: Open) -> None:
    page = open_page()
    if "explain:" not in page.request.get(f"{page.url}page/server.js").text():
        pytest.skip("the page's engines do not explain yet")
    page.click("#try-example")
    page.click("text=Show what it looked at")
    picture = page.wait_for_selector(".layers .heat")
    assert picture.get_attribute("src").startswith(("data:image/png;base64,", "blob:"))


MAPS = """async () => {
    const { Maps } = await import(new URL('page/maps.js', location.href));
    const square = (colour) => {
        const canvas = Object.assign(document.createElement('canvas'), { width: 8, height: 8 });
        const context = canvas.getContext('2d');
        context.fillStyle = colour;
        context.fillRect(0, 0, 8, 8);
        return canvas.toDataURL();
    };
    window.calls = [];
    const explain = async (file, how) => {
        calls.push(how);
        if (calls.length === 1) throw new Error('ServiceError: the server is busy');
        return { faces: [{ crop: square('#00ff00'), explanation: square('rgb(255 0 0 / 0.5)') }, {}] };
    };
    const face = { predicted_emotion: 'happy', confidence: 0.9, probabilities: { happy: 0.9, sad: 0.1 } };
    const result = { faces: [face, face] };
    const item = { name: 'folder/one.jpg', file: new Blob(), detect: true, closer: null, result };
    const maps = new Maps({ explain }, { colours: { happy: '#cc7b0b' }, unsureBelow: 0.5 });
    const cards = document.createElement('div');
    cards.id = 'maps';
    cards.append(maps.part(item, 0), maps.part(item, 1));
    document.querySelector('main').prepend(cards);
}"""


def test_the_map_of_what_it_looked_at(open_page: Open) -> None:
    """On every card: asked for once for all faces, once more after a failure, shown and hidden, and saved."""
    page = open_page()
    page.evaluate(MAPS)
    page.click("#maps .map:first-child >> text=Show what it looked at")
    page.wait_for_selector("text=No map: The server is busy.")
    page.click("#maps >> text=Try again")
    page.wait_for_selector("#maps .heat")
    page.click("#maps .map:last-child >> text=Show what it looked at")
    page.wait_for_selector("text=No map: There is none for this face.")
    assert [call["name"] for call in page.evaluate("calls")] == ["folder/one.jpg"] * 2
    toggle = "#maps .map-tools >> text=Map"
    page.click(toggle)
    assert page.is_hidden("#maps .heat")
    assert page.get_attribute(toggle, "aria-pressed") == "false"
    page.click(toggle)
    assert page.is_visible("#maps .heat")
    with page.expect_download() as download:
        page.click("#maps .map-tools >> text=Save")
    assert download.value.suggested_filename == "one-face1-map.png"
    picture = read_image(Path(download.value.path()))
    assert picture.shape[1] == 512
    assert picture.shape[0] > 512
    assert np.abs(picture[256, 256].astype(int) - (128, 127, 0)).max() < 6, "the map lies over the face"
