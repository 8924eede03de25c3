"""Files may come from anybody: nothing in them is run, and no reader is led astray by them."""

from __future__ import annotations

import ast
import functools
import os
from pathlib import Path

import h5py
import meshio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headcond.checks import InputError
from headcond.files import results, untrusted
from headcond.files.hdf5 import open_hdf5
from headcond.head.formats import read_head
from headcond.study.paths import REPOSITORY
from headcond.tms import coil_files
from tests.helpers.bad_files import (
    DIPOLES,
    ROWS,
    cap,
    definition,
    hdf5,
    image,
    result,
    small_model,
    small_operator,
    text,
)  # fmt: skip
from tests.helpers.bad_measurements import measured
from tests.helpers.bad_meshes import POINTS, TETRAHEDRA, matlab, vtu

PROGRAMS = sorted(
    path
    for folder in ("src", "scripts", "benchmarks", "workflow", "envs")
    for path in (REPOSITORY / folder).rglob("*.py")
)
WORKFLOW = [REPOSITORY / "Snakefile", *sorted((REPOSITORY / "workflow").rglob("*.smk"))]
# Calls that run what they read, or could: none is made, but for the guarded ones below.
FORBIDDEN = {
    "eval", "exec", "pickle.load", "pickle.loads", "yaml.load", "yaml.load_all",
    "yaml.unsafe_load", "yaml.full_load", "joblib.load", "dill.load", "shelve.open",
    "marshal.loads", "pandas.read_pickle", "pd.read_pickle", "os.system", "torch.jit.load",
    "torch.hub.load", "numpy.lib.format.read_array",
}  # fmt: skip
GUARDED = {"torch.load": ("weights_only", True)}
NEVER_TRUE = {"np.load": "allow_pickle", "numpy.load": "allow_pickle"}


def calls(path):
    """Name and keywords (constants only) of every call in a Python file, with its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            keywords = {
                k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)
            }
            yield ast.unparse(node.func), keywords, f"{path.name}:{node.lineno}"


def offences(path):
    found = []
    for name, keywords, where in calls(path):
        if name in FORBIDDEN:
            found.append(f"{where}: {name}")
        if name in GUARDED:
            key, value = GUARDED[name]
            if keywords.get(key) is not value:
                found.append(f"{where}: {name} without {key}={value}")
        if name in NEVER_TRUE and keywords.get(NEVER_TRUE[name], False) is not False:
            found.append(f"{where}: {name} with {NEVER_TRUE[name]}")
        if keywords.get("shell") is True:
            found.append(f"{where}: a shell")
    return found


def test_nothing_that_is_read_is_run():
    assert len(PROGRAMS) > 100
    assert [offence for path in PROGRAMS for offence in offences(path)] == []


def test_an_offence_is_found(tmp_path):
    path = tmp_path / "bad.py"
    path.write_text(
        "import torch, yaml, numpy as np\n"
        "torch.load(p)\ntorch.load(p, weights_only=False)\nyaml.load(p)\n"
        "np.load(p, allow_pickle=True)\neval(p)\nrun(p, shell=True)\n"
        "torch.load(p, weights_only=True)\nnp.load(p)\nyaml.safe_load(p)\n"
    )
    assert [where.split(":")[1] for where in offences(path)] == ["2", "3", "4", "5", "6", "7"]


def test_pickle_is_imported_for_the_name_of_its_error_only():
    used = []
    for path in PROGRAMS:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in getattr(node, "names", ())]
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = {*names, getattr(node, "module", None)}
                assert not modules & {"dill", "cloudpickle", "joblib", "shelve", "marshal"}, path
                if "pickle" in modules:
                    used.append(path.name)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle":
                assert node.attr == "UnpicklingError", f"{path}: pickle.{node.attr}"
    assert used == ["checkpoint.py"]


def test_the_workflow_reads_by_the_package_only():
    for path in WORKFLOW:
        content = path.read_text()
        for word in ("pickle", "eval(", "exec(", "yaml.load", "torch.load", "shell=True"):
            assert word not in content, f"{path.name}: {word}"


# --- fuzzing ---------------------------------------------------------------------------


def msh(path):
    """Two tetrahedra as gmsh and SimNIBS write them: grey and white matter."""
    numbers = [np.array([1, 2])]
    data = {"gmsh:physical": numbers, "gmsh:geometrical": numbers}
    mesh = meshio.Mesh(POINTS, [("tetra", TETRAHEDRA)], cell_data=data)
    meshio.gmsh.write(path, mesh, fmt_version="2.2", binary=True)


def eidors(path):
    """The same as EIDORS keeps it."""
    materials = {"ref": np.array([1, 2]), "names": np.array(["Scalp", "Skull"], object)}
    matlab(vtx=POINTS, tri=TETRAHEDRA + 1, materials=materials)(path)


def rompeit(path):
    """A pattern of ROMpEIT in MATLAB's v7.3 beside its sinks and labels."""
    matlab(sinks=[[1, 3]])(path.with_name("sinks.mat"))
    text("A\nB\nC\nD\n")(path.with_name("labels.txt"))
    potentials = np.array([[3e-3, 1e-3, -4e-3, 0.0]])
    with h5py.File(path, "w") as file:
        file["Data/u"] = potentials


