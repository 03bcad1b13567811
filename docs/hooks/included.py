"""Files of the site that are kept elsewhere in the repository, and a place for a page that is still being written."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

INCLUDED = {
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "model_card.md": "src/cmaen/weights/cmaen-m/README.md",
    "model_card_small.md": "src/cmaen/weights/cmaen-s/README.md",
}
"""Pages by their place on the site, and the files that they are made of."""

COPIED = {"assets/icon.svg": "src/cmaen/web/page/icon.svg"}
"""Other files of the site, and where they are kept."""

TO_COME = {
    "data_sets.md": "# Data sets\n\nHow a data set may be laid out is described under"
    " [Your own labels](own_faces.md#what-the-data-may-look-like).\n",
}
"""Pages that the site has until a file of that name is there."""

LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files to the site."""
    root = Path(config.config_file_path).parent
    for page, source in INCLUDED.items():
        text = (root / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=rewrite_links(text, posixpath.dirname(source), root)))
    for name, source in COPIED.items():
        files.append(File.generated(config, name, abs_src_path=str(root / source)))
    for page, text in TO_COME.items():
        if files.get_file_from_path(page) is None:
            files.append(File.generated(config, page, content=text))
    return files


def rewrite_links(text: str, folder: str, root: Path) -> str:
    """Rewrite the links of a file of the repository for a page at the top of the site.

    A link to a page of the documentation becomes one to that page; a link to any other file becomes its path, since the
    site has no copy of it.

    Args:
        text: Markdown.
        folder: Folder of the file, relative to the repository.
        root: Folder of the repository.
    """
    pages = {source: page for page, source in INCLUDED.items()}

    def rewrite(link: re.Match[str]) -> str:
        label, target, anchor = link[1], link[2], link[3] or ""
        if not target or re.match(r"[a-z]+:", target):
            return link[0]
        path = posixpath.normpath(posixpath.join(folder, target))
        if path in pages:
            return f"[{label}]({pages[path]}{anchor})"
        if path.startswith("docs/"):
            inner = path.removeprefix("docs/")
            return f"[{label}]({inner}/index.md{anchor})" if (root / path).is_dir() else f"[{label}]({inner}{anchor})"
        return label if label.strip("`") == path else f"{label} (`{path}`)"

    return LINK.sub(rewrite, text)
