"""Pages of the docs, their Python blocks and their prose."""

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    path.relative_to(ROOT)
    for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/**/*.md"))]
]


def _load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = _load(ROOT / "docs" / "generate.py")


def blocks(page):
    """(remark, code) of a page's Python blocks; the remark is the comment above, or empty."""
    text = (ROOT / page).read_text()
    return re.findall(r"(?:<!-- ([^>]*) -->\n\n)?```python\n(.*?)```", text, re.DOTALL)


def prose(page):
    """Text of a page without listings, tables, pictures, equations and comments."""
    text = (ROOT / page).read_text()
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    kept = [line for line in text.splitlines() if not line.startswith(("|", "    ", "!["))]
    return "\n".join(kept)
