"""Whatever the predictor gives, read back as faces or as records: results, their dicts, faces and frames of a video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cmaen.errors import ResultError
from cmaen.inference.frames import AnalysedFrame
from cmaen.results import Answer, Face, Result

Answers = Result | Face | AnalysedFrame | Mapping[str, Any]
"""One answer: a result of ``predict`` or ``predict_each``, a dict of ``predict_single`` or ``predict_batch``, a face of
either kind, or a frame of ``video``."""

_OF_FACES = ("box", "predicted_emotion", "confidence")
"""What each face needs."""
_ADVICE = "give what predict, predict_each, predict_single, predict_batch, predict_faces or video give"


def read_faces(answers: Answers | Iterable[Answers]) -> list[Mapping[str, Any]]:
    """The faces of one picture, as dicts.

    Args:
        answers: One answer, or the faces of one picture in a list.

    Raises:
        ResultError: It is no answer, or there are answers to several pictures.
    """
    records = list(read_records(answers))
    if len(records) > 1:
        raise ResultError(f"these are answers to {len(records)} pictures; give the one of this picture")
    return [face for record in records for face in record["faces"]]


def read_records(answers: Answers | Iterable[Answers]) -> Iterator[Mapping[str, Any]]:
    """One record for each picture: a dict with its ``faces``, and with its ``path`` where that is known.

    Faces that follow each other and have the same path are those of one picture.

    Args:
        answers: One answer, or several.

    Raises:
        ResultError: One is no answer; the message says which.
    """
    loose: list[Mapping[str, Any]] = []
    path: str | None = None
    for number, answer in enumerate(_each(answers)):
        face = _read_face(answer, number)
        if face is not None:
            named = getattr(answer, "path", "") or None
            if loose and named != path:
                yield _gather(loose, path)
                loose = []
            loose.append(face)
            path = named
            continue
        if loose:
            yield _gather(loose, path)
            loose = []
        yield _read_record(answer, number)
    if loose:
        yield _gather(loose, path)


def _each(answers: Any) -> Iterable[Any]:
    """The answers, of which a single one is a list of one."""
    if isinstance(answers, Result | Face | AnalysedFrame | Mapping):
        return [answers]
    if isinstance(answers, str | bytes) or not isinstance(answers, Iterable):
        raise ResultError(f"{type(answers).__name__} is no result; {_ADVICE}")
    return answers


def _read_face(answer: Any, number: int) -> Mapping[str, Any] | None:
    """A face as a dict; ``None`` where the answer is not a face."""
    if isinstance(answer, Face):
        return answer.to_dict()
    if isinstance(answer, Mapping) and "faces" not in answer:
        return _check_face(answer, number)
    return None


def _read_record(answer: Any, number: int) -> Mapping[str, Any]:
    if isinstance(answer, Result):
        return answer.to_record()
    if isinstance(answer, AnalysedFrame):
        return answer.record
    if isinstance(answer, Mapping):
        faces = answer["faces"]
        if not isinstance(faces, Sequence) or isinstance(faces, str):
            raise ResultError(f"the faces of answer {number} are no list but {type(faces).__name__}; {_ADVICE}")
        for face in faces:
            _check_face(face, number)
        return {"path": answer.path, **answer} if isinstance(answer, Answer) and answer.path else answer
    if isinstance(answer, tuple):
        raise ResultError("get_top_k_predictions says nothing of where a face is; give what predict_single gives")
    raise ResultError(f"answer {number} is {type(answer).__name__}, and no result; {_ADVICE}")


def _check_face(face: Any, number: int) -> Mapping[str, Any]:
    if not isinstance(face, Mapping):
        raise ResultError(f"answer {number} holds a face that is {type(face).__name__}, and no dict; {_ADVICE}")
    missing = [name for name in _OF_FACES if name not in face]
    if missing:
        raise ResultError(f"answer {number} holds a face without {' and '.join(missing)}; {_ADVICE}")
    return face


def _gather(faces: list[Mapping[str, Any]], path: str | None) -> Mapping[str, Any]:
    """The record of loose faces."""
    return {**({} if path is None else {"path": path}), "status": "ok", "error": None, "faces": faces}
