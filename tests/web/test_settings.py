"""What the page is told, and that it reads nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from cmaen.checkpoints import Checkpoint
from cmaen.drawing.style import STYLE, hex_of
from cmaen.errors import ConfigError
from cmaen.inference import doubts, occlusion, tracking
from cmaen.inference.sinks.records import COLUMNS
from cmaen.types import EMOTIONS, FER2013, PERCEIVED
from cmaen.web.files import PAGE
from cmaen.web.notice import NOTICE
from cmaen.web.settings import ServerTerms, describe_page

TERMS = ServerTerms(max_images=4, max_bytes=1000, key_required=True)


def test_both_modes_are_told_the_same_but_for_the_terms_of_the_server() -> None:
    shipped = Checkpoint.open()
    card = shipped.card
    alone = describe_page(card, accuracies=shipped.accuracies)
    served = describe_page(card, accuracies=shipped.accuracies, server=TERMS)
    differing = {name for name in alone.keys() | served.keys() if alone.get(name) != served.get(name)}
    assert differing == {"mode", "max_images", "max_bytes", "key_required"}
    assert (alone["mode"], served["mode"]) == ("browser", "server")
    assert json.loads(json.dumps(alone, allow_nan=False))["columns"] == list(COLUMNS)
    assert alone["tracking"]["memory"] == tracking.MEMORY
    assert alone["notice"] == served["notice"] == NOTICE
    assert describe_page(card, notice="Camera here.")["notice"] == "Camera here."
    assert alone["explain"] is served["explain"] is True  # without PyTorch, and without a server
    assert (alone["doubts"]["side"], alone["occlusion"]["grid"]) == (doubts.SIDE, occlusion.GRID)
    assert (alone["scheme"], alone["benchmark"]) == (PERCEIVED, FER2013)
    assert alone["colours"] == {name: hex_of(name, EMOTIONS) for name in EMOTIONS}
    assert alone["drawing"]["letters"]["surprise"] == "su"
    assert alone["drawing"]["unsure"] == STYLE.unsure
    assert alone["preprocess"]["image_size"] == card.preprocess.image_size
    assert 0.5 < alone["right"][PERCEIVED] < 1
    assert set(alone["temperatures"]) == set(alone["outputs"]) == set(alone["schemes"]) == set(card.schemes)


def test_a_scheme_is_chosen_and_an_unknown_one_is_named() -> None:
    card = Checkpoint.open().card
    assert describe_page(card, scheme=FER2013)["scheme"] == FER2013
    with pytest.raises(ConfigError, match="nobody"):
        describe_page(card, scheme="nobody")


def test_labels_of_ones_own_have_colours() -> None:
    card = Checkpoint.open().card
    own = replace(card, schemes={"own": replace(card.schemes[FER2013], labels=("calm", "happy"))})
    told = describe_page(own)
    assert (told["labels"], told["schemes"], told["outputs"]) == (("calm", "happy"), ["own"], {"own": "logits"})
    assert told["colours"]["happy"] == hex_of("happy", EMOTIONS)
    assert re.fullmatch("#[0-9a-f]{6}", told["colours"]["calm"])


def test_without_a_card_the_page_still_starts() -> None:
    told = describe_page(None, server=TERMS)
    assert (told["labels"], told["scheme"], told["schemes"]) == (EMOTIONS, FER2013, [FER2013])


@pytest.mark.parametrize("mode", ["browser", "server"])
def test_the_page_reads_nothing_that_it_is_not_told(mode: str) -> None:
    own = {"browser": ("browser.js", "worker.js"), "server": ("server.js",)}
    others = own["server" if mode == "browser" else "browser"]
    scripts = [path.read_text(encoding="utf-8") for path in PAGE.glob("*.js") if path.name not in others]
    read = {name for script in scripts for name in re.findall(r"\b(?:config|networks)\.([a-z_]+)", script)}
    for script in scripts:
        for names in re.findall(r"\{([^{}]*)\} = (?:config|networks|this\.config);", script):
            read |= {name.partition(":")[0].strip() for name in names.split(",")}
    card = Checkpoint.open().card
    told = describe_page(card, server=TERMS if mode == "server" else None)
    assert len(read) > 8
    assert read - told.keys() == ({"json", "searcher", "network"} if mode == "browser" else {"json"})  # no settings


def test_the_page_needs_no_web_framework() -> None:
    blocked = "import sys; sys.modules.update(dict.fromkeys(('fastapi', 'starlette', 'uvicorn', 'torch')))"
    code = f"{blocked}; import cmaen.web.site, cmaen.web.settings, cmaen.web.files"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
