"""Block conjugate gradients, and the single-precision cycle on blocks of vectors."""

import numpy as np
import pytest
import scipy.sparse as sparse

from headcond.checks import ConvergenceError, InputError
from headcond.fem import block_multigrid
from headcond.fem.block_cg import block_conjugate_gradients
from headcond.fem.solvers import make_solver
from tests.unit.fem.test_solvers import laplacian, loads_for, petsc_or_skip

BACKENDS = ("petsc", "pyamg")


@pytest.fixture(scope="module")
def matrix():
    return laplacian(12, contrast=100)


def true_residual(matrix, x, loads):
    return np.linalg.norm(loads - matrix @ x, axis=0) / np.linalg.norm(loads, axis=0)


def jacobi(matrix):
    inverse = 1 / matrix.diagonal()
    return lambda block: inverse[:, None] * block


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("count", [4, 16, 21])
def test_a_block_meets_the_tolerance_and_agrees_with_one_by_one(matrix, backend, count):
    petsc_or_skip(backend)
    loads = loads_for(matrix, count) * np.logspace(-6, 3, count)  # columns of any size
    together = make_solver(matrix, backend=backend).solve(loads)
    alone = make_solver(matrix, backend=backend, block=1).solve(loads)
    assert true_residual(matrix, together.x, loads).max() <= 1e-10
    np.testing.assert_allclose(together.residual, true_residual(matrix, together.x, loads), 1e-2)
    scale = np.abs(alone.x).max(axis=0)
    assert np.abs((together.x - alone.x) / scale).max() < 1e-8
    assert np.abs(together.x.mean(axis=0) / scale).max() < 1e-14


@pytest.mark.parametrize("backend", BACKENDS)
def test_single_precision_cycle_is_nearly_symmetric_positive_and_linear(matrix, backend):
    petsc_or_skip(backend)
    cycle = make_solver(matrix, backend=backend)._backend.block_cycle()
    assert cycle.sizes[0] == matrix.shape[0] and cycle.sizes[-1] < cycle.sizes[0] / 8
    r = loads_for(matrix, 5)
    z = cycle(r)
    product = r.T @ z
    np.testing.assert_allclose(product, product.T, atol=1e-5 * np.abs(product).max())
    assert np.linalg.eigvalsh(0.5 * (product + product.T)).min() > 0
    np.testing.assert_allclose(cycle(1e-30 * r), 1e-30 * z, atol=1e-36 * np.abs(z).max())
    np.testing.assert_allclose(cycle(r[:, :2]), z[:, :2], atol=1e-6 * np.abs(z).max())
    # One cycle takes most of the error away: in the energy norm, below a half.
    x = np.linalg.pinv(matrix.toarray(), rcond=1e-12, hermitian=True) @ r
    left = x - z
    left -= left.mean(axis=0)
    energy = np.sum(left * (matrix @ left), axis=0) / np.sum(x * (matrix @ x), axis=0)
    assert np.sqrt(energy.max()) < 0.5