def network(path):
    """An untrained network of least size."""
    from headcond.condnet.checkpoint import Checkpoint, save_checkpoint
    from headcond.condnet.network import CondNet

    facts = {"shape": [4, 4, 4]}
    made = Checkpoint(CondNet(1, 1, depth=2), "axial", {"A": {"csf": 2.0}}, 0.1, {}, facts, {})
    save_checkpoint(path, made)


@functools.cache
def seed_file(folder, name, kind):
    """A small good file and its reader; the file's bytes are what is damaged."""
    from headcond.condnet.checkpoint import load_checkpoint
    from headcond.fem.operator import AffineOperator
    from headcond.files import results
    from headcond.head.formats import read_mesh
    from headcond.inverse import measurement
    from headcond.inverse.importers import read_rompeit
    from headcond.rom.model import ReducedModel

    makers = {
        "nii": (image(), results.read_volume),
        "nii.gz": (image(), results.read_volume),
        "rom": (hdf5(small_model), ReducedModel.read),
        "operator": (hdf5(small_operator), AffineOperator.read),
        "vtu": (vtu(), lambda path: read_mesh(path, "m")),
        "ccd": (text(DIPOLES), coil_files.read),
        "tcd": (definition(), coil_files.read),
        "csv": (text(ROWS), cap),
        "tsv": (text("subject\tvalue\n01\t3\n"), results.read_table),
        "json": (text('{"a": [1, 2.5, null], "b": {"c": "d"}}'), results.read_json),
        "msh": (msh, lambda path: read_mesh(path, "m")),
        "mat": (eidors, lambda path: read_mesh(path, "m")),
        "measured": (measured(), measurement.read),
        "network": (network, load_checkpoint),
        "rompeit_noise": (
            rompeit,
            lambda path: read_rompeit(
                path.parent,
                path.with_name("sinks.mat"),
                path.with_name("labels.txt"),
                2e-5,
                noisy=True,
            ),
        ),
    }
    write, read = makers[kind]
    path = Path(folder) / name
    write(path)
    return path.read_bytes(), read


NAMES = {
    "nii": "a.nii", "nii.gz": "a.nii.gz", "rom": "a.h5", "operator": "b.h5", "vtu": "a.vtu",
    "ccd": "a.ccd", "tcd": "a.tcd", "csv": "a.csv", "tsv": "a.tsv", "json": "a.json",
    "msh": "a.msh", "mat": "a.mat", "measured": "m.tsv",
    "network": "a.ckpt", "rompeit_noise": "pattern_1_noise.mat",
}  # fmt: skip
DAMAGE = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8
)


def damaged(whole, changes, keep):
    content = bytearray(whole)
    for where, value in changes:
        content[int(where * len(content))] = value
    return bytes(content[: max(1, int(keep * len(content)))])


def fuzz(folder, kind, changes, keep):
    name = NAMES[kind]
    whole, read = seed_file(str(folder), name, kind)
    path = folder / name
    path.write_bytes(damaged(whole, changes, keep))
    try:
        read(path)
    except InputError as error:
        assert str(error), "a refusal says why"
    except RecursionError:
        pytest.fail("deep nesting is an InputError too")


