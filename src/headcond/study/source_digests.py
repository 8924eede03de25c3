"""Digests of the code behind a step: Snakemake sees an edit of a script, not of what it imports."""

from __future__ import annotations

import ast
import functools
import hashlib
from pathlib import Path


@functools.cache
def reached(path: Path, root: Path) -> frozenset[Path]:
    """Files that a Python file uses directly.

    Those are modules of the package in the folder `root` that it imports, and data files next
    to it that it names by `with_name("...")`.
    """
    files = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
        elif isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "with_name":
            texts = [each.value for each in node.args if isinstance(each, ast.Constant)]
            files |= {path.with_name(text) for text in texts}
        for name in names:
            stem = root.joinpath(*name.split("."))
            files |= {stem.with_suffix(".py"), stem / "__init__.py"}
    return frozenset(file for file in files if file.exists())


@functools.cache
def source_digest(checkout: Path, script: str) -> str:
    """Digest of a script and of all package files that it reaches through imports.

    Parameters
    ----------
    checkout : folder with `scripts` and `src`.
    script : "stage/name.py" in `scripts`.
    """
    waiting, seen = [checkout / "scripts" / script], set()
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting.extend(reached(path, checkout / "src") if path.suffix == ".py" else ())
    digest = hashlib.sha256()
    for path in sorted(seen):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]
