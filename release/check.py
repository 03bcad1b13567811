"""Build wheel and sdist, check them, and try the wheel as a newcomer would: ``python -m release.check [--tag v1.2.3]``.

The wheel goes into a fresh virtual environment, far from the sources, with the example package of a plug-in beside it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from release.contents import check_sdist, check_wheel
from release.versions import ROOT, find_differences, read_version

EXAMPLE = ROOT / "examples" / "astronaut.png"


def main() -> None:
    """Run every step, and end with what is wrong, if anything is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tag", help="Name of the tag that is to be released, such as v0.2.0.")
    parser.add_argument("--output", type=Path, help="Folder for wheel and sdist. Default: a temporary one.")
    parser.add_argument(
        "--environment", type=Path, help="Virtual environment that has the dependencies already. Default: a fresh one."
    )
    given = parser.parse_args()
    require(find_differences(tag=given.tag))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        output = (given.output or place / "dist").resolve()
        if output.is_dir() and any(output.iterdir()):
            raise SystemExit(f"{output} holds other files; empty it, or choose another folder")
        with timed("build"):
            build(ROOT, output)
            build(ROOT / "examples" / "plugin", place / "plugin", "--wheel")
        (wheel,), (sdist,), (plugin,) = output.glob("*.whl"), output.glob("*.tar.gz"), (place / "plugin").glob("*.whl")
        with timed("contents and metadata"):
            require([*check_wheel(wheel, ROOT / "src" / "cmaen"), *check_sdist(sdist)])
            run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
        with timed("installation"):
            python = install(given.environment, place / "fresh", wheel, plugin)
        with timed("first results"):
            try_out(python, place)
        for path in (wheel, sdist):
            print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")
    print(f"cmaen {read_version()} can be released")


def build(project: Path, output: Path, *kinds: str) -> None:
    """Build the distributions; without a build environment of their own if hatchling is here, which is much faster."""
    isolated = () if importlib.util.find_spec("hatchling") is None else ("--no-isolation",)
    run(sys.executable, "-m", "build", *isolated, *kinds, "--outdir", output, project)


def install(prepared: Path | None, folder: Path, *wheels: Path) -> Path:
    """Install wheels into a virtual environment, a fresh one unless one is prepared, and return its Python."""
    if prepared is None:
        venv.create(folder, with_pip=True)
    python = (prepared or folder).absolute() / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    here = () if prepared is None else ("--no-deps", "--force-reinstall")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *here, *wheels)
    run(python, "-m", "pip", "check")
    return python


def try_out(python: Path, place: Path) -> None:
    """Ask the installed package for its version, for itself, for a face, and for a plug-in."""

    def cmaen(*words: str | Path) -> str:
        return run(python, "-m", "cmaen", *words, folder=place)

    version = read_version()
    if cmaen("--version").strip() != f"cmaen {version}":
        raise SystemExit(f"the installed command does not say that it is cmaen {version}")
    found = json.loads(cmaen("info", "--json"))
    if (found["version"], found["installed"] == "editable", found["problems"]) != (version, False, []):
        raise SystemExit(f"cmaen info reports: {found}")
    cmaen("predict", EXAMPLE, "--output", "faces.json", "--annotated", "faces.png")
    (record,) = json.loads((place / "faces.json").read_text("utf-8"))
    if record["predicted_emotion"] != "happy":
        raise SystemExit(f"the example photograph is answered {record['predicted_emotion']}")
    cmaen("predict", EXAMPLE, "--detector", "portrait", "--sink", "diary=diary.txt")
    if EXAMPLE.name not in (place / "diary.txt").read_text("utf-8"):
        raise SystemExit("the sink of the example plug-in has written nothing")


def run(*words: str | Path, folder: Path = ROOT) -> str:
    """Run a command, and return what it prints; if it fails, end with that."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "CMAEN_"))}
    done = subprocess.run(
        [str(word) for word in words], cwd=folder, env=outside, capture_output=True, text=True, encoding="utf-8"
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))} fails:\n{done.stdout}{done.stderr}")
    return done.stdout


def require(problems: object) -> None:
    """End with the problems, if there are any."""
    if found := list(problems):  # type: ignore[call-overload]
        raise SystemExit("\n".join(found))


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Print how long a step takes."""
    began = time.monotonic()
    yield
    print(f"{step}: {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
