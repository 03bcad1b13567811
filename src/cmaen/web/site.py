"""The page without a server: a folder of files with which the visitor's browser runs the networks itself."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cmaen.checkpoints import SHIPPED, SMALL, Checkpoint
from cmaen.errors import ConfigError
from cmaen.files import replace_file
from cmaen.inference.detectors.yunet import YuNet, packaged_model, resizable
from cmaen.web.compression import SUFFIXES, compress
from cmaen.web.files import read_page
from cmaen.web.notice import NOTICE, check_notice
from cmaen.web.offline import ICONS, digest, draw_icon, write_manifest, write_worker
from cmaen.web.settings import Download, describe_page

_RUNTIME = {"ort.wasm.bundle.min.mjs": "ort.js", "ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm"}
"""Files of onnxruntime-web that the page needs, and their names on the page."""

_MODELS = {"model.onnx": SHIPPED, "small.onnx": SMALL}
"""Files of the networks, and their names: the first is for computers, the second for phones."""

_SHARED = ("yunet.onnx", "ort-wasm-simd-threaded.wasm")
"""The other large files; the page shows the progress of these downloads."""

_HEAD = '<meta charset="utf-8">'
_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "worker-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'"
)
"""Content security policy in the page itself, since a server of static files sends none."""

_ADDED = f"""{_HEAD}
  <meta http-equiv="Content-Security-Policy" content="{_POLICY}">
  <link rel="manifest" href="manifest.webmanifest">
  <link rel="apple-touch-icon" href="page/icon-{ICONS[0]}.png">"""

_NOTICE = """\
The code of this page: CMAEN, MIT licence.
model.onnx, small.onnx: CMAEN's weights, trained on FER2013, for research.
yunet.onnx: YuNet (Wu, Peng and Yu, 2023), from libfacedetection through OpenCV Zoo, MIT licence; made to take any size.
ort.js, ort-wasm-simd-threaded.wasm: onnxruntime-web, Microsoft, MIT licence.
example.jpg: Eileen Collins, NASA, public domain; the other examples are made from it.
"""


@dataclass(frozen=True, slots=True)
class Site:
    """The files that were written.

    Attributes:
        files: Files of the page.
        copies: Compressed copies, each beside its file.
    """

    files: tuple[Path, ...]
    copies: tuple[Path, ...]

    @property
    def bytes(self) -> int:
        """The total size of the files, in bytes."""
        return sum(path.stat().st_size for path in self.files)

    def count_compressed(self, suffix: str = ".gz") -> int:
        """Count the bytes that a server sends if it uses the copies with this suffix."""
        smaller = {
            path.with_name(path.name.removesuffix(suffix)): path for path in self.copies if path.suffix == suffix
        }
        return sum(smaller.get(path, path).stat().st_size for path in self.files)


def write_site(output: Path, runtime: Path | None, notice: str = NOTICE) -> Site:
    """Write the page and everything it needs into a folder that any static web server can serve.

    Each file that becomes smaller gets a compressed copy beside it: ``.gz`` always, and ``.br`` if the package
    ``brotli`` is installed. Old copies are deleted.

    Args:
        output: Output folder; files of the same names in it are replaced.
        runtime: Folder of the npm package onnxruntime-web, or its ``dist``.
        notice: Text on the page that says that emotions are inferred here; one line.

    Raises:
        ConfigError: The runtime is missing, the network was trained on enhanced faces, or the notice cannot be shown.
        DetectorError: YuNet's model is missing or is not the expected one.
        CheckpointError: The shipped weights are damaged.
        OutputError: The folder cannot be written.
    """
    contents = _collect(runtime, check_notice(notice))
    files: list[Path] = []
    copies: list[Path] = []
    for name, content in contents.items():
        files.append(_write(output / name, content))
        written = {suffix: _write(Path(f"{output / name}{suffix}"), copy) for suffix, copy in compress(content)}
        copies += written.values()
        for suffix in SUFFIXES:
            if suffix not in written:
                with suppress(FileNotFoundError):  # a copy of older content
                    Path(f"{output / name}{suffix}").unlink()
    return Site(tuple(files), tuple(copies))


def _collect(runtime: Path | None, notice: str) -> dict[str, bytes]:
    """Collect all files of the page by their paths; the one that lists the others comes last."""
    models = {file: Checkpoint.open(name) for file, name in _MODELS.items()}
    for checkpoint in models.values():
        if checkpoint.card.enhancement:
            raise ConfigError(
                f"{checkpoint.card.name} was trained on enhanced faces, which the page cannot make in a browser: use "
                "cmaen serve, where this machine enhances them"
            )
    contents = {f"page/{name}": file.content for name, file in read_page().items()}
    index = contents.pop("page/index.html").decode()
    worker = contents.pop("page/offline.js").decode()
    contents |= {f"page/{file}": checkpoint.weights("onnx").read_bytes() for file, checkpoint in models.items()}
    contents |= {f"page/{name}": path.read_bytes() for name, path in _runtime_files(runtime).items()}
    YuNet()  # raises if its model is not the right one
    contents["page/yunet.onnx"] = resizable(packaged_model().read_bytes())
    networks = {name: contents[f"page/{name}"] for name in (*models, *_SHARED)}
    downloads = {name: Download(bytes=len(content), sha256=digest(content)) for name, content in networks.items()}
    config, small = (
        describe_page(
            checkpoint.card,
            accuracies=checkpoint.accuracies,
            notice=notice,
            weights=file,
            downloads={name: downloads[name] for name in (file, *_SHARED)},
        )
        for file, checkpoint in models.items()
    )
    config["small"] = {key: value for key, value in small.items() if value != config[key]}
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
    """Find the files of onnxruntime-web, by their names on the page."""
    advice = "npm pack onnxruntime-web && tar xzf onnxruntime-web-*.tgz, then --runtime package/dist"
    if runtime is None:
        raise ConfigError(f"the page needs onnxruntime-web to run the networks in a browser: {advice}")
    for folder in (runtime, runtime / "dist"):
        found = {new: folder / name for name, new in _RUNTIME.items()}
        if all(path.is_file() for path in found.values()):
            return found
    raise ConfigError(f"{runtime} does not hold {' and '.join(_RUNTIME)}: {advice}")
