"""The page without a server: a folder of files with which the visitor's browser runs the networks itself."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cmaen.checkpoints import Checkpoint
from cmaen.errors import ConfigError
from cmaen.files import replace_file
from cmaen.inference.detectors.yunet import YuNet, packaged_model, resizable
from cmaen.web.compression import SUFFIXES, compress
from cmaen.web.files import read_page
from cmaen.web.offline import ICONS, digest, draw_icon, write_manifest, write_worker
from cmaen.web.settings import Download, describe_page

_RUNTIME = {"ort.wasm.bundle.min.mjs": "ort.js", "ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm"}
"""What the page needs of onnxruntime-web, and the name it has there."""

_NETWORKS = ("model.onnx", "yunet.onnx", "ort-wasm-simd-threaded.wasm")
"""The large files, of which the page tells how much is there."""

_HEAD = '<meta charset="utf-8">'
_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "worker-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'"
)
"""Of the page, in the page: a server of files sends none."""

_ADDED = f"""{_HEAD}
  <meta http-equiv="Content-Security-Policy" content="{_POLICY}">
  <link rel="manifest" href="manifest.webmanifest">
  <link rel="apple-touch-icon" href="page/icon-{ICONS[0]}.png">"""

_NOTICE = """\
The code of this page: CMAEN, MIT licence.
model.onnx: CMAEN's weights, trained on FER2013, for research.
yunet.onnx: YuNet (Wu, Peng and Yu, 2023), from libfacedetection through OpenCV Zoo, MIT licence; made to take any size.
ort.js, ort-wasm-simd-threaded.wasm: onnxruntime-web, Microsoft, MIT licence.
example.jpg: Eileen Collins, NASA, public domain; the other examples are made of it.
"""


@dataclass(frozen=True, slots=True)
class Site:
    """What was written.

    Attributes:
        files: Those of the page.
        copies: Compressed copies of them, each beside its file.
    """

    files: tuple[Path, ...]
    copies: tuple[Path, ...]

    @property
    def bytes(self) -> int:
        """Of the files."""
        return sum(path.stat().st_size for path in self.files)

    def count_compressed(self, suffix: str = ".gz") -> int:
        """Bytes of the files as a server sends them that gives their copies of this suffix."""
        smaller = {
            path.with_name(path.name.removesuffix(suffix)): path for path in self.copies if path.suffix == suffix
        }
        return sum(smaller.get(path, path).stat().st_size for path in self.files)


def write_site(output: Path, runtime: Path | None) -> Site:
    """Write the page and all it needs into a folder, from which any web server of files can give it.

    Beside each file that becomes smaller lies its compressed copy, ``.gz`` always and ``.br`` where the package
    ``brotli`` is installed; old copies go away.

    Args:
        output: The folder; files of the same names in it are replaced.
        runtime: Folder with the files of the npm package onnxruntime-web, or its ``dist``.

    Raises:
        ConfigError: The runtime is missing.
        DetectorError: YuNet's model is missing, or not the one it should be.
        CheckpointError: The shipped weights are damaged.
        OutputError: The folder cannot be written.
    """
    contents = _collect(runtime)
    files: list[Path] = []
    copies: list[Path] = []
    for name, content in contents.items():
        files.append(_write(output / name, content))
        written = {suffix: _write(Path(f"{output / name}{suffix}"), copy) for suffix, copy in compress(content)}
        copies += written.values()
        for suffix in SUFFIXES:
            if suffix not in written:
                with suppress(FileNotFoundError):  # of another content
                    Path(f"{output / name}{suffix}").unlink()
    return Site(tuple(files), tuple(copies))


def _collect(runtime: Path | None) -> dict[str, bytes]:
    """All files of the page by their paths, the one that names the others last."""
    checkpoint = Checkpoint.open()
    contents = {f"page/{name}": file.content for name, file in read_page().items()}
    index = contents.pop("page/index.html").decode()
    worker = contents.pop("page/offline.js").decode()
    contents["page/model.onnx"] = checkpoint.weights("onnx").read_bytes()
    contents |= {f"page/{name}": path.read_bytes() for name, path in _runtime_files(runtime).items()}
    YuNet()  # says so if its model is not the right one
    contents["page/yunet.onnx"] = resizable(packaged_model().read_bytes())
    networks = {name: contents[f"page/{name}"] for name in _NETWORKS}
    downloads = {name: Download(bytes=len(content), sha256=digest(content)) for name, content in networks.items()}
    config = describe_page(checkpoint.card, accuracies=checkpoint.accuracies, downloads=downloads)
    contents["page/config.json"] = f"{json.dumps(config, indent=2)}\n".encode()
    contents |= {f"page/icon-{side}.png": draw_icon(side) for side in ICONS}
    contents["page/NOTICE.txt"] = _NOTICE.encode()
    contents["manifest.webmanifest"] = write_manifest().encode()
    contents["index.html"] = index.replace(_HEAD, _ADDED).encode()
    large = {f"page/{name}": content for name, content in networks.items()}
    own = {name: content for name, content in contents.items() if name not in large}
    contents["sw.js"] = write_worker(worker, own, large).encode()
    return contents


def _write(path: Path, content: bytes) -> Path:
    with replace_file(path) as temporary:
        temporary.write_bytes(content)
    return path


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
