"""What every spec is: a frozen, validated value, and the only place where a part's settings are written down.

A spec stands in the room that reads it. Configuration, cards, command line and builders take it from there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError


def _spell(where: Any) -> Any:
    return os.fspath(where) if isinstance(where, os.PathLike) else where


CheckpointName = Annotated[str, BeforeValidator(_spell)]
"""What :meth:`cmaen.checkpoints.Checkpoint.open` takes, as text: a name, a folder, an address or a repository."""


class Spec(BaseModel):
    """The settings of one part: immutable and hashable; an unknown key is a mistake, and so is an infinite number.

    What concerns several keys is checked by a validator of the last of them, as soon as those before it are right: so
    one mistake does not hide another.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True, protected_namespaces=()
    )


def require_none(mistakes: Iterable[str]) -> None:
    """Report all mistakes that a validator has found at once.

    Args:
        mistakes: One line each.

    Raises:
        ValueError: There is at least one.
    """
    if found := list(mistakes):
        raise ValueError("\n".join(found))


def list_mistakes(error: ValidationError) -> list[str]:
    """What a validation found wrong, one line for each mistake: the key, a colon, and what it must be."""
    return [
        f"{'.'.join(map(str, found['loc'])) or 'config'}: {line}"
        for found in error.errors(include_url=False, include_context=False, include_input=False)
        for line in found["msg"].removeprefix("Value error, ").splitlines()
    ]
