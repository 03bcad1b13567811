from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from cmaen.averaging import average
from cmaen.checkpoints import Checkpoint
from cmaen.errors import ConfigError
from cmaen.types import FER2013


def test_an_average_is_measured_and_says_of_what_it_is(checkpoint: Path, fer_tree: Path, tmp_path: Path) -> None:
    plain = average([checkpoint, str(checkpoint)], tmp_path / "plain")
    assert (plain.split, plain.measured, plain.to_dict()["measured"]) == (None, None, None)
    found = average([checkpoint, checkpoint], tmp_path / "mean", weights=[1, 3], data=fer_tree)
    assert found.checkpoint.describe() == "0.25 × tiny + 0.75 × tiny"
    assert found.measured is not None
    assert found.checkpoint.metrics == Checkpoint(tmp_path / "mean").metrics
    assert Checkpoint(tmp_path / "mean").metrics.splits == {"PublicTest": {"torch": found.measured}}
    values = json.loads(json.dumps(found.to_dict()))
    assert values["measured"]["schemes"][FER2013]["accuracy"] == found.measured.schemes[FER2013].accuracy
    with pytest.raises(ConfigError, match="one of the checkpoints to be averaged"):
        average([tmp_path / "mean", checkpoint], tmp_path / "mean")
