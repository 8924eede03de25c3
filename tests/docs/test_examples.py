"""The Python examples of the pages run as they are printed."""

import ast
import importlib

import pytest

from tests.docs.pages import PAGES, blocks

EXAMPLES = [page for page in PAGES if blocks(page)]


@pytest.mark.parametrize("page", EXAMPLES, ids=str)
def test_the_blocks_of_a_page_run_in_turn(page, tmp_path, monkeypatch):
    """One namespace and one empty folder for a page; blocks under a remark are only imported."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "example"}
    for remark, code in blocks(page):
        if remark:
            imported(code)
        else:
            exec(compile(code, str(page), "exec"), names)


def imported(code):
    """Names that a block imports from the package exist."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")


def test_examples_are_as_short_as_the_page_promises():
    """Conductivity to field in ten lines, operators to estimate in fifteen, imports aside."""
    found = [code for _, code in blocks("docs/how-to/python.md")]
    lengths = {}
    for name in ("solve_efield(", "estimate(model"):
        code = next(code for code in found if name in code)
        statements = [
            node for node in ast.parse(code).body
            if not isinstance(node, ast.Import | ast.ImportFrom)
        ]  # fmt: skip
        lengths[name] = sum(node.end_lineno - node.lineno + 1 for node in statements)
    assert lengths["solve_efield("] <= 10 and lengths["estimate(model"] <= 15, lengths
