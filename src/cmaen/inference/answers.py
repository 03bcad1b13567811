"""Results in any form that the predictor returns, read back as faces or as records."""

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
"""Keys that every face must have."""
_ADVICE = "pass what predict, predict_each, predict_single, predict_batch, predict_faces or video returns"


def read_faces(answers: Answers | Iterable[Answers]) -> list[Mapping[str, Any]]:
    """Return the faces of one image as dicts.

    Args:
        answers: One answer, or a list of the faces of one image.

    Raises:
        ResultError: The argument is not an answer, or holds answers to several images.
    """
    records = list(read_records(answers))
    if len(records) > 1:
        raise ResultError(f"these are answers to {len(records)} images; pass the one for this image")
    return [face for record in records for face in record["faces"]]


def read_records(answers: Answers | Iterable[Answers]) -> Iterator[Mapping[str, Any]]:
    """Yield one record for each image: a dict with its ``faces``, and with its ``path`` if that is known.

    Consecutive faces with the same path belong to one image.

    Args:
        answers: One answer, or several.

    Raises:
        ResultError: An item is not an answer; the message says which.
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
    """List the answers; a single one becomes a list of one."""
    if isinstance(answers, Result | Face | AnalysedFrame | Mapping):
        return [answers]
    if isinstance(answers, str | bytes) or not isinstance(answers, Iterable):
        raise ResultError(f"{type(answers).__name__} is not a result; {_ADVICE}")
    return answers


def _read_face(answer: Any, number: int) -> Mapping[str, Any] | None:
    """Return a face as a dict, or ``None`` if the answer is not a face."""
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
            raise ResultError(f"the faces of answer {number} are {type(faces).__name__}, not a list; {_ADVICE}")
        for face in faces:
            _check_face(face, number)
        return {"path": answer.path, **answer} if isinstance(answer, Answer) and answer.path else answer
    if isinstance(answer, tuple):
        raise ResultError("get_top_k_predictions does not say where a face is; pass what predict_single returns")
    raise ResultError(f"answer {number} is {type(answer).__name__}, not a result; {_ADVICE}")


def _check_face(face: Any, number: int) -> Mapping[str, Any]:
    if not isinstance(face, Mapping):
        raise ResultError(f"answer {number} holds a face that is {type(face).__name__}, not a dict; {_ADVICE}")
    missing = [name for name in _OF_FACES if name not in face]
    if missing:
        raise ResultError(f"answer {number} holds a face without {' and '.join(missing)}; {_ADVICE}")
    return face


def _gather(faces: list[Mapping[str, Any]], path: str | None) -> Mapping[str, Any]:
    """Make the record of faces that came one by one."""
    return {**({} if path is None else {"path": path}), "status": "ok", "error": None, "faces": faces}
