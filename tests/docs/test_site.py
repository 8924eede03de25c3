"""The site builds strictly, and its pages load nothing from elsewhere."""

import os
import re
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT

pytest.importorskip("mkdocs")
pytest.importorskip("mkdocstrings")
pytest.importorskip("latex2mathml")

LOADED = re.compile(
    r'<(?:script|img|iframe)[^>]*\ssrc="(?:https?:)?//[^"]*"'
    r'|<link[^>]*rel="(?:stylesheet|preconnect|icon)"[^>]*href="(?:https?:)?//[^"]*"'
)


def build(folder, config):
    """Build the site into a folder; the process with its output."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", config, "-d", folder],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip


def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path):
    done = build(tmp_path / "site", ROOT / "mkdocs.yml")
    assert done.returncode == 0, done.stderr[-3000:]
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        found = LOADED.search(page.read_text())
        assert not found, f"{page.name}: {found[0]}"
    theory = (tmp_path / "site" / "explanation" / "theory.html").read_text()
    assert theory.count("<math") > 100 and "arithmatex" not in theory
