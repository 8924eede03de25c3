"""Docstrings of the package as Markdown: numpydoc sections become lists.

The signatures hold the types, so that "name : text" is a name with its description.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

SECTIONS = ("Parameters", "Returns", "Yields", "Raises", "Attributes", "Notes", "References",
            "Examples", "See Also")  # fmt: skip
_HEAD = re.compile(rf"^({'|'.join(SECTIONS)})\n-{{3,}}\n", re.MULTILINE)
_EXAMPLE = re.compile(r"^(>>> .*(?:\n.*\S.*)*)", re.MULTILINE)
_ENTRY = re.compile(r"^([\w*., ]+?) ?: (.*)$")


def markdown(docstring: str) -> str:
    """Docstring with its sections as bold titles and lists, and its examples as listings."""
    first, *parts = _HEAD.split(_EXAMPLE.sub(r"```pycon\n\1\n```", docstring))
    text = [first.rstrip()]
    for title, body in zip(parts[::2], parts[1::2], strict=True):
        lists = title not in ("Notes", "References", "Examples")
        text += [f"**{title}**", entries(body) if lists else body.strip()]
    return "\n\n".join(text)


def entries(body: str) -> str:
    """Entries of a section as a list: heads at the margin, their text indented."""
    lines: list[str] = []
    for line in body.strip().splitlines():
        if not line.strip():
            lines.append("")
        elif line.startswith(" ") and lines:
            lines.append("    " + line.strip())
        elif found := _ENTRY.match(line):
            names = ", ".join(f"`{name.strip()}`" for name in found[1].split(","))
            lines.append(f"- {names}: {found[2]}")
        else:
            lines.append(f"- {line}" if not lines or not lines[-1] or _is_head(line) else line)
    return "\n".join(lines)


def _is_head(line: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z]\w*(, [A-Za-z]\w*)*", line))


class Numpydoc(griffe.Extension):
    """Rewrites every docstring of a package once all of it is loaded."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Replace the docstrings of a package's objects by their Markdown."""
        rewrite(pkg)


def rewrite(obj: griffe.Object) -> None:
    """Replace the docstrings of an object and its members."""
    if obj.docstring:
        obj.docstring.value = markdown(obj.docstring.value)
    for member in obj.members.values():
        if not member.is_alias:
            rewrite(member)
