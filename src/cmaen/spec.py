"""The base of every spec: a frozen, validated value, and the only place that defines a part's settings.

A spec lives in the room that reads it; configuration, cards, command line and builders import it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError


def _spell(where: Any) -> Any:
    return os.fspath(where) if isinstance(where, os.PathLike) else where


CheckpointName = Annotated[str, BeforeValidator(_spell)]
"""The argument of :meth:`cmaen.checkpoints.Checkpoint.open` as text: a name, a folder, an address or a repository."""


class Spec(BaseModel):
    """The settings of one part: immutable and hashable; unknown keys and infinite numbers are mistakes.

    Constraints between several keys are checked by a validator of the last one, once those before it are valid, so that
    one mistake does not hide another.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True, protected_namespaces=()
    )


def require_none(mistakes: Iterable[str]) -> None:
    """Report all mistakes that a validator has found at once.

    Args:
        mistakes: Mistakes, one line each.

    Raises:
        ValueError: There is at least one mistake.
    """
    if found := list(mistakes):
        raise ValueError("\n".join(found))


def list_mistakes(error: ValidationError) -> list[str]:
    """List the mistakes of a validation, one line each: the key, a colon, and what it must be."""
    return [
        f"{'.'.join(map(str, found['loc'])) or 'config'}: {line}"
        for found in error.errors(include_url=False, include_context=False, include_input=False)
        for line in found["msg"].removeprefix("Value error, ").splitlines()
    ]
