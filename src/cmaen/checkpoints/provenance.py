"""``provenance.json``: how the weights of a checkpoint were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cmaen.checkpoints.values import is_integer, is_list_of_objects, is_number, is_object, is_text, shorten

PROVENANCE = "provenance.json"


@dataclass(frozen=True)
class Part:
    """A network whose weights went into an average.

    Attributes:
        name: Name on its card.
        share: Share in the average, in [0, 1].
        provenance: Provenance of its own weights.
    """

    name: str
    share: float
    provenance: Provenance


@dataclass(frozen=True)
class Provenance:
    """How weights were made. Unknown values are ``None`` or empty.

    Attributes:
        seed: Random seed of the run.
        revision: Git commit of the code, with ``-dirty`` if it had been changed since.
        pretraining: Description of the weights before this training.
        averaged: The networks that were averaged.
        recorded: Everything else that the run recorded: data, splits, images by emotion, teachers, loss, optimisation
            and versions, as in JSON.
    """

    seed: int | None = None
    revision: str | None = None
    pretraining: str | None = None
    averaged: tuple[Part, ...] = ()
    recorded: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Provenance:
        """Build a provenance from JSON.

        Raises:
            ValueError: A value is invalid; the message names its key.
        """
        recorded = dict(values)
        seed, revision, pretraining, parts = (
            recorded.pop(key, None) for key in ("seed", "revision", "pretraining", "averaged")
        )
        if not (seed is None or is_integer(seed)):
            raise ValueError(f"the seed is {shorten(seed)} and must be a whole number")
        for key, text in (("revision", revision), ("pretraining", pretraining)):
            if not (text is None or is_text(text)):
                raise ValueError(f"the {key} is {shorten(text)} and must be a single line of text")
        if not is_list_of_objects(parts or []):
            raise ValueError("averaged must be a list of objects")
        return cls(seed, revision, pretraining, tuple(map(_read_part, parts or [])), recorded)

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON; unknown values are left out."""
        named = {"pretraining": self.pretraining, "seed": self.seed, "revision": self.revision}
        parts = [
            {"name": part.name, "share": part.share, "provenance": part.provenance.to_dict()} for part in self.averaged
        ]
        return {
            **({"averaged": parts} if parts else {}),
            **self.recorded,
            **{key: value for key, value in named.items() if value is not None},
        }

    def describe(self, name: str) -> str:
        """Describe a network by its name and what distinguishes it from namesakes, or by the parts of an average.

        Args:
            name: Name on its card.
        """
        if self.averaged:
            return " + ".join(f"{part.share:.3g} × {part.provenance.describe(part.name)}" for part in self.averaged)
        told = [f"seed {self.seed}"] if self.seed is not None else []
        if self.revision:
            commit, *changed = self.revision.split("-")
            told.append(f"revision {'-'.join([commit[:7], *changed])}")
        return f"{name} ({', '.join(told)})" if told else name


def _read_part(values: Mapping[str, Any]) -> Part:
    made = values.get("provenance", values.get("training"))  # the key of formats 1 and 2
    if not is_text(values.get("name")) or not is_number(values.get("share"), 0, 1):
        raise ValueError("every part of an average must have a name and a share from 0 to 1")
    if not is_object(made):
        raise ValueError("every part of an average must say how it was trained")
    return Part(values["name"], values["share"], Provenance.from_dict(made))
