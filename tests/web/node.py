"""The modules of the page, run by Node.js: what Python gives them, and what they answer."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmaen.web.files import PAGE

NODE = shutil.which("node")
SECONDS = 1200

BEFORE = """
import { readFileSync, writeFileSync } from 'node:fs';
const TYPES = { uint8: Uint8Array, float32: Float32Array, float64: Float64Array };
function revived(_, value) {
  if (value?.base64 === undefined) return value;
  const bytes = Uint8Array.from(Buffer.from(value.base64, 'base64'));
  const data = new TYPES[value.type](bytes.buffer);
  if (value.type !== 'uint8') return data;
  const [height, width, channels = 1] = value.shape;
  return { width, height, channels, data };
}
function replaced(_, value) {
  if (!ArrayBuffer.isView(value)) return value;
  const type = Object.keys(TYPES).find((name) => value instanceof TYPES[name]);
  return { type, base64: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') };
}
const given = JSON.parse(readFileSync(0, 'utf8'), revived);
"""
AFTER = "\nprocess.stdout.write(JSON.stringify(answer, replaced));\n"


def run_page(script: str, **given: Any) -> Any:
    """What a script makes of some values with the page's modules.

    Args:
        script: JavaScript that imports modules like ``./track.js``, reads ``given``, and declares ``answer``.
        given: Values for JSON. Arrays come as typed arrays, those of uint8 [H, W] and [H, W, C] as pictures.

    Returns:
        The answer; typed arrays come as flat arrays.
    """
    if NODE is None:
        pytest.skip("Node.js is not installed")
    folder = Path(_modules().name)
    (folder / "given.js").write_text(BEFORE + script + AFTER, encoding="utf-8")
    done = subprocess.run(
        [NODE, "given.js"],
        cwd=folder,
        input=json.dumps(given, default=_packed, allow_nan=False),
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout, object_hook=_unpacked)


@cache
def _modules() -> tempfile.TemporaryDirectory[str]:
    """A copy of the page's modules as Node.js takes them, until this process ends."""
    folder = tempfile.TemporaryDirectory()
    for path in PAGE.glob("*.js"):
        shutil.copy(path, folder.name)
    (Path(folder.name) / "package.json").write_text('{"type": "module"}')
    return folder


def _packed(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    array = np.ascontiguousarray(value)
    assert array.dtype.name in ("uint8", "float32", "float64"), array.dtype
    return {"type": array.dtype.name, "shape": array.shape, "base64": base64.b64encode(array.tobytes()).decode()}


def _unpacked(value: dict[str, Any]) -> Any:
    if "base64" not in value:
        return value
    return np.frombuffer(base64.b64decode(value["base64"]), value["type"])
