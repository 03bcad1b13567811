"""The log of a server: repeated messages are logged once a minute with a count, and failures have an identifier."""

from __future__ import annotations

import hashlib
import logging
import math
import time
import traceback
from typing import Any

from cmaen.errors import escape

_MOST_REMEMBERED = 1000


class Repeats(logging.Filter):
    """Lets the same warning pass once per period, announces this, and later reports how many were suppressed.

    Records with tracebacks are the same if their messages and exceptions are. Records below the level of warnings, such
    as the access log, always pass.
    """

    def __init__(self, seconds: float = 60.0) -> None:
        super().__init__()
        self._seconds = seconds
        # when it was last logged, and how many were suppressed since
        self._said: dict[tuple[str, str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """See :class:`logging.Filter`."""
        if record.levelno < logging.WARNING:
            return True
        message = record.getMessage()
        key = (record.name, message, repr(record.exc_info[1])[:200] if record.exc_info else "")
        now = time.monotonic()
        said, left_out = self._said.get(key, (-math.inf, 0))
        if now - said < self._seconds:
            self._said[key] = (said, left_out + 1)
            if not left_out:  # the first time that it is repeated
                record.msg, record.args = (
                    f"{message} (again; from now on this is logged once every {self._seconds:g} s)",
                    (),
                )
                record.exc_info = record.exc_text = None
            return not left_out
        if len(self._said) >= _MOST_REMEMBERED:
            self._said.clear()
        self._said[key] = (now, 0)
        if left_out:
            record.msg, record.args = f"{message} ({left_out:,} more like this since the last one)", ()
        return True


class Escaped(logging.Formatter):
    """Formatter whose lines contain no control characters, whatever names they quote."""

    def format(self, record: logging.LogRecord) -> str:
        """See :class:`logging.Formatter`."""
        return escape(super().format(record))


def log_config(level: int) -> dict[str, Any]:
    """Make the configuration for :func:`logging.config.dictConfig`, which every process of a server uses.

    Args:
        level: Log level of this package.
    """
    here = f"{__name__}."
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"escaped": {"()": f"{here}{Escaped.__name__}"}},
        "filters": {"repeats": {"()": f"{here}{Repeats.__name__}"}},
        "handlers": {"said": {"class": "logging.StreamHandler", "formatter": "escaped", "filters": ["repeats"]}},
        "root": {"level": "WARNING", "handlers": ["said"]},
        "loggers": {"cmaen": {"level": level}},
    }


def identify(error: BaseException) -> str:
    """Derive an identifier of eight characters from an error's type and the places in its traceback.

    Equal failures have equal identifiers, so that the identifier in a response is found in the log, even if repetitions
    are suppressed there.
    """
    places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    return hashlib.sha256("\n".join([type(error).__qualname__, *places]).encode()).hexdigest()[:8]
