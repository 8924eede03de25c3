"""The conda environment of a rule holds all that its script imports when it starts."""

import ast
import functools
import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
# Import names that differ from conda-forge's.
NAMES = {
    "pytorch": "torch", "pytorch-lightning": "pytorch_lightning", "scikit-image": "skimage",
    "simpleitk": "SimpleITK", "pyyaml": "yaml", "lazy-loader": "lazy_loader",
}  # fmt: skip
WITH = {"numba": {"llvmlite"}}  # what a package never comes without


def environment(path):
    """Import names of the packages that an environment file lists."""
    entries = yaml.safe_load(path.read_text())["dependencies"]
    listed = {re.split(r"[ =<>]", entry)[0] for entry in entries if isinstance(entry, str)}
    return {NAMES.get(name, name) for name in listed}.union(*(WITH.get(n, ()) for n in listed))


def modules(path):
    """Names that the statements at the top of a file import; those in functions may be absent."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)


@functools.cache
def third_party(path):
    """Packages, by import name, that a file needs to be imported, and by which of ours."""
    found, waiting, seen = {}, [path], set()
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        for name in modules(file):
            top, *parts = name.split(".")
            if top != "headcond":
                if top not in sys.stdlib_module_names:
                    found.setdefault(top, file.relative_to(ROOT))
                continue
            # Python runs the __init__ of every package on the way.
            for depth in range(len(parts) + 1):
                stem = (ROOT / "src" / "headcond").joinpath(*parts[:depth])
                files = (stem.with_suffix(".py"), stem / "__init__.py")
                waiting += [each for each in files if each.exists()]
    return found


def rules():
    """Script and environment of every rule, by its name."""
    found = {}
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        text = path.read_text()
        for name, body in re.findall(r"(?ms)^ *rule (\w+):\n(.*?)(?=^ *rule |\Z)", text):
            script = re.search(r"scripts/(\w+/\w+\.py)", body)[1]
            group = re.search(r"envs/(\w+)\.yaml", body)[1]
            found[name] = ROOT / "scripts" / script, ROOT / "envs" / f"{group}.yaml"
    return found


@pytest.mark.parametrize("rule", rules())
def test_a_rules_environment_holds_what_its_script_imports(rule):
    script, conda = rules()[rule]
    needed = third_party(script)
    missing = {name: str(by) for name, by in needed.items() if name not in environment(conda)}
    assert not missing, f"{conda.name} lacks what {script.name} imports: {missing}"


def test_the_imports_of_a_script_are_followed():
    needed = third_party(ROOT / "scripts" / "tms" / "draw_efield.py")
    assert {"numpy", "matplotlib", "skimage"} <= set(needed)
    assert "matplotlib" not in third_party(ROOT / "scripts" / "tms" / "solve_efield.py")
