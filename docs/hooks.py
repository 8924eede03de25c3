"""What mkdocs does on top of its plugins: the home page, the Python pages, equations.

- The home page is README.md, whose links lead into docs/.
- Every package has a page of its modules for mkdocstrings.
- Links to files of the repository outside docs/ become plain text, if the file exists.
- Equations become MathML, so that no script is needed to show them.
"""

from __future__ import annotations

import html
import logging
import posixpath
import re
from pathlib import Path
from typing import Any

import latex2mathml.converter
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "headcond"
_log = logging.getLogger("mkdocs.hooks")
NO_PAGE = ("figures", "reporting")
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_EQUATION = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]\s*</\1>', re.DOTALL)


def packages() -> list[Path]:
    """Folders of the packages that have a page: the science, files and study."""
    folders = sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))
    return [PACKAGE, *(folder for folder in folders if folder.name not in NO_PAGE)]


def on_config(config: Any) -> Any:
    """List the packages under Reference, Python."""
    pages = [{_name(folder): f"reference/python/{folder.name}.md"} for folder in packages()]
    for section in config["nav"]:
        for entry in section.get("Reference", []):
            if "Python" in entry:
                entry["Python"] = pages
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are not files of docs/."""
    readme = (ROOT / "README.md").read_text().replace("](docs/", "](")
    files.append(File.generated(config, "index.md", content=readme))
    for folder in packages():
        path = f"reference/python/{folder.name}.md"
        files.append(File.generated(config, path, content=python_page(folder)))
    return files


def _name(folder: Path) -> str:
    return "headcond" if folder == PACKAGE else f"headcond.{folder.name}"


def python_page(folder: Path) -> str:
    """Page of a package: its own docstring, then its public modules."""
    package = _name(folder)
    modules = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    lines = [f"# {package}", f"::: {package}\n    options:\n      members: []\n      "
             "show_root_heading: false\n      show_root_toc_entry: false"]  # fmt: skip
    return "\n\n".join([*lines, *(f"::: {package}.{module}" for module in modules)]) + "\n"


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn links to files outside docs/ into plain text."""
    home = page.file.src_uri == "index.md"
    folder = posixpath.dirname(page.file.src_uri)

    def plain(match: re.Match) -> str:
        text, target = match[1], match[2]
        if re.match(r"[a-z]+:", target):
            return match[0]
        if home and files.get_file_from_path(target) is None:
            return text if (ROOT / target).exists() else match[0]
        path = posixpath.normpath(posixpath.join("docs", folder, target))
        outside = not path.startswith("docs/")
        return text if outside and (ROOT / path).exists() else match[0]

    return _LINK.sub(plain, markdown)


def on_page_content(content: str, page: Any, config: Any, files: Any) -> str:
    """Turn equations into MathML."""

    def convert(match: re.Match) -> str:
        display = "block" if match[1] == "div" else "inline"
        math = latex2mathml.converter.convert(html.unescape(match[2]).strip(), display=display)
        if left := re.search(r"\\[A-Za-z]+", math):
            _log.warning("%s: the equation's %s has no MathML.", page.file.src_uri, left[0])
        return math

    return _EQUATION.sub(convert, content)
