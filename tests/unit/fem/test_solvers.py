"""One interface, three back ends: agreement, warm starts, and honest failure."""

import numpy as np
import pytest
import scipy.sparse as sparse

from headcond.checks import ConvergenceError, InputError, MissingBackend
from headcond.fem import solvers
from headcond.fem.backends import conjugate_gradients
from headcond.fem.solvers import make_solver


def laplacian(n=9, contrast=1.0, seed=0):
    """Graph Laplacian of an n^3 grid with random edge weights over `contrast`."""
    number = np.arange(n**3).reshape(n, n, n)
    edges = np.concatenate([
        np.column_stack([np.delete(number, -1, k).ravel(), np.delete(number, 0, k).ravel()])
        for k in range(3)
    ])  # fmt: skip
    weight = contrast ** np.random.default_rng(seed).uniform(size=len(edges))
    off = sparse.coo_matrix((weight, edges.T), (n**3, n**3))
    off = (off + off.T).tocsr()
    return (sparse.diags(np.asarray(off.sum(axis=1)).ravel()) - off).tocsr()


def loads_for(matrix, count=3):
    loads = np.random.default_rng(1).normal(size=(matrix.shape[0], count))
    return loads - loads.mean(axis=0)


def petsc_or_skip(backend):
    if backend == "petsc":
        pytest.importorskip("petsc4py", reason="PETSc is not installed")


def has_hypre():
    try:
        from petsc4py import PETSc
    except ImportError:
        return False
    return PETSc.Sys.hasExternalPackage("hypre")


HYPRE = pytest.param(
    "petsc", "hypre", marks=pytest.mark.skipif(not has_hypre(), reason="no PETSc with hypre")
)
CASES = [("direct", "gamg"), ("pyamg", "gamg"), ("petsc", "gamg"), ("petsc", "ilu"),
         ("petsc", "icc"), ("petsc", "jacobi"), HYPRE]  # fmt: skip


@pytest.mark.parametrize(("backend", "preconditioner"), CASES)
def test_back_ends_meet_the_tolerance_and_agree_with_the_pseudo_inverse(backend, preconditioner):
    petsc_or_skip(backend)
    matrix = laplacian(contrast=100)
    loads = loads_for(matrix)
    solver = make_solver(matrix, backend=backend, preconditioner=preconditioner)
    solution = solver.solve(loads)
    exact = np.linalg.pinv(matrix.toarray(), rcond=1e-12, hermitian=True) @ loads
    np.testing.assert_allclose(solution.x, exact, atol=1e-8 * np.abs(exact).max())
    assert np.abs(solution.x.mean(axis=0)).max() < 1e-14 * np.abs(exact).max()
    true = np.linalg.norm(loads - matrix @ solution.x, axis=0) / np.linalg.norm(loads, axis=0)
    assert true.max() <= 1e-10
    np.testing.assert_allclose(solution.residual, true, rtol=1e-2)
    assert solution.iterations.shape == (3,) and np.all(solution.iterations > 0)
    single = solver.solve(loads[:, 0], tolerance=1e-12)
    assert single.x.shape == loads[:, 0].shape and single.residual[0] <= 1e-12
    solver.close()


@pytest.mark.parametrize(("backend", "preconditioner"), CASES)
def test_preconditioner_is_symmetric_positive_and_linear(backend, preconditioner):
    petsc_or_skip(backend)
    matrix = laplacian(contrast=100)
    solver = make_solver(matrix, backend=backend, preconditioner=preconditioner)
    r = loads_for(matrix, 4)
    z = solver.apply_preconditioner(r)
    product = r.T @ z
    np.testing.assert_allclose(product, product.T, atol=1e-12 * np.abs(product).max())
    assert np.linalg.eigvalsh(product).min() > 0
    np.testing.assert_allclose(solver.apply_preconditioner(r @ [1, -2, 3, 0.5]),
                               z @ [1, -2, 3, 0.5], atol=1e-12 * np.abs(z).max())  # fmt: skip
    assert np.abs(solver.apply_preconditioner(r[:, 0] + 7) - z[:, 0]).max() < 1e-12


@pytest.mark.parametrize("backend", ["pyamg", "petsc", "direct"])
def test_warm_starts_cost_less_and_perfect_ones_nothing(backend):
    petsc_or_skip(backend)
    matrix = laplacian()
    load = loads_for(matrix, 1)[:, 0]
    solver = make_solver(matrix, backend=backend)
    cold = solver.solve(load)
    near = cold.x + 1e-6 * np.linalg.norm(cold.x) * load / np.linalg.norm(load) + 3.0
    warm = solver.solve(load, guess=near)
    assert warm.residual[0] <= 1e-10
    assert warm.iterations[0] <= cold.iterations[0] - (backend != "direct")
    assert solver.solve(load, guess=cold.x + 5.0).iterations[0] == 0


def test_zero_load_has_the_zero_solution():
    solution = make_solver(laplacian(4), backend="direct").solve(np.zeros(64))
    assert not solution.x.any() and solution.residual[0] == 0 and solution.iterations[0] == 0