@pytest.mark.parametrize("kind", NAMES)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(changes=DAMAGE, keep=st.sampled_from([1.0, 1.0, 0.9, 0.5, 0.1]))
def test_damaged_files_are_read_or_refused(tmp_path_factory, kind, changes, keep):
    """Whatever a few bytes say: values or an `InputError`, never another error."""
    fuzz(tmp_path_factory.getbasetemp(), kind, changes, keep)


@pytest.mark.slow
@pytest.mark.parametrize("kind", NAMES)
@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=DAMAGE, keep=st.sampled_from([1.0, 1.0, 0.9, 0.5, 0.1]))
def test_damaged_files_at_length(tmp_path_factory, kind, changes, keep):
    fuzz(tmp_path_factory.getbasetemp(), kind, changes, keep)


def test_hdf5_that_would_never_end_is_refused(tmp_path, monkeypatch):
    """A text of a heap whose size wraps round: HDF5's walk through the heap never ends."""
    monkeypatch.setattr(untrusted, "_MIN_SECONDS", 3.0)
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "a text in the heap"
        file["numbers"] = np.arange(3.0)
    whole = path.read_bytes()
    heap = whole.index(b"GCOL")
    size = heap + 16 + 8  # of the first object: after the heap's header, index and references
    path.write_bytes(whole[:size] + (2**64 - 16).to_bytes(8, "little") + whole[size + 8 :])
    with pytest.raises(InputError, match="a.h5: cannot be read as a head file: .*not end within"):
        read_head(path)
    path.write_bytes(whole)
    with open_hdf5(path, "a result") as file:
        assert file["numbers"][1] == 1.0


def test_texts_of_a_file_are_bounded(tmp_path, monkeypatch):
    """Many references to one long text: little on disk, more than may be read in memory."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("texts", (64,), h5py.string_dtype())
        file["texts"][0] = "x" * (8 << 20)
    whole = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        start = file["texts"].id.get_offset()
    one = bytes(whole[start : start + 16])  # length, address and index in the heap
    whole[start : start + 64 * 16] = 64 * one
    path.write_bytes(bytes(whole))
    monkeypatch.setattr(untrusted.failure_of, "__defaults__", (256 << 20,))
    message = "a.h5: cannot be read as a result: .*bytes of memory"
    with pytest.raises(InputError, match=message), open_hdf5(path, "a result"):
        pass
    monkeypatch.setattr(untrusted.failure_of, "__defaults__", (1 << 30,))
    with open_hdf5(path, "a result") as file:
        assert len(file["texts"][63]) == 8 << 20


@pytest.mark.parametrize(
    "content",
    [b'\xef\xbb\xbf{"EchoTime": 0.1}', b"[]", b'{"provenance": {"bytes": "DOE", "sha256": 1}}'],
)
def test_the_sidecar_of_another_program_is_ignored(tmp_path, content):
    path = tmp_path / "scan.nii.gz"
    image()(path)
    path.with_name("scan.json").write_bytes(content)
    assert not results.check_whole(path)
    assert results.read_volume(path)[0].shape == (6, 7, 8)


def test_the_failure_of_a_child_is_reported(tmp_path):
    assert untrusted.failure_of(lambda: None, 5) == ""
    assert untrusted.failure_of(lambda: 1 / 0, 5) == "", "the parent meets it again"
    assert "exit code -6" in untrusted.failure_of(os.abort, 5)
    (tmp_path / "large").write_bytes(bytes(10**6))
    assert untrusted.time_limit(tmp_path / "large") == pytest.approx(21)


def test_a_result_is_known_by_its_digest(tmp_path):
    """Any one damaged byte of a result is found: the sidecar holds its digest."""
    from headcond.files import results

    path = tmp_path / "map.nii.gz"
    result(path)
    results.read_volume(path)
    whole = path.read_bytes()
    for where in range(0, len(whole), 7):
        path.write_bytes(damaged(whole, [(where / len(whole), whole[where] ^ 1)], 1.0))
        if path.read_bytes() != whole:
            with pytest.raises(InputError, match="not what was written"):
                results.read_volume(path)


def test_the_seeds_of_the_fuzzing_are_good(tmp_path):
    for kind, name in NAMES.items():
        folder = tmp_path / kind
        folder.mkdir()
        _, read = seed_file(str(folder), name, kind)
        read(folder / name)
