"""What the verbs share: options, the log, progress bars, text for any terminal, and advice about missing extras."""

from __future__ import annotations

import ctypes
import logging
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from cmaen.errors import MissingExtraError, escape
from cmaen.locks import hold
from cmaen.serving.logs import Repeats

_T = TypeVar("_T")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


CheckpointName = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        metavar="NAME",
        help="cmaen-m, the shipped weights (default); folder of a checkpoint; https://….zip#sha256=…; owner/name of "
        "Hugging Face.",
    ),
]
EngineName = Annotated[str, typer.Option("--engine", help="auto, onnx, openvino or torch.")]
EngineDevice = Annotated[
    str, typer.Option("--device", help="That computes: cpu, cuda, cuda:1, mps or auto; of OpenVINO gpu or npu, too.")
]
Data = Annotated[
    Path | None, typer.Option(help="FER2013: a folder tree, its zip, or the Kaggle CSV; default: what lies in data/.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 (the second GPU) or mps; auto: a GPU if any.")]
SchemeName = Annotated[
    str | None,
    typer.Option(
        "--scheme",
        help="Label scheme: perceived (what people see) or fer2013 (what FER2013's label would be). "
        "Default: perceived where the checkpoint has it.",
    ),
]
Contempt = Annotated[
    bool, typer.Option("--contempt", help="With the scheme perceived: answer contempt as an eighth emotion.")
]
DetectorName = Annotated[str, typer.Option(help="yunet, or centerface:MODEL.onnx for tiny faces.")]
DetectorSide = Annotated[
    int | None,
    typer.Option(
        min=32, help="Larger pictures are shrunk to this side to find the faces in them, with no closer look."
    ),
]
MinScore = Annotated[float | None, typer.Option(min=0, max=1, help="Faces that score less are dropped.")]
MinFace = Annotated[float, typer.Option(min=0, help="Smaller faces are dropped, in pixels of the image.")]
MaxMegapixels = Annotated[float, typer.Option(min=0.01, help="Larger pictures are refused, in millions of pixels.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more of what happens.")]


def alone(context: typer.Context, output: Path) -> None:
    """Write an output folder alone until the verb has ended, see :func:`cmaen.locks.hold`.

    Raises:
        OutputError: Another run writes it, or it cannot be written.
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
    """Say warnings, and with ``verbose`` more, on the standard error, without repeating oneself.

    Args:
        verbose: Say what is only informative, too.
        lasting: The process runs on and on, like a server: what is repeated is said again after a minute, with how
            often it was left out. A command says a warning once; errors and tracebacks are said each time.
    """

    class Shown(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return escape_for_terminal(super().format(record))

    handler = logging.StreamHandler()
    handler.setFormatter(Shown("%(message)s"))
    handler.addFilter(Repeats() if lasting else _Once())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("cmaen").setLevel(logging.INFO if verbose else logging.WARNING)


class _Once(logging.Filter):
    """Lets a warning through once, and every error and traceback."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """See :class:`logging.Filter`."""
        if record.exc_info or record.levelno > logging.WARNING:
            return True
        before = len(self._said)
        self._said.add(record.getMessage())
        return len(self._said) > before


def keep_freed_memory() -> None:
    """Let glibc keep what is freed for the next batch, in place of handing it back and fetching it again.

    Networks with large activations are twice as fast (``docs/figures.md``, "Enhancement"). It is for the whole process,
    which is the command's own; other C libraries are left as they are.
    """
    with suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 2**30)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def in_a_shell(*words: str | Path) -> str:
    """A command as it is typed, with quotes where a name needs them."""
    texts = [str(word) for word in words]
    return subprocess.list2cmdline(texts) if sys.platform == "win32" else shlex.join(texts)


def escape_for_terminal(text: str) -> str:
    """The text as the terminal can show it: what its encoding lacks is escaped, and what would steer it."""
    encoding = sys.stdout.encoding or "utf-8"
    return escape(text).encode(encoding, "backslashreplace").decode(encoding)


def progress(items: Iterable[_T], unit: str, total: int | None = None) -> Iterator[_T]:
    """The items, with a bar on a terminal and in silence elsewhere."""
    if not sys.stderr.isatty() or (total is not None and total < 2):
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, description=unit, total=total, console=Console(stderr=True))


def bar(unit: str) -> Callable[[Any], Iterator[Any]]:
    """What wraps a loop over a sized collection in :func:`progress`."""
    return lambda items: progress(items, unit, len(items))
