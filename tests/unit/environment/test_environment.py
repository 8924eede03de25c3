"""Environments agree with each other, and the packages in them are really used."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
import scipy.sparse as sparse
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import headcond
from headcond.fem.solvers import make_solver
from headcond.files import results
from headcond.parallel import world
from headcond.study.paths import REPOSITORY
from headcond.tms.coil import Coil
from headcond.tms.spfd import solve_efield

ROOT = REPOSITORY
# Names on conda-forge that differ from PyPI's.
CONDA_NAMES = {"pytorch": "torch"}
# What conda installs beside the list: Python itself, and what pip builds from PyPI's sources.
CONDA_ONLY = {"python", "petsc", "petsc4py"}
BUILT_ON = {
    "snakemake", "numpy", "scipy", "pytorch-lightning", "torch", "nibabel", "pyamg", "mpi4py",
}  # fmt: skip


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements():
    """Requirement by canonical name: the core, the extras but the GPL one, and the build's."""
    lines = [line.split("#")[0].strip() for line in (ROOT / "requirements.in").open()]
    lines += PROJECT["dependencies"]
    for name, extra in PROJECT["optional-dependencies"].items():
        lines += extra if name != "cgal" else []
    listed = [Requirement(line) for line in lines if line and not line.startswith("headcond[")]
    assert len({canonicalize_name(entry.name) for entry in listed}) == len(listed), "listed twice"
    return {canonicalize_name(entry.name): entry for entry in listed}


def lock():
    """Locked version by canonical name."""
    found = {}
    for line in (ROOT / "requirements.lock").open():
        line = line.split("#")[0].strip()
        if line:
            name, version = re.fullmatch(r"([A-Za-z0-9._-]+)==(\S+)", line).groups()
            assert canonicalize_name(name) not in found, f"{name} is locked twice"
            found[canonicalize_name(name)] = version
    return found


def conda(path):
    """Pins of an environment file by PyPI's canonical name; conda's =2.4 is PyPI's ==2.4.*."""
    found = {}
    for entry in yaml.safe_load(path.read_text())["dependencies"]:
        name, _, pin = entry.partition(" ")
        pin = re.sub(r"^=(?!=)(.+)$", r"==\1.*", pin)
        found[canonicalize_name(CONDA_NAMES.get(name, name))] = SpecifierSet(pin)
    return found


ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))


def test_the_lock_satisfies_the_list():
    locked, listed = lock(), requirements()
    assert set(listed) >= BUILT_ON
    for name, entry in listed.items():
        assert name in locked, f"{name} is not locked: make lock"
        assert Version(locked[name]) in entry.specifier, f"{entry}, but {locked[name]} is locked"


def test_the_lock_serves_every_build_of_torch():
    locked = lock()
    assert Version(locked["torch"]).local is None, "the lock holds one build of torch"
    assert not [name for name in locked if name.startswith(("nvidia", "triton", "cuda"))]
    assert Version(locked["torch"]) in requirements()["torch"].specifier


def test_snakemake_and_its_executor_are_held_together():
    listed = requirements()
    for name in ("snakemake", "snakemake-executor-plugin-slurm"):
        (pin,) = listed[name].specifier
        assert pin.operator == "==" and lock()[name] == pin.version
    wanted = re.search(r'min_version\("([\d.]+)"\)', (ROOT / "Snakefile").read_text())[1]
    assert Version(lock()["snakemake"]) >= Version(wanted)


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_conda_environments_are_pinned_to_the_series_of_the_lock(path):
    listed, locked = requirements(), lock()
    content = yaml.safe_load(path.read_text())
    assert content["channels"] == ["conda-forge", "nodefaults"]
    for name, pin in conda(path).items():
        (part,) = pin
        assert part.operator == "==", f"{name} has no pin"
        if name in CONDA_ONLY:
            continue
        assert name in listed, f"{name} is not in pyproject.toml"
        assert Version(locked[name]) in pin, f"{name} {pin}, but {locked[name]} is locked"
        exact = part.version == locked[name]
        assert exact == name.startswith("snakemake"), f"{name}: {pin}"


