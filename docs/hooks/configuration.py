"""The reference of a run's configuration, read from the specs without importing them: they need PyTorch."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAGE = "configuration.md"
SECTIONS = {
    "": ("training/config.py", "Config", "The run"),
    "data": ("training/data.py", "DataSpec", "Data"),
    "preprocess": ("preprocessing.py", "PreprocessSpec", "Preprocessing"),
    "model": ("models/spec.py", "ModelSpec", "The network"),
    "loss": ("losses.py", "LossSpec", "Loss"),
    "distillation": ("training/distillation.py", "DistillationSpec", "Teachers"),
    "optimiser": ("training/optimisation.py", "OptimiserSpec", "Optimiser"),
    "augment": ("data/augmentation.py", "AugmentSpec", "Augmentation"),
    "training": ("training/loop.py", "LoopSpec", "The loop"),
}
"""Sections of a configuration: the module and the class of each, and its heading."""

BOUNDS = {"ge": "at least {}", "gt": "above {}", "le": "at most {}", "lt": "below {}"}
HEAD = """\
# Configuration

A run of `cmaen train` is one YAML file; whatever it leaves out has the value given here. `--set KEY=VALUE` changes a
key on the command line, such as `--set model.attention=none`. All mistakes are reported together, before data are read.
"""


class Key(NamedTuple):
    """A key of a configuration.

    Attributes:
        name: Dotted name.
        default: Default as in YAML; empty if a value is required.
        text: What it means.
    """

    name: str
    default: str
    text: str


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page to the site."""
    sources = Path(config.config_file_path).parent / "src" / "cmaen"
    files.append(File.generated(config, PAGE, content=describe_configuration(sources)))
    return files


def describe_configuration(sources: Path) -> str:
    """Describe all keys as Markdown.

    Args:
        sources: Folder of the package.
    """
    parts = [HEAD]
    for section, (_, _, heading) in SECTIONS.items():
        rows = (
            f"| `{key.name}` | {key.default and f'`{key.default}`'} | {key.text} |"
            for key in list_keys(sources, section)
        )
        parts.append("\n".join([f"## {heading}\n", "| key | default | what it is |", "|---|---|---|", *rows, ""]))
    return "\n".join(parts)


def list_keys(sources: Path, section: str) -> list[Key]:
    """List the keys of a section, without those that are sections themselves.

    Raises:
        ValueError: The module has no such class, or a key is not described.
    """
    module, name, _ = SECTIONS[section]
    tree = ast.parse((sources / module).read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name]
    if not found:
        raise ValueError(f"{module} has no class {name}")
    constants = _read_constants(tree, sources)
    keys = list(_read_keys(found[0], f"{section}." if section else "", constants))
    if undescribed := [key.name for key in keys if not key.text]:
        raise ValueError(f"{module} does not describe {', '.join(undescribed)}")
    return keys


def _read_constants(tree: ast.Module, sources: Path, *, deep: bool = True) -> dict[str, ast.expr]:
    """Read the constants of a module, and those that it imports from other modules of the package."""
    constants: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and deep and (node.module or "").startswith("cmaen."):
            file = sources.joinpath(*node.module.split(".")[1:]).with_suffix(".py")
            if file.is_file():
                theirs = _read_constants(ast.parse(file.read_text(encoding="utf-8")), sources, deep=False)
                names = {one.name: one.asname or one.name for one in node.names}
                constants |= {names[name]: value for name, value in theirs.items() if name in names}
        elif isinstance(node, ast.Assign):
            constants |= {one.id: node.value for one in node.targets if isinstance(one, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            constants[node.target.id] = node.value
    return constants


def _read_keys(spec: ast.ClassDef, prefix: str, constants: dict[str, ast.expr]) -> Iterator[Key]:
    entries = _read_attributes(ast.get_docstring(spec) or "")
    for node in spec.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        name, value, bounds, text = node.target.id, node.value, [], entries.get(node.target.id, "")
        if isinstance(value, ast.Call) and ast.unparse(value.func) == "Field":
            given = {one.arg: one.value for one in value.keywords}
            text = ast.literal_eval(given["description"]) if "description" in given else ""
            bounds = [words.format(ast.unparse(given[bound])) for bound, words in BOUNDS.items() if bound in given]
            value = value.args[0] if value.args else given.get("default")
        elif isinstance(value, ast.Call) and ast.unparse(value.func) in {name for _, name, _ in SECTIONS.values()}:
            continue
        if isinstance(value, ast.Name):
            value = constants.get(value.id, value)
        yield Key(prefix + name, "" if value is None else _as_yaml(value), _join(text, bounds))


def _read_attributes(docstring: str) -> dict[str, str]:
    """Read the section Attributes of a docstring; an entry may describe several."""
    section = docstring.partition("Attributes:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^    ([\w, ]+): (.*(?:\n     .*)*)", section, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text) for names, text in entries for name in names.split(", ")}


def _as_yaml(value: ast.expr) -> str:
    """Write a default as in YAML."""
    if isinstance(value, ast.Call) and len(value.args) == 1:
        return _as_yaml(value.args[0])  # Path("runs/cmaen")
    if isinstance(value, ast.Tuple):
        return f"[{', '.join(map(_as_yaml, value.elts))}]"
    if isinstance(value, ast.Constant):
        return json.dumps(value.value) if not value.value or value.value is True else str(value.value)
    return ast.unparse(value)


def _join(text: str, bounds: list[str]) -> str:
    """Join a description and its bounds into the cell of a table."""
    text = text.replace("``", "`").replace("|", r"\|").strip()
    return f"{text} ({', '.join(bounds)})" if bounds else text
