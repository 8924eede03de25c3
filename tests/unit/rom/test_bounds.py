"""Error bounds against true errors; stability factors against dense eigenvalues."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headcond.checks import InputError
from headcond.fem.solvers import make_solver
from headcond.rom.basis import InnerProductSpace, orthonormalise
from headcond.rom.bounds import _column_weights, energy_bounds, residual_norm
from headcond.rom.greedy import train
from headcond.rom.model import ReducedModel
from headcond.rom.parameters import latin_hypercube, named_box
from headcond.rom.settings import Settings
from headcond.rom.stability import Stability, second_eigenvalue, stability_factors
from tests.helpers import rom_synthetic

TISSUES, CONTACT = rom_synthetic.TISSUES, rom_synthetic.CONTACT
OPERATOR = rom_synthetic.synthetic_operator(6)
DIRECT = partial(make_solver, backend="direct")
BOX = named_box("full", TISSUES, fixed={"contact": CONTACT})


@pytest.fixture(scope="module")
def pair():
    rule = Settings(max_snapshots=24, training=300)
    return train(OPERATOR, "E1", "E0", BOX, rule, solver_factory=DIRECT)


def dense_solution(sigma, load):
    """Slow and obvious: the pseudo-inverse."""
    matrix = OPERATOR.combine(BOX.coefficients(OPERATOR, sigma)).toarray()
    return np.linalg.pinv(matrix, rcond=1e-12, hermitian=True) @ load, matrix


@settings(max_examples=60, deadline=None)
@given(unit=st.lists(st.floats(0, 1), min_size=6, max_size=6), count=st.integers(1, 12))
def test_bounds_enclose_the_true_error_everywhere_in_the_box(pair, unit, count):
    sigma = BOX.lower + (BOX.upper - BOX.lower) * np.array(unit)
    truth, matrix = dense_solution(sigma, OPERATOR.load("E1", "E0", 20e-6))
    reduced, theta = pair.first(count), BOX.theta(sigma)[None]
    ratio = theta / BOX.reference
    solution, norm, slack = reduced.residual(theta, BOX.reference)
    lack = truth - reduced.basis @ solution[0]
    error, whole = np.sqrt(lack @ matrix @ lack), np.sqrt(truth @ matrix @ truth)
    lower, upper = energy_bounds(norm, slack, ratio)
    allowed = 1e-8 * whole  # what the pseudo-inverse itself is off by
    assert slack[0] < 1e-9 * whole
    assert lower[0] - allowed <= error <= upper[0] + allowed
    assert upper[0] <= np.sqrt(ratio.max() / ratio.min()) * error + allowed
    assert upper[0] > 0
    relative = upper[0] / np.sqrt(reduced.energy(solution)[0])
    assert error / whole <= relative + 1e-8


def test_residual_norm_is_the_dense_dual_norm(pair):
    reference = OPERATOR.combine(BOX.coefficients(OPERATOR, BOX.reference[:6])).toarray()
    inverse = np.linalg.pinv(reference, rcond=1e-12, hermitian=True)
    sigma = latin_hypercube(BOX, 5, np.random.default_rng(5))
    theta, load = BOX.theta(sigma), OPERATOR.load("E1", "E0", 20e-6)
    for count in (1, 3, 8):
        reduced = pair.first(count)
        solution, norm, _ = reduced.residual(theta, BOX.reference)
        for k, point in enumerate(sigma):
            matrix = OPERATOR.combine(BOX.coefficients(OPERATOR, point)).toarray()
            residual = load - matrix @ reduced.basis @ solution[k]
            assert norm[k] == pytest.approx(np.sqrt(residual @ inverse @ residual), rel=1e-5)


def test_orthonormal_basis_goes_on_where_the_gram_matrix_stagnates(pair):
    """At the snapshots the residual is round-off: 1e-13 of b against 1e-8."""
    theta = BOX.theta(pair.history["mu"][:10])
    solution, norm, slack = pair.residual(theta, BOX.reference)
    whole = np.sqrt(pair.energy(solution))
    weights = _column_weights(theta / BOX.reference, solution)
    gram = pair.residual_factor.T @ pair.residual_factor
    gram = np.sqrt(np.maximum(np.einsum("si,ij,sj->s", weights, gram, weights), 0.0))
    assert np.all(norm <= 1e-12 * whole)
    assert np.all(norm + slack <= 1e-10 * whole)
    assert np.max(gram) > 1e-10 * np.max(whole)


def test_inexact_riesz_representers_widen_the_bound_and_it_still_holds():
    """Representers to 1e-3 only: the slack must cover the distance to the exact dual norm."""
    exact = train(OPERATOR, "E1", "E0", BOX, Settings(max_snapshots=5, training=50),
                  solver_factory=DIRECT)  # fmt: skip

    class Sloppy:
        def __init__(self, matrix):
            self.solver, self.random = DIRECT(matrix), np.random.default_rng(0)

        def solve(self, loads, guess=None, tolerance=None, name=""):
            found = self.solver.solve(loads, guess=guess, name=name)
            if np.ndim(loads) == 2 and loads.shape[1] > 1:  # the Riesz solves
                noise = self.random.standard_normal(found.x.shape)
                found.x[:] += 1e-3 * np.abs(found.x).mean(axis=0) * (noise - noise.mean(axis=0))
            return found

        def close(self):
            self.solver.close()

    sloppy = train(OPERATOR, "E1", "E0", BOX, Settings(max_snapshots=5, training=50),
                   solver_factory=Sloppy)  # fmt: skip
    theta = BOX.theta(latin_hypercube(BOX, 40, np.random.default_rng(8)))
    for count in range(1, 6):
        first, second = exact.first(count), sloppy.first(count)
        if np.any(first.history["mu"] != second.history["mu"]):
            break
        _, norm, _ = first.residual(theta, BOX.reference)
        _, inexact, slack = second.residual(theta, BOX.reference)
        assert np.all(np.abs(norm - inexact) <= slack)
        assert np.all(slack > 0)
        assert np.any(np.abs(norm - inexact) > 1e-6 * norm)


@pytest.mark.parametrize("weighted", [False, True])
def test_second_eigenvalue_against_the_dense_spectrum(weighted):
    matrix = OPERATOR.combine(BOX.coefficients(OPERATOR, BOX.centre))
    weight = matrix.diagonal() if weighted else np.ones(OPERATOR.size)
    root = np.sqrt(weight)
    exact = np.linalg.eigvalsh(matrix.toarray() / root / root[:, None])
    value, residual = second_eigenvalue(matrix, DIRECT(matrix), weight if weighted else None)
    assert exact[0] < 1e-12 * exact[1]
    assert value == pytest.approx(exact[1], rel=1e-8)
    assert residual < 1e-5 * value


@pytest.fixture(scope="module")
def factors():
    points = latin_hypercube(BOX, 40, np.random.default_rng(2))
    return stability_factors(OPERATOR, BOX, points, DIRECT, "concave")


def true_factors(points):
    """Dense second eigenvalues."""
    matrices = [OPERATOR.combine(BOX.coefficients(OPERATOR, p)).toarray() for p in points]
    return np.array([np.linalg.eigvalsh(matrix)[1] for matrix in matrices])


def test_concave_lower_bound_stays_below_and_touches_at_its_points(factors):
    points = latin_hypercube(BOX, 40, np.random.default_rng(3))
    lower, exact = factors.evaluate(BOX, points), true_factors(points)
    assert factors.certified
    assert np.all(lower <= exact * (1 + 1e-10))
    assert np.all(lower > 0)
    there = factors.evaluate(BOX, factors.sigma[:6])
    assert there == pytest.approx(factors.values[:6], rel=1e-4)
    assert np.all(there <= factors.values[:6])


def test_rbf_interpolates_but_is_no_certificate(factors):
    rbf = Stability(factors.sigma, factors.theta, factors.values, factors.residuals, "rbf")
    assert not rbf.certified
    points = latin_hypercube(BOX, 60, np.random.default_rng(4))
    guess, exact = rbf.evaluate(BOX, points), true_factors(points)
    assert np.all(guess > 0)
    assert 0.2 < np.mean(guess > exact) < 0.8  # overestimates at about half of the points
    logs = np.log(rbf.evaluate(BOX, rbf.sigma) / rbf.values)
    assert np.sqrt(np.mean(logs**2)) < 0.5 * np.std(np.log(rbf.values))


def test_rbf_reproduces_log_linear_factors_exactly():
    rng = np.random.default_rng(0)
    points = latin_hypercube(BOX, 30, rng)
    slope = rng.standard_normal(6)
    values = np.exp(0.3 + points @ slope)
    rbf = Stability(points, BOX.theta(points), values, np.zeros(31), "rbf")
    fresh = latin_hypercube(BOX, 20, rng)
    assert rbf.evaluate(BOX, fresh) == pytest.approx(np.exp(0.3 + fresh @ slope), rel=1e-6)


def test_euclidean_bound_with_the_rigorous_factor_holds(factors):
    rule = Settings(max_snapshots=8, training=60, norm="euclidean", stability=factors)
    found = train(OPERATOR, "E1", "E0", BOX, rule, solver_factory=DIRECT)
    assert np.abs(found.basis.T @ found.basis - np.eye(8)).max() < 1e-12
    model = ReducedModel([found], BOX, OPERATOR.electrodes, rule.current, "euclidean", factors)
    points = latin_hypercube(BOX, 20, np.random.default_rng(6))[1:]  # the centre is a snapshot
    for count in (2, 8):
        bound = model.bound(points, snapshots=count)[:, 0]
        relative = model.bound(points, snapshots=count, relative=True)[:, 0]
        reduced = found.first(count)
        for k, sigma in enumerate(points):
            truth, matrix = dense_solution(sigma, OPERATOR.load("E1", "E0", 20e-6))
            solution = reduced.solve(BOX.theta(sigma)[None])[0]
            error = np.linalg.norm(truth - reduced.basis @ solution)
            assert error <= bound[k]
            assert error / np.linalg.norm(truth) <= relative[k]
            residual = np.linalg.norm(
                OPERATOR.load("E1", "E0", 20e-6) - matrix @ reduced.basis @ solution
            )
            _, norm, slack = reduced.residual(BOX.theta(sigma)[None], BOX.reference)
            assert norm[0] == pytest.approx(residual, rel=1e-9)
            assert slack[0] < 1e-12 * np.linalg.norm(OPERATOR.load("E1", "E0", 20e-6))


def test_zero_residual_of_a_space_that_holds_the_solution():
    """One exact snapshot, checked at its own point with hand-made factors."""
    space = InnerProductSpace(None, 3)
    vectors = np.array([[1.0, 0.5], [-1.0, 0.2], [0.0, 0.1]])
    _, factor, dropped = orthonormalise(space, np.empty((3, 0)), vectors)
    norm, slack = residual_norm(factor, dropped, np.ones((1, 1)), np.array([[1.0]]))
    assert norm[0] == pytest.approx(np.linalg.norm(vectors[:, 0] - vectors[:, 1]))
    assert slack[0] == 0


def test_bad_stability_is_refused():
    points = latin_hypercube(BOX, 5, np.random.default_rng(0))
    arguments = (points, BOX.theta(points), np.ones(6))
    with pytest.raises(InputError, match="too few for a linear term"):
        Stability(*arguments, np.zeros(6), "rbf")
    with pytest.raises(InputError, match="bound nothing"):
        Stability(*arguments, np.ones(6), "concave")
    with pytest.raises(InputError, match="stability method"):
        Stability(*arguments, np.zeros(6), "linear")
