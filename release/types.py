"""How many of the public symbols have types that every type checker knows: ``python -m release.types``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from release.versions import ROOT

LEAST = 0.95


def main() -> None:
    """Ask pyright, and end with the unknown symbols if they are too many."""
    scripts = Path(sys.executable).parent  # pyright asks the first Python on the path for the installed packages
    path = os.pathsep.join((str(scripts), os.environ.get("PATH", "")))
    words = ("-m", "pyright", "--verifytypes", "cmaen", "--ignoreexternal", "--outputjson")
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, encoding="utf-8")
    try:
        found = json.loads(done.stdout)["typeCompleteness"]
    except (ValueError, KeyError) as error:
        raise SystemExit(f"pyright fails:\n{done.stdout}{done.stderr}") from error
    score, counts = found["completenessScore"], found["exportedSymbolCounts"]
    print(f"{score:.1%} of {sum(counts.values()):,} public symbols have a known type")
    if score < LEAST:
        unknown = [one["name"] for one in found["symbols"] if one["isExported"] and not one["isTypeKnown"]]
        raise SystemExit(f"at least {LEAST:.0%} must; these do not:\n" + "\n".join(unknown))


if __name__ == "__main__":
    main()
