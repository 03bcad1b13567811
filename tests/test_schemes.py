"""Two label schemes in one checkpoint, everywhere that a scheme can be chosen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmaen import EmotionPredictor
from cmaen.checkpoints import ONNX, Checkpoint, Documents, Scheme
from cmaen.checkpoints.checkpoint import write_documents
from cmaen.errors import CheckpointError, ConfigError
from cmaen.inference import benchmark
from cmaen.inference.tables import to_pandas
from cmaen.results import Result
from cmaen.types import CONTEMPT, EMOTIONS, FER2013, OWN, PERCEIVED, PERCEIVED_LABELS
from tests.conftest import EXAMPLES
from tests.test_cli import cmaen

ASTRONAUT = EXAMPLES / "astronaut.png"


def test_photographs_are_answered_as_people_see_them(checkpoint: Path) -> None:
    predictor = EmotionPredictor(checkpoint, threads=1)
    assert (predictor.scheme, predictor.labels) == (PERCEIVED, EMOTIONS)
    seen, labelled = (predictor.under(scheme).predict_single(ASTRONAUT) for scheme in (PERCEIVED, FER2013))
    assert predictor.predict_single(ASTRONAUT) == seen
    assert (seen["scheme"], labelled["scheme"]) == (PERCEIVED, FER2013)
    assert tuple(seen["probabilities"]) == tuple(labelled["probabilities"]) == EMOTIONS
    assert seen["probabilities"] != labelled["probabilities"]
    assert sum(seen["probabilities"].values()) == pytest.approx(1)
    assert np.array_equal(predictor.embed([ASTRONAUT]), predictor.under(FER2013).embed([ASTRONAUT]))


def test_contempt_is_answered_where_it_is_asked_for(checkpoint: Path) -> None:
    predictor = EmotionPredictor(checkpoint, threads=1, contempt=True)
    with_it, without = predictor.predict_single(ASTRONAUT), predictor.under(None).predict_single(ASTRONAUT)
    assert tuple(with_it["probabilities"]) == PERCEIVED_LABELS
    assert sum(with_it["probabilities"].values()) == pytest.approx(1)
    rest = 1 - with_it["probabilities"][CONTEMPT]
    for emotion in EMOTIONS:
        assert with_it["probabilities"][emotion] / rest == pytest.approx(without["probabilities"][emotion])
    assert len(predictor.get_top_k_predictions(ASTRONAUT, k=8)) == 8
    with pytest.raises(ConfigError, match="fer2013 has no contempt"):
        EmotionPredictor(checkpoint, scheme=FER2013, contempt=True)


def test_a_scheme_that_is_not_there_is_named(checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match=r"no label scheme 'own'; it has fer2013 and perceived"):
        EmotionPredictor(checkpoint, scheme=OWN)
    with pytest.raises(ConfigError, match="no label scheme 'felt'"):
        EmotionPredictor(checkpoint).under("felt")


def test_a_temperature_belongs_to_its_scheme(checkpoint: Path, tmp_path: Path) -> None:
    card = Checkpoint.open(checkpoint).card.with_temperature(FER2013, 3.0)
    assert (card.schemes[FER2013].temperature, card.schemes[PERCEIVED].temperature) == (3.0, 1.0)
    assert card.drop_calibration() == Checkpoint.open(checkpoint).card
    assert Checkpoint.open(checkpoint).card.select_labels(PERCEIVED) == Scheme(EMOTIONS)
    assert card.select_labels(PERCEIVED, contempt=True) == Scheme(PERCEIVED_LABELS)
    Checkpoint.create(tmp_path, Documents(card), {})
    assert Checkpoint.open(tmp_path).card.schemes == card.schemes


def test_a_file_that_lacks_a_scheme_of_its_card_is_named(checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    onnx = pytest.importorskip("onnx")
    from cmaen.engines import build_engine
    from cmaen.models.checkpoint import load_checkpoint, save_checkpoint

    network, card = load_checkpoint(checkpoint)
    network.perceived_classifier = None
    card = save_checkpoint(network, replace(card, schemes={FER2013: Scheme(EMOTIONS)}), tmp_path)
    model = onnx.load(str(checkpoint / ONNX))
    (perceived,) = (output for output in model.graph.output if output.name == PERCEIVED)
    model.graph.output.remove(perceived)  # what an export of this network would write, without the seconds it takes
    with Checkpoint.stage(tmp_path) as draft:
        onnx.save(model, str(draft / ONNX))
        write_documents(draft, Checkpoint(tmp_path).documents, weights=[ONNX], kept=card.sha256)
    for engine in ("onnx", "torch"):
        with pytest.raises(CheckpointError, match="has no output perceived"):
            build_engine(engine, tmp_path)(np.zeros((1, 3, 64, 64), np.float32), PERCEIVED)


def test_records_and_tables_name_the_scheme(checkpoint: Path, tmp_path: Path) -> None:
    for scheme in (PERCEIVED, FER2013):
        path = tmp_path / f"{scheme}.json"
        cmaen("inference", "--image", ASTRONAUT, "--checkpoint", checkpoint, "--scheme", scheme, "--output", path)
        (record,) = json.loads(path.read_text())
        assert record["scheme"] == scheme
        assert Result.from_record(record).to_record() == record
        del record["scheme"]  # earlier versions did not write it
        assert Result.from_record(record).scheme is None
    table = tmp_path / "contempt.csv"
    cmaen("inference", "--image", ASTRONAUT, "--checkpoint", checkpoint, "--contempt", "--output", table)
    assert table.read_text().splitlines()[0].endswith(",surprise,contempt")
    pytest.importorskip("pandas")
    frame = to_pandas(EmotionPredictor(checkpoint, threads=1).predict_batch([ASTRONAUT]))
    assert frame["scheme"].tolist() == [PERCEIVED]


def test_a_resumed_run_has_the_scheme_it_began_with(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(ASTRONAUT.read_bytes())
    output = tmp_path / "answers.jsonl"
    arguments = ("inference", "--directory", tmp_path / "photos", "--checkpoint", checkpoint, "--output", output)
    cmaen(*arguments)
    part = output.with_name("answers.jsonl.part")
    settings = {"settings": {"scheme": PERCEIVED}}
    part.write_text(json.dumps(settings) + "\n")
    assert "scheme was 'perceived' and is 'fer2013'" in cmaen(*arguments, "--scheme", FER2013, "--resume", code=2)


def test_the_command_measures_both_schemes(
    checkpoint: Path, fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_report: None
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(benchmark, "measure_machine", lambda _: benchmark.Machine(1.0, 1.0))  # it takes seconds
    from cmaen.data.faces import load_faces
    from cmaen.data.ferplus import CATEGORIES
    from cmaen.data.splits import Split

    votes, output = tmp_path / "votes.csv", tmp_path / "report"
    names = load_faces(fer_tree, Split.VALIDATION).names + load_faces(fer_tree, Split.TRAIN).names
    rows = [f"{name},5,5,0,0,0,0,0,0,0,0" for name in names]
    votes.write_text("\n".join([",".join(("file", *CATEGORIES)), *rows]))
    asked = ("--data", fer_tree, "--checkpoint", checkpoint, "--votes", votes)
    said = cmaen("test", *asked, "--robustness", "--output", output)
    assert "what annotators saw, scheme perceived" in said
    assert "The checkpoint does not record which faces it was trained on" in said
    assert "FER+ votes: 21 of 21 faces have them" in said
    figures = json.loads((output / "metrics.json").read_text())
    assert figures["perceived"][PERCEIVED]["majority"]["count"] == 21
    assert set(figures["robustness"]) == {FER2013, PERCEIVED}
    assert (output / "pictures" / "perceived-confusion.svg").is_file()
    assert "Two label schemes" in (output / "report.html").read_text()
    alone = cmaen("test", *asked, "--scheme", FER2013)
    assert "scheme perceived" not in alone
    inner = cmaen("test", *asked, "--split", "inner")
    assert "a tenth of Training" in inner
    assert "2 with" not in cmaen("benchmark", "--checkpoint", checkpoint, "--scheme", FER2013, "--batch-size", 1)


def test_both_temperatures_are_fitted(checkpoint: Path, fer_tree: Path, tmp_path: Path) -> None:
    import shutil

    from cmaen.data.faces import load_faces
    from cmaen.data.ferplus import CATEGORIES
    from cmaen.data.splits import Split

    folder, votes = Path(shutil.copytree(checkpoint, tmp_path / "copy")), tmp_path / "votes.csv"
    rows = [f"{name},1,1,1,1,1,1,1,1,1,1" for name in load_faces(fer_tree, Split.VALIDATION).names]
    votes.write_text("\n".join([",".join(("file", *CATEGORIES)), *rows]))
    said = cmaen("calibrate", "--data", fer_tree, "--checkpoint", folder)
    assert "perceived is not calibrated: it needs --votes" in said
    assert Checkpoint.open(folder).card.schemes[PERCEIVED].temperature == 1
    said = cmaen("calibrate", "--data", fer_tree, "--checkpoint", folder, "--votes", votes)
    fitted = Checkpoint.open(folder).card.schemes[PERCEIVED]
    assert fitted.temperature > 1.05  # as even as 21 faces allow
    assert fitted.confidence_temperature is not None
    assert fitted.sharpening == fitted.temperature / fitted.confidence_temperature
    (face,) = EmotionPredictor(folder, threads=1).predict_faces(ASTRONAUT)
    powers = np.array(list(face["probabilities"].values())) ** fitted.sharpening
    assert face["confidence"] == pytest.approx(powers.max() / powers.sum())
    record = EmotionPredictor(folder, threads=1).predict_single(ASTRONAUT) | {"path": "a"}
    assert Result.from_record(record).to_record() == record
    assert (
        Result.from_record({**record, "faces": [{**face, "predicted_emotion": "uncertain"}]}).to_record()[
            "predicted_emotion"
        ]
        == "uncertain"
    )
    assert set(Checkpoint.open(folder).metrics.calibration) == {FER2013, PERCEIVED}
