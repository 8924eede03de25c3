"""One V-cycle as Riesz map: its spectrum, and that the bound stays a bound."""

import dataclasses
from functools import partial

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.fem.solvers import make_solver
from headcond.rom.basis import AccuracyError, load_basis
from headcond.rom.model import ReducedModel
from headcond.rom.pair_training import pair_folder
from headcond.rom.parameters import latin_hypercube, named_box
from headcond.rom.riesz import chebyshev_accelerated, spectral_bounds
from headcond.rom.settings import Settings
from headcond.rom.training import train_pairs
from headcond.rom.validation import validate
from tests.helpers import rom_synthetic

OPERATOR = rom_synthetic.synthetic_operator(9)
BOX = named_box("full", rom_synthetic.TISSUES, fixed={"contact": rom_synthetic.CONTACT})
AMG = partial(make_solver, backend="pyamg")
PAIRS = [("E1", "E0"), ("E5", "E0")]
MATRIX = OPERATOR.combine(BOX.coefficients(OPERATOR, BOX.reference[:6]))


def spectrum(solver):
    """All eigenvalues of B X on the quotient, from dense matrices."""
    size = MATRIX.shape[0]
    cycle = solver.apply_preconditioner(np.eye(size))
    values, vectors = np.linalg.eigh(MATRIX.toarray())
    root = vectors[:, 1:] * np.sqrt(values[1:])
    return np.linalg.eigvalsh(root.T @ (0.5 * (cycle + cycle.T)) @ root)


def test_spectral_bounds_enclose_the_whole_spectrum():
    solver = AMG(MATRIX)
    exact = spectrum(solver)
    low, high = spectral_bounds(MATRIX, solver.apply_preconditioner)
    assert 0.9 * exact[0] < low <= exact[0]
    assert exact[-1] <= high < 1.1 * exact[-1]


def test_exact_inverse_has_the_spectrum_of_the_identity():
    solver = make_solver(MATRIX, backend="direct")
    low, high = spectral_bounds(MATRIX, solver.apply_preconditioner)
    assert low == pytest.approx(0.98, rel=1e-6) and high == pytest.approx(1 / 0.98, rel=1e-6)


def test_a_map_that_is_not_symmetric_is_refused():
    solver = AMG(MATRIX)
    scale = np.linspace(0.5, 1.5, MATRIX.shape[0])
    with pytest.raises(AccuracyError, match="not symmetric"):
        spectral_bounds(MATRIX, lambda v: scale * solver.apply_preconditioner(v))


@pytest.mark.parametrize("steps", [1, 2, 3, 6])
def test_several_cycles_lie_within_their_bounds_and_stay_symmetric(steps):
    solver = AMG(MATRIX)
    size = MATRIX.shape[0]
    given = spectral_bounds(MATRIX, solver.apply_preconditioner)
    apply, low, high = chebyshev_accelerated(MATRIX, solver.apply_preconditioner, *given, steps)
    values, vectors = np.linalg.eigh(MATRIX.toarray())
    root = vectors[:, 1:] * np.sqrt(values[1:])
    dense = apply(np.eye(size))
    np.testing.assert_allclose(dense, dense.T, atol=1e-12 * np.abs(dense).max())
    exact = np.linalg.eigvalsh(root.T @ (0.5 * (dense + dense.T)) @ root)
    assert low <= exact[0] and exact[-1] <= high
    assert high / low < (given[1] / given[0]) ** (1.0 / steps**0.5) * 1.001
    assert exact[-1] / exact[0] > 0.5 * high / low


@pytest.fixture(scope="module", params=["pyamg", "petsc"])
def trained(request, tmp_path_factory):
    if request.param == "petsc":
        pytest.importorskip("petsc4py")
    solver = partial(make_solver, backend=request.param)
    found = {}
    for name, riesz, cycles in (("solve", "solve", 1), ("cycle", "cycle", 1), ("3", "cycle", 3)):
        state = tmp_path_factory.mktemp(name)
        rule = Settings(max_snapshots=8, training=100, riesz=riesz, cycles=cycles)
        model = train_pairs(OPERATOR, PAIRS, BOX, rule, solver_factory=solver, state=state,
                            keep_bases=True)  # fmt: skip
        bases = {s: load_basis(state / pair_folder(OPERATOR, s)) for s, _ in PAIRS}
        found[name] = model, bases
    return solver, found


def test_bound_holds_within_its_effectivity_limit(trained, tmp_path):
    solver, found = trained
    points = latin_hypercube(BOX, 12, np.random.default_rng(5))[1:]
    mean = {}
    for name, (model, bases) in found.items():
        table = validate(model, OPERATOR, solver, points, bases=bases, snapshots=[1, 4, 8])
        assert table.judged.all() and not table.violated.any()
        assert (table.bound >= table.error).all()
        assert (table.lower <= table.error).all()
        assert (table.effectivity <= table.limit * (1 + 1e-6)).all()
        mean[name] = table.effectivity.mean()
    assert mean["solve"] < mean["3"] < mean["cycle"] < 6
    model, _ = found["cycle"]
    assert model.pairs[0].spread > 1
    model.write(tmp_path / "rom.h5")
    again = ReducedModel.read(tmp_path / "rom.h5")
    assert again.pairs[0].spread == model.pairs[0].spread
    assert np.array_equal(again.bound(points), model.bound(points))


def test_no_system_is_solved_for_the_bound(trained):
    _, found = trained
    assert np.all(found["cycle"][0].pairs[0].history["riesz_iterations"] == 0)
    assert np.all(found["solve"][0].pairs[0].history["riesz_iterations"] > 0)


def test_bound_with_an_exact_inverse_is_that_of_solves(tmp_path):
    """With B = X^-1 only the safety of the spectral bound is left."""
    solver = partial(make_solver, backend="direct")
    rule = Settings(max_snapshots=5, training=60)
    points = np.random.default_rng(1).uniform(BOX.lower, BOX.upper, (9, 6))
    one, other = (
        train_pairs(OPERATOR, PAIRS, BOX, dataclasses.replace(rule, riesz=riesz),
                    solver_factory=solver).bound(points)
        for riesz in ("solve", "cycle")
    )  # fmt: skip
    assert np.allclose(other / one, 1 / np.sqrt(0.98), rtol=1e-5)


def test_unknown_riesz_map_is_refused():
    with pytest.raises(InputError, match="riesz"):
        Settings(riesz="sketch")
