"""One, two and three ranks find the same potentials."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sparse

from headcond.fem.electrode_model import assemble
from headcond.fem.solvers import make_solver
from tests.helpers.fem_meshes import caps, direction, shells
from tests.mpi.launch import run_ranks

SCRIPT = Path(__file__).with_name("solve_system.py")
pytestmark = pytest.mark.mpi


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    """A three-layer sphere with electrodes: files of its matrix and loads, and the answer."""
    pytest.importorskip("petsc4py", reason="PETSc is not installed")
    mesh = shells([0.07, 0.08, 0.09], 2, 2, 4)
    places = [direction(0.4, 0.1), direction(1.5, 2.0), direction(2.4, 4.0)]
    operator = assemble(mesh, caps(mesh, places, 0.2))
    matrix = operator.combine([0.3, 0.01, 0.4, 0.2])
    loads = np.stack([operator.load("E0", "E1", 2e-5), operator.load("E2", "E1", 2e-5)], axis=1)
    folder = tmp_path_factory.mktemp("system")
    sparse.save_npz(folder / "matrix.npz", matrix)
    np.save(folder / "loads.npy", loads)
    exact = make_solver(matrix, backend="direct").solve(loads, tolerance=1e-11).x
    return folder, loads, exact


PRECONDITIONERS = ("gamg", "ilu")


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_ranks_agree(system, ranks):
    folder, loads, exact = system
    stem = folder / f"ranks-{ranks}"
    run_ranks(ranks, SCRIPT, folder / "matrix.npz", folder / "loads.npy", stem, *PRECONDITIONERS)
    for preconditioner in PRECONDITIONERS:
        found = np.load(f"{stem}-{preconditioner}.npz")
        assert int(found["size"]) == ranks
        assert found["residual"].max() <= 1e-10
        # Contact drops of a volt come with millivolts in the head: compare those too.
        head = slice(0, len(exact) - 3)
        for part in (slice(None), head):
            np.testing.assert_allclose(found["x"][part], exact[part],
                                       atol=1e-7 * np.ptp(exact[head]))  # fmt: skip
        product = loads.T @ found["mapped"]
        np.testing.assert_allclose(product, product.T, rtol=1e-10)
        assert np.linalg.eigvalsh(product).min() > 0
        assert str(found["refused"]).startswith("E0-E1 [0]: no convergence")


def test_a_launcher_with_another_number_of_ranks_is_noticed(tmp_path):
    script = tmp_path / "size.py"
    script.write_text("from headcond.parallel import world\nworld(expected_size=3)\n")
    with pytest.raises(pytest.fail.Exception, match="3 MPI ranks were started"):
        run_ranks(2, script)