@pytest.mark.parametrize(("dtype", "accuracy"), [(np.float32, 2e-6), (np.float64, 1e-13)])
def test_two_levels_by_hand_give_the_same_as_dense_algebra(dtype, accuracy):
    matrix = laplacian(4).astype(np.float64)
    n = matrix.shape[0]
    prolong = sparse.csr_matrix((np.ones(n), (np.arange(n), np.arange(n) // 4)), (n, n // 4))
    coarse = prolong.T @ matrix @ prolong
    cycle = block_multigrid.BlockCycle([matrix, sparse.csr_matrix(coarse)], [prolong], dtype)
    r = loads_for(matrix, 3)
    dense, p = matrix.toarray(), prolong.toarray()
    lower = np.tril(dense)
    x = np.linalg.solve(lower, r)
    x += p @ np.linalg.pinv(coarse.toarray(), rcond=1e-10) @ (p.T @ (r - dense @ x))
    x += np.linalg.solve(lower.T, r - dense @ x)
    np.testing.assert_allclose(cycle(r), x, atol=accuracy * np.abs(x).max())


def test_dependent_right_hand_sides_are_no_breakdown(matrix):
    rng = np.random.default_rng(3)
    few = loads_for(matrix, 3)
    loads = np.column_stack([few @ rng.normal(size=(3, 5)), few[:, :1], few[:, :1], 0 * few[:, :1]])
    x, used, reason = block_conjugate_gradients(
        lambda block: matrix @ block, loads, jacobi(matrix), np.full(8, 1e-11), 500
    )
    assert reason == "" and used[-1] == 0 and not x[:, -1].any()
    assert true_residual(matrix, x[:, :-1], loads[:, :-1]).max() < 1e-10
    petsc_or_skip("petsc")
    solution = make_solver(matrix).solve(loads)
    assert solution.residual.max() <= 1e-10 and solution.iterations[-1] == 0


def test_a_block_takes_fewer_iterations_than_its_columns(matrix):
    loads = loads_for(matrix, 16)
    arguments = jacobi(matrix), np.full(16, 1e-9), 500
    together = block_conjugate_gradients(lambda b: matrix @ b, loads, *arguments)[1]
    alone = [
        block_conjugate_gradients(
            lambda b: matrix @ b, loads[:, k : k + 1], jacobi(matrix), np.array([1e-9]), 500
        )[1][0]
        for k in range(3)
    ]
    assert together.max() < 0.7 * min(alone)


def test_columns_that_start_near_leave_the_block_early(matrix):
    petsc_or_skip("petsc")
    loads = loads_for(matrix, 6)
    solver = make_solver(matrix)
    cold = solver.solve(loads, tolerance=1e-12)
    guess = np.zeros_like(loads)
    guess[:, :3] = cold.x[:, :3] + 5.0
    warm = solver.solve(loads, guess=guess, tolerance=1e-10)
    assert not warm.iterations[:3].any() and warm.iterations[3:].min() > 0


def test_tight_tolerances_are_reached_in_spite_of_single_precision(matrix):
    petsc_or_skip("petsc")
    loads = loads_for(matrix, 8)
    solution = make_solver(matrix, tolerance=1e-13).solve(loads)
    assert true_residual(matrix, solution.x, loads).max() <= 1.01e-13


def test_failure_names_the_pair(matrix):
    petsc_or_skip("petsc")
    loads = loads_for(matrix, 5)
    solver = make_solver(matrix, max_iterations=2)
    names = ["C3-Cz", "C4-Cz", "Fz-Cz", "Oz-Cz", "Pz-Cz"]
    with pytest.raises(ConvergenceError, match=r"^C3-Cz: no convergence.*2 iterations were not"):
        solver.solve(loads, name=names)
    with pytest.raises(ConvergenceError, match=r"instead of 1\.000e-19"):
        make_solver(matrix).solve(loads, tolerance=1e-19, name=names)
    with pytest.raises(InputError, match="5 names for 4"):
        solver.solve(loads[:, :4], name=names)
    loads[0, 2] += 1
    with pytest.raises(InputError, match=r"^Fz-Cz: right-hand side 2 sums"):
        solver.solve(loads, name=names)


def test_no_positive_curvature_is_reported():
    x, _, reason = block_conjugate_gradients(
        lambda block: -block, loads_for(laplacian(4), 4), lambda block: block, np.full(4, 1e-8), 9
    )
    assert "not positive definite" in reason and not x.any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_another_matrix_can_use_a_preconditioner_again(matrix, backend):
    petsc_or_skip(backend)
    other = laplacian(12, contrast=30)
    first = make_solver(matrix, backend=backend)
    again = make_solver(other, backend=backend, reuse=first)
    fresh = make_solver(other, backend=backend)
    loads = loads_for(other, 6)
    for some in (loads, loads[:, 0]):  # in a block and alone
        solution = again.solve(some)
        assert np.max(true_residual(other, solution.x.reshape(len(some), -1),
                                    some.reshape(len(some), -1))) <= 1e-10  # fmt: skip
        assert solution.iterations.min() >= fresh.solve(some).iterations.min()
    for some in (loads, loads[:, :2]):  # and the first works, in a block and one by one
        assert true_residual(matrix, first.solve(some).x, some).max() <= 1e-10
    with pytest.raises(InputError, match="same size"):
        make_solver(laplacian(4), backend=backend, reuse=first)
    with pytest.raises(InputError, match="cannot reuse"):
        make_solver(other, backend="direct", reuse=first)
    with pytest.raises(InputError, match="block is 0"):
        make_solver(other, backend=backend, block=0)
