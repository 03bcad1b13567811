"""Shared parts of the verbs: options, log, progress bars, text for any terminal, and advice about missing extras."""

from __future__ import annotations

import ctypes
import logging
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, TextIO, TypeVar

import typer

from cmaen.cli.panels import FACES, MODEL, SOURCE
from cmaen.errors import MissingExtraError, escape
from cmaen.locks import hold
from cmaen.serving.logs import Repeats

_T = TypeVar("_T")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # from malloc.h


CheckpointName = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        metavar="NAME",
        help="Weights to use: cmaen-m (default) or the small cmaen-s, which ship with the package; the folder of a "
        "checkpoint; https://….zip#sha256=…; or owner/name on Hugging Face.",
        rich_help_panel=MODEL,
    ),
]
EngineName = Annotated[
    str, typer.Option("--engine", help="Inference engine: auto, onnx, openvino or torch.", rich_help_panel=MODEL)
]
EngineDevice = Annotated[
    str,
    typer.Option(
        "--device",
        help="Device to run on: cpu, cuda, cuda:1, mps or auto (with OpenVINO also gpu and npu).",
        rich_help_panel=MODEL,
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Data set: class folders, a data set as it is published (RAF-DB, AffectNet, CK+ …), a zip of either, or a "
        "CSV. Default: data/fer2013.zip, .csv or folder.",
        rich_help_panel=SOURCE,
    ),
]
Photographs = Annotated[
    Path | None,
    typer.Option(
        help="CSV with the columns file and label: also measure these photographs, after finding the faces in them.",
        rich_help_panel=SOURCE,
    ),
]
Pictures = Annotated[
    Path | None,
    typer.Option(
        help="Folder or zip of the files that --photographs names. Default: the folder of the CSV.",
        rich_help_panel=SOURCE,
    ),
]
Names = Annotated[
    str | None,
    typer.Option(
        "--names",
        metavar="LABEL=NAME,…",
        help="Names for labels that are written in another way, such as 1=surprise,2=fear for numbers.",
        rich_help_panel=SOURCE,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        help="Device to run on: auto, cpu, cuda, cuda:1 (the second GPU) or mps. auto uses a GPU if there is one.",
        rich_help_panel=MODEL,
    ),
]
SchemeName = Annotated[
    str | None,
    typer.Option(
        "--scheme",
        help="Label scheme: perceived (what people see in the face) or fer2013 (the label FER2013 would give it). "
        "Default: perceived if the checkpoint has it.",
        rich_help_panel=MODEL,
    ),
]
Contempt = Annotated[
    bool,
    typer.Option(
        "--contempt", help="Add contempt as an eighth emotion (scheme perceived only).", rich_help_panel=MODEL
    ),
]
DetectorName = Annotated[
    str, typer.Option(help="Face detector: yunet, or centerface:MODEL.onnx for tiny faces.", rich_help_panel=FACES)
]
DetectorSide = Annotated[
    int | None,
    typer.Option(
        min=32,
        help="Shrink images to this side length for detection, in pixels, and do not search parts of them again; "
        "a higher value finds smaller faces.",
        rich_help_panel=FACES,
    ),
]


def check_share(value: float | None) -> float | None:
    """Check that an option is between 0 and 1, and return it unchanged; the error explains percentages.

    Raises:
        typer.BadParameter: The value is not between 0 and 1.
    """
    if value is None or 0 <= value <= 1:
        return value
    advice = f"; {value:g}% is {value / 100:g}" if 1 < value <= 100 else ""
    raise typer.BadParameter(f"{value:g} is not between 0 and 1{advice}")


def parse_names(text: str | None) -> dict[str, str]:
    """Parse the option ``--names``.

    Raises:
        typer.BadParameter: A part is not LABEL=NAME.
    """
    parts = [part.partition("=") for part in (text or "").split(",") if part.strip()]
    if faulty := next(("".join(part) for part in parts if not (part[0].strip() and part[2].strip())), None):
        raise typer.BadParameter(f"{faulty!r} is not LABEL=NAME, such as 1=surprise", param_hint="--names")
    return {label.strip(): name.strip() for label, _, name in parts}


MinScore = Annotated[
    float | None,
    typer.Option(callback=check_share, help="Ignore detections below this score, 0 to 1.", rich_help_panel=FACES),
]
MinFace = Annotated[
    float, typer.Option(min=0, help="Ignore faces narrower than this, in pixels.", rich_help_panel=FACES)
]
MaxMegapixels = Annotated[
    float, typer.Option(min=0.01, help="Refuse images larger than this, in megapixels.", rich_help_panel=FACES)
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Verbose output.")]


def alone(context: typer.Context, output: Path) -> None:
    """Reserve an output folder until the verb ends, see :func:`cmaen.locks.hold`.

    Raises:
        OutputError: Another run writes to the folder, or it cannot be written.
    """
    context.with_resource(hold(output))


@contextmanager
def extra(feature: str, extra: str) -> Iterator[None]:
    """Turn the failed import of an optional dependency into advice."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(feature, extra) from error


def log(verbose: bool, *, lasting: bool = False) -> None:
    """Show warnings, and with ``verbose`` more, on standard error, without repetition.

    Args:
        verbose: Whether to show informative messages, too.
        lasting: Whether the process keeps running, like a server: a repeated message is then shown again after a
            minute, with the number of times it was left out. A command shows a warning once. Errors and tracebacks are
            always shown.
    """

    class Shown(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return escape_for_terminal(super().format(record))

    handler = _StandardError()
    handler.setFormatter(Shown("%(message)s"))
    handler.addFilter(Repeats() if lasting else _Once())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("cmaen").setLevel(logging.INFO if verbose else logging.WARNING)


class _StandardError(logging.StreamHandler[TextIO]):
    """A handler that writes to the current standard error, so that a line appears above a progress bar."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """The current standard error."""
        return sys.stderr


class _Once(logging.Filter):
    """A filter that passes each warning once, and every error and traceback."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown, see :class:`logging.Filter`."""
        if record.exc_info or record.levelno > logging.WARNING:
            return True
        before = len(self._said)
        self._said.add(record.getMessage())
        return len(self._said) > before


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next batch instead of returning it to the system and requesting it again.

    This makes networks with large activations twice as fast (``docs/figures/enhancement.md``). It applies to the
    whole process, which belongs to the command; other C libraries are left unchanged.
    """
    with suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 2**30)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def in_a_shell(*words: str | Path) -> str:
    """Write a command as it is typed in a shell, with quotes where they are needed."""
    texts = [str(word) for word in words]
    return subprocess.list2cmdline(texts) if sys.platform == "win32" else shlex.join(texts)


def escape_for_terminal(text: str) -> str:
    """Escape control characters, and characters that the terminal's encoding lacks."""
    encoding = sys.stdout.encoding or "utf-8"
    return escape(text).encode(encoding, "backslashreplace").decode(encoding)


def progress(items: Iterable[_T], unit: str, total: int | None = None) -> Iterator[_T]:
    """Yield the items, with a progress bar on a terminal and silently elsewhere."""
    if not sys.stderr.isatty() or (total is not None and total < 2):
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, description=unit, total=total, console=Console(stderr=True))


def bar(unit: str) -> Callable[[Any], Iterator[Any]]:
    """Return a wrapper that shows the :func:`progress` of a loop over a sized collection."""
    return lambda items: progress(items, unit, len(items))
