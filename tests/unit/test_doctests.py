"""The examples in the docstrings of all modules run and give what they say."""

import ast
import doctest
from importlib import import_module
from pathlib import Path

import pytest

import headcond

ROOT = Path(headcond.__file__).parent


WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(ROOT.rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_a_module_hold(name):
    failed, tried = doctest.testmod(import_module(name))
    assert tried > 0 and failed == 0


def test_public_names_are_what_their_modules_and_the_type_stub_say():
    assert "headcond" in WITH_EXAMPLES
    assert set(headcond.__all__) <= set(dir(headcond))
    for name in headcond.__all__:
        assert callable(getattr(headcond, name)), name
    stub = {}
    for node in ast.parse((ROOT / "__init__.pyi").read_text()).body:
        if isinstance(node, ast.ImportFrom):
            stub |= {entry.asname or entry.name: (node.module, entry.name) for entry in node.names}
    assert set(stub) == set(headcond.__all__)
    for name, (module, there) in stub.items():
        assert getattr(import_module(f"headcond.{module}"), there) is getattr(headcond, name), name
    with pytest.raises(AttributeError, match="headcond attribute solve_field"):
        headcond.solve_field  # noqa: B018