def test_conda_is_pinned_to_the_python_of_the_lock_and_the_petsc_that_is_built():
    pins = conda(ROOT / "envs" / "fem.yaml")
    script = (ROOT / "envs" / "build_petsc.sh").read_text()
    version = Version(re.search(r"(?m)^petsc_version=([\d.]+)", script)[1])
    assert version in pins["petsc"] and version in pins["petsc4py"]
    oldest = SpecifierSet(PROJECT["requires-python"])
    (python,) = {str(conda(path)["python"]) for path in ENVIRONMENTS}
    assert python == "==3.11.*" and "3.11" in oldest


def test_pins_follow_the_lock(tmp_path):
    spec = importlib.util.spec_from_file_location("pin_conda", ROOT / "envs" / "pin_conda.py")
    pin_conda = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pin_conda)
    known = pin_conda.versions()
    for path in ENVIRONMENTS:
        assert pin_conda.pinned(path.read_text(), known) == path.read_text(), "make lock"
    text = "# numpy\n  - numpy >=2,<3\n  - pytorch =1.0\n  - snakemake ==9.0.0\n"
    changed = {"numpy": "2.5.1", "pytorch": "3.1.0", "snakemake": "9.9.9"}
    expected = "# numpy\n  - numpy =2.5\n  - pytorch =3.1\n  - snakemake ==9.0.0\n"
    assert pin_conda.pinned(text, changed) == expected
    with pytest.raises(SystemExit, match="numpy is not locked"):
        pin_conda.pinned(text, {})


def test_rules_name_environments_that_exist_and_hold_what_is_used():
    named = set()
    for rules in (ROOT / "workflow" / "rules").glob("*.smk"):
        named |= set(re.findall(r'"\.\./\.\./envs/(\w+\.yaml)"', rules.read_text()))
    assert named == {path.name for path in ENVIRONMENTS} - {"snakemake.yaml"}
    assert {"torch", "pytorch-lightning"} <= set(conda(ROOT / "envs" / "condnet.yaml"))
    assert {"petsc4py", "mpi4py", "pyamg"} <= set(conda(ROOT / "envs" / "fem.yaml"))


# Each package headcond is built on, where it does its work.

# Rules per file.
RULES = {
    "cohort": 4, "mri": 8, "condnet": 20, "tms": 11, "head": 5, "forward": 3, "rom": 6,
    "inverse": 5, "experiments": 11, "report": 1,
}  # fmt: skip


class ReachedError(Exception):
    """Raised in the place of a package's own work."""


def reached(*arguments, **options):
    raise ReachedError


def ring(n=40):
    """Laplacian of a ring of n nodes."""
    off = sparse.coo_matrix((np.ones(n), (np.arange(n), np.roll(np.arange(n), 1))), (n, n))
    off = (off + off.T).tocsr()
    return (sparse.diags(np.asarray(off.sum(axis=1)).ravel()) - off).tocsr()