@pytest.mark.parametrize("backend", ["pyamg", "petsc"])
def test_running_out_of_iterations_names_the_pair_and_the_residual(backend):
    petsc_or_skip(backend)
    matrix = laplacian(contrast=1e4)
    solver = make_solver(matrix, backend=backend, preconditioner="jacobi", max_iterations=3)
    load = loads_for(matrix, 1)[:, 0]
    with pytest.raises(ConvergenceError, match=r"^C3-Cz: no convergence, true relative") as caught:
        solver.solve(load, name="C3-Cz")
    assert 1e-10 < caught.value.residual < 100
    assert caught.value.name == "C3-Cz"
    assert ("DIVERGED" if backend == "petsc" else "3 iterations") in caught.value.reason
    with pytest.raises(ConvergenceError, match=r"^pairs \[0\]"):
        solver.solve(np.stack([load, load], axis=1), name="pairs")


@pytest.mark.parametrize("backend", ["pyamg", "direct", "petsc"])
def test_a_tolerance_below_round_off_is_an_error(backend):
    petsc_or_skip(backend)
    matrix = laplacian(contrast=1e6)
    with pytest.raises(ConvergenceError, match=r"instead of 1\.000e-19") as caught:
        make_solver(matrix, backend=backend).solve(loads_for(matrix, 1), tolerance=1e-19)
    assert 0 < caught.value.residual < 1e-9


class Liar:
    """A back end whose own residual is too good: it claims success at a tenth of the way."""

    def __init__(self, matrix, progress):
        self.inverse = np.linalg.pinv(matrix.toarray(), rcond=1e-12, hermitian=True)
        self.progress = progress

    def solve(self, load, reduction, max_iterations):
        return self.progress * (self.inverse @ load), 1, ""


def test_true_residual_is_checked_whatever_the_back_end_says():
    matrix = laplacian(4)
    load = loads_for(matrix, 1)[:, 0]
    slow = solvers.Solver(matrix, Liar(matrix, 0.99), 1e-9, 100, None)
    assert slow.solve(load).iterations[0] == 5  # restarts: each gains two digits
    with pytest.raises(ConvergenceError, match="round-off"):
        solvers.Solver(matrix, Liar(matrix, 0.1), 1e-10, 100, None).solve(load)
    with pytest.raises(ConvergenceError, match="NaN or infinite"):
        solvers.Solver(matrix, Liar(matrix, np.nan), 1e-10, 100, None).solve(load)


def test_conjugate_gradients_refuse_indefinite_preconditioners_and_matrices():
    matrix = laplacian(4)
    load = loads_for(matrix, 1)[:, 0]
    assert "preconditioner" in conjugate_gradients(matrix, load, lambda r: -r, 1e-8, 50)[2]
    assert "matrix" in conjugate_gradients(-matrix, load, lambda r: r, 1e-8, 50)[2]
    x, used, reason = conjugate_gradients(matrix, load, lambda r: r, 1e-12, 200)
    assert reason == "" and used < 64
    np.testing.assert_allclose(matrix @ x, load, atol=1e-11)


def test_bad_input_is_refused():
    matrix = laplacian(4)
    solver = make_solver(matrix, backend="direct")
    with pytest.raises(InputError, match="sums to 1"):
        solver.solve(np.eye(64)[0])
    with pytest.raises(InputError, match="shape"):
        solver.solve(np.zeros(63))
    with pytest.raises(InputError, match="NaN"):
        solver.solve(np.full(64, np.nan))
    with pytest.raises(InputError, match="guess has 1 columns"):
        solver.solve(np.zeros((64, 2)), guess=np.zeros(64))
    with pytest.raises(InputError, match="tolerance"):
        solver.solve(np.zeros(64), tolerance=0.0)
    with pytest.raises(InputError, match="Did you mean 'petsc'"):
        make_solver(matrix, backend="pets")
    with pytest.raises(InputError, match="kernel"):
        make_solver(matrix + sparse.identity(64), backend="direct")
    lopsided = matrix.copy().tolil()
    lopsided[0, 1] -= 0.5
    lopsided[0, 5] += 0.5
    with pytest.raises(InputError, match="not symmetric"):
        make_solver(lopsided.tocsr(), backend="direct")
    with pytest.raises(InputError, match="64 unknowns have no positive diagonal"):
        make_solver(-matrix, backend="direct")
    with pytest.raises(InputError, match="square"):
        make_solver(matrix[:5], backend="direct")


def test_serial_back_ends_refuse_several_ranks():
    class Two:
        def Get_size(self):
            return 2

    with pytest.raises(InputError, match="one process"):
        make_solver(laplacian(4), backend="pyamg", communicator=Two())


def test_missing_back_end_says_how_to_install_it(monkeypatch):
    import sys

    for name, backend in (("petsc4py", "petsc"), ("pyamg", "pyamg")):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MissingBackend, match="install"):
            make_solver(laplacian(4), backend=backend)


def test_petsc_without_hypre_is_refused():
    pytest.importorskip("petsc4py", reason="PETSc is not installed")
    if has_hypre():
        pytest.skip("this PETSc has hypre")
    with pytest.raises(InputError, match="built without hypre.*gamg"):
        make_solver(laplacian(4), preconditioner="hypre")


def test_petsc_options_do_not_leak():
    pytest.importorskip("petsc4py", reason="PETSc is not installed")
    from petsc4py import PETSc

    before = PETSc.Options().getAll()
    solver = make_solver(laplacian(6), backend="petsc")
    assert PETSc.Options().getAll() == before
    solver.close()
