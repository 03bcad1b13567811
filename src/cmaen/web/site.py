"""The page without a server: a folder of files with which the visitor's browser runs the networks itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from cmaen.checkpoints import Checkpoint
from cmaen.errors import ConfigError
from cmaen.files import replace_file, write_text
from cmaen.inference.detectors.yunet import YuNet, packaged_model, resizable
from cmaen.web.files import PAGE, read_page
from cmaen.web.settings import describe_page

_RUNTIME = {"ort.wasm.bundle.min.mjs": "ort.js", "ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm"}
"""What the page needs of onnxruntime-web, and the name it has there."""

_HEAD = '<meta charset="utf-8">'
_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "worker-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'"
)
"""Of the page, in the page: a server of files sends none."""

_NOTICE = """\
The code of this page: CMAEN, MIT licence.
model.onnx: CMAEN's weights, trained on FER2013, for research.
yunet.onnx: YuNet (Wu, Peng and Yu, 2023), from libfacedetection through OpenCV Zoo, MIT licence; made to take any size.
ort.js, ort-wasm-simd-threaded.wasm: onnxruntime-web, Microsoft, MIT licence.
example.jpg: Eileen Collins, NASA, public domain; the other examples are made of it.
"""


def write_site(output: Path, runtime: Path | None) -> list[Path]:
    """Write the page and all it needs into a folder, from which any web server of files can give it.

    Args:
        output: The folder; files of the same names in it are replaced.
        runtime: Folder with the files of the npm package onnxruntime-web, or its ``dist``.

    Returns:
        The files.

    Raises:
        ConfigError: The runtime is missing.
        DetectorError: YuNet's model is missing, or not the one it should be.
        CheckpointError: The shipped weights are damaged.
        OutputError: The folder cannot be written.
    """
    checkpoint = Checkpoint.open()
    copies = {f"page/{name}": PAGE / name for name in read_page()}
    index = copies.pop("page/index.html").read_text(encoding="utf-8")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    copies["page/model.onnx"] = checkpoint.weights("onnx")
    copies |= {f"page/{name}": path for name, path in _runtime_files(runtime).items()}
    YuNet()  # says so if its model is not the right one
    detector = resizable(packaged_model().read_bytes())
    config = describe_page(checkpoint.card, accuracies=checkpoint.accuracies)
    for name, source in copies.items():
        with replace_file(output / name) as temporary:
            shutil.copyfile(source, temporary)
    with replace_file(output / "page/yunet.onnx") as temporary:
        temporary.write_bytes(detector)
    write_text(output / "index.html", index.replace(_HEAD, f"{_HEAD}\n  {policy}"))
    write_text(output / "page/config.json", json.dumps(config, indent=2) + "\n")
    write_text(output / "page/NOTICE.txt", _NOTICE)
    return [output / name for name in (*copies, "index.html", "page/yunet.onnx", "page/config.json", "page/NOTICE.txt")]


def _runtime_files(runtime: Path | None) -> dict[str, Path]:
    """The files of onnxruntime-web by their names on the page."""
    advice = "npm pack onnxruntime-web && tar xzf onnxruntime-web-*.tgz, then --runtime package/dist"
    if runtime is None:
        raise ConfigError(f"the page needs onnxruntime-web to run the networks in a browser: {advice}")
    for folder in (runtime, runtime / "dist"):
        found = {new: folder / name for name, new in _RUNTIME.items()}
        if all(path.is_file() for path in found.values()):
            return found
    raise ConfigError(f"{runtime} does not hold {' and '.join(_RUNTIME)}: {advice}")