def poles(n=40):
    load = np.zeros(n)
    load[0], load[n // 2] = 1.0, -1.0
    return load


def test_volumes_are_read_and_written_by_nibabel(tmp_path, monkeypatch):
    path = tmp_path / "map.nii.gz"
    results.write_volume(path, np.ones((2, 3, 4), np.float32), np.eye(4))
    assert isinstance(nibabel.load(path), nibabel.Nifti1Image)
    for name, call in (
        ("load", lambda: results.read_volume(path)),
        ("save", lambda: results.write_volume(path, np.ones((2, 3, 4)), np.eye(4))),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(nibabel, name, reached)
            with pytest.raises(ReachedError):
                call()


def test_numpy_and_scipy_carry_the_forward_problem(monkeypatch):
    from scipy.sparse import linalg

    with monkeypatch.context() as patch:
        patch.setattr(linalg, "splu", reached)
        with pytest.raises(ReachedError):
            make_solver(ring(), backend="direct")
    with monkeypatch.context() as patch:
        patch.setattr(np.linalg, "norm", reached)
        with pytest.raises(ReachedError):
            make_solver(ring(), backend="direct").solve(poles())


def test_pyamg_sets_up_the_multigrid_of_both_pipelines(monkeypatch):
    import pyamg

    monkeypatch.setattr(pyamg, "ruge_stuben_solver", reached)
    with pytest.raises(ReachedError):
        make_solver(ring(), backend="pyamg")
    coil = Coil(np.array([[0, 0, 0.1]]), np.array([[0, 0, 1.0]]))
    with pytest.raises(ReachedError):
        solve_efield(np.ones((4, 4, 4)), np.diag([5.0, 5, 5, 1]), coil, 1e6, backend="pyamg")


def test_petsc_solves_what_its_back_end_is_given(monkeypatch):
    petsc = pytest.importorskip("petsc4py.PETSc", reason="petsc4py is not installed")
    solved = []

    class Watched(petsc.KSP):
        def solve(self, load, x):
            solved.append(self.getType())
            super().solve(load, x)

    monkeypatch.setattr(petsc, "KSP", Watched)
    solver = make_solver(ring(), backend="petsc")
    solution = solver.solve(poles())
    solver.close()
    assert solved and set(solved) == {"cg"}
    assert np.linalg.norm(ring() @ solution.x - poles()) < 1e-9
    assert solution.x[0] - solution.x[20] == pytest.approx(10.0)  # two arms of 20 in parallel
    monkeypatch.setattr(Watched, "solve", reached)
    with pytest.raises(ReachedError):
        make_solver(ring(), backend="petsc").solve(poles())


def test_the_world_is_that_of_mpi4py(monkeypatch):
    mpi = pytest.importorskip("mpi4py.MPI", reason="mpi4py is not installed")
    assert world() is mpi.COMM_WORLD
    three = SimpleNamespace(Get_size=lambda: 3)
    monkeypatch.setattr("mpi4py.MPI", SimpleNamespace(COMM_WORLD=three))
    assert world() is three and world(expected_size=3) is three
    with pytest.raises(RuntimeError, match="runs with 3"):
        world(expected_size=1)


@pytest.fixture
def training_data():
    image = np.linspace(0, 1, 2 * 4 * 8 * 8, dtype=np.float32).reshape(2, 4, 8, 8)
    return {"1": image, "2": image**2}, {"1": 0.5 * image[:1], "2": 0.25 * image[:1]}


def training(folder, images, targets):
    from headcond.condnet.slices import describe_grid
    from headcond.condnet.training import TrainingSettings, train_axis

    return train_axis(
        images, targets, "sagittal", TrainingSettings(epochs=1, depth=2),
        tables={"A": {"skin": 1.0}}, tau=0.1, checkpoint=folder / "n.ckpt", folder=folder / "s",
        normalisation={"method": "percentile", "images": ["t1", "t2"]},
        grid=describe_grid((4, 8, 8), np.eye(4)),
    )  # fmt: skip


def test_lightning_and_torch_train_the_networks(training_data, tmp_path, monkeypatch):
    import pytorch_lightning
    import torch

    for package, name in ((pytorch_lightning, "Trainer"), (torch.optim, "Adam")):
        with monkeypatch.context() as patch:
            patch.setattr(package, name, reached)
            with pytest.raises(ReachedError):
                training(tmp_path, *training_data)
    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.Conv2d, "forward", reached)
        with pytest.raises(ReachedError):
            training(tmp_path, *training_data)
    history = training(tmp_path, *training_data)
    assert len(history) == 1 and np.isfinite(history["train_loss"].iloc[0])


@pytest.mark.parametrize(("name", "count"), RULES.items())
def test_snakemakes_own_parser_reads_the_rules(name, count):
    """What it returns is Python that declares as many rules; tests/workflow runs them."""
    from snakemake.parser import parse
    from snakemake.sourcecache import LocalSourceFile

    path = ROOT / "workflow" / "rules" / f"{name}.smk"
    with path.open() as source:
        workflow = SimpleNamespace(sourcecache=SimpleNamespace(open=lambda file: source))
        code, declared = parse(LocalSourceFile(str(path)), workflow, {})
    compile(code, str(path), "exec")
    assert declared == code.count("@workflow.rule(") == count


def test_every_listed_package_of_the_science_is_imported_by_it():
    """A package that no module names would be locked in vain."""
    imported = set()
    for folder in ("src", "scripts", "workflow/rules"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".smk"):
                pattern = r"(?m)^\s*(?:import|from) ([A-Za-z0-9_]+)"
                imported |= set(re.findall(pattern, path.read_text()))
    modules = {
        "torch", "pytorch_lightning", "numpy", "scipy", "nibabel", "pyamg", "mpi4py", "petsc4py",
        "SimpleITK", "meshio", "matplotlib", "nilearn", "skimage", "mne", "numba", "h5py",
        "pandas", "jsonschema", "yaml", "jinja2",
    }  # fmt: skip
    assert modules <= imported, modules - imported


BLOCKED = """
import importlib, importlib.abc, pkgutil, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

BLOCKED = {"petsc4py", "mpi4py", "snakemake", "pytorch_lightning", "mne", "meshio"}
sys.meta_path.insert(0, Blocker())
import headcond, headcond.mri, headcond.tms
names = [f"{package.__name__}.{module.name}" for package in (headcond.mri, headcond.tms)
         for module in pkgutil.iter_modules(package.__path__)]
assert len(names) >= 12, names
for name in names:
    importlib.import_module(name)

import numpy as np
from headcond.checks import MissingBackend
from headcond.fem.solvers import make_solver
from headcond.parallel import SerialCommunicator, world
from headcond.tms.coil import Coil
from headcond.tms.spfd import solve_efield

assert isinstance(world(), SerialCommunicator)
coil = Coil(np.array([[0, 0, 0.1]]), np.array([[0, 0, 1.0]]))
grid = np.diag([5.0, 5.0, 5.0, 1.0])
own = solve_efield(np.ones((6, 6, 6)), grid, coil, 1e6).vector
other = solve_efield(np.ones((6, 6, 6)), grid, coil, 1e6, backend="pyamg", tolerance=1e-8).vector
assert np.abs(own).max() > 0 and np.abs(own - other).max() < 1e-4 * np.abs(own).max()
try:
    make_solver(np.array([[1.0, -1.0], [-1.0, 1.0]]), backend="petsc")
except MissingBackend as error:
    assert "petsc4py" in str(error) and "install" in str(error), error
else:
    raise AssertionError("a missing back end is an error")
assert not BLOCKED & set(sys.modules)
print("all modules work")
"""


def test_mri_and_tms_work_without_the_packages_of_eit_and_the_workflow():
    """MRI and TMS need none of them, and asking for PETSc is an error."""
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "all modules work"


def test_the_citation_names_papers_and_methods():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["cff-version"] and cited["title"] and cited["authors"] and cited["message"]
    assert cited["version"] == headcond.__version__
    assert cited["license"] == "BSD-3-Clause"
    told = " | ".join(f"{entry['title']} {entry.get('notes', '')}" for entry in cited["references"])
    for name in ("CondNet", "ROM-pEIT", "N4", "SPFD", "Heller-van Hulsteyn", "Reduced basis"):
        assert name in told, f"CITATION.cff does not name {name}"
    assert "personalized human head model with non-uniform conductivity" in told
    assert "Electrical Impedance Tomography meets Reduced Order Modelling" in told
    for entry in cited["references"]:
        assert entry["type"] in ("article", "book", "software") and entry["authors"]


def test_the_licence_is_bsd_3_clause():
    text = " ".join((ROOT / "LICENSE").read_text().split())
    for part in (
        "Redistribution and use in source and binary forms",
        "Redistributions of source code must retain",
        "Redistributions in binary form must reproduce",
        "may be used to endorse or promote products derived from",
        'THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS"',
    ):
        assert part in text
    assert PROJECT["license"] == "BSD-3-Clause"


def test_readme_begins_with_its_two_commands_and_says_what_headcond_is_not():
    text = (ROOT / "README.md").read_text()
    commands = re.findall(r"(?m)^    (.+?)(?: +#.*)?$", text)
    assert commands[:2] == ["make run", "make test"]
    assert "Research use only" in text and "not a medical device" in text


def test_this_environment_is_the_locked_one():
    """What is installed here is what the lock says, torch in any build."""
    installed = {
        canonicalize_name(name): Version(version)
        for name, version in results.versions().items()
        if name not in ("headcond", "python", "petsc4py")
    }
    assert set(installed) >= BUILT_ON
    for name, version in installed.items():
        assert Version(version.public) == Version(lock()[name]), name
    assert importlib.util.find_spec("headcond").origin == str(Path(headcond.__file__).resolve())
