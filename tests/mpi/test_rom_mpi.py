"""Reduced models do not depend on ranks, nor on how they are split."""

from pathlib import Path

import numpy as np
import pytest

from headcond.fem.solvers import make_solver
from headcond.rom.model import ReducedModel
from headcond.rom.parameters import latin_hypercube
from tests.helpers.rom_synthetic import synthetic_operator
from tests.mpi.launch import run_ranks

HERE = Path(__file__).parent
PROGRAM = HERE / "train_models.py"
OPERATOR = synthetic_operator(6)

pytestmark = pytest.mark.mpi


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Reduced model trained on so many ranks, ranks per solve, in a mode; each once."""
    pytest.importorskip("petsc4py", reason="petsc4py is not installed")
    folder, found = tmp_path_factory.mktemp("models"), {}

    def train(ranks, ranks_per_solve, mode="each"):
        key = (ranks, ranks_per_solve, mode)
        if key not in found:
            path = folder / "-".join(map(str, key))
            run_ranks(ranks, PROGRAM, path, "none", ranks_per_solve, mode)
            found[key] = ReducedModel.read(path)
        return found[key]

    return train


def assert_same_model(first, second):
    """The same snapshots, voltages, Jacobians and bounds to 1e-8."""
    assert first.sources == second.sources
    points = latin_hypercube(first.box, 30, np.random.default_rng(0))
    for a, b in zip(first.pairs, second.pairs, strict=True):
        assert np.array_equal(a.history["mu"], b.history["mu"])
        assert np.allclose(a.A_N, b.A_N, rtol=0, atol=1e-8 * np.abs(a.A_N).max())
        assert np.allclose(a.history["maximum"], b.history["maximum"], rtol=1e-8)
    for call in ("voltages", "jacobian"):
        one, two = (getattr(model, call)(points) for model in (first, second))
        assert np.abs(one - two).max() <= 1e-8 * np.abs(one).max()
    assert np.allclose(first.bound(points[1:]), second.bound(points[1:]), rtol=1e-7)


@pytest.mark.parametrize(
    ("ranks", "ranks_per_solve", "mode"),
    [(2, 1, "each"), (2, 2, "each"), (2, 1, "joint"), (4, 2, "joint")],
)
def test_same_model_on_any_ranks(trained, ranks, ranks_per_solve, mode):
    assert_same_model(trained(1, 1, mode), trained(ranks, ranks_per_solve, mode))


def test_bound_by_cycles_that_ranks_share_is_a_bound(trained, tmp_path):
    """Ranks that share a solve have another V-cycle, hence another bound: still one."""
    exact = trained(1, 1)
    box, points = exact.box, latin_hypercube(exact.box, 20, np.random.default_rng(1))
    for ranks, ranks_per_solve in ((2, 1), (2, 2)):
        path = tmp_path / f"{ranks_per_solve}.h5"
        run_ranks(ranks, PROGRAM, path, "none", ranks_per_solve, "each", "cycle")
        found = ReducedModel.read(path)
        for pair in found.pairs:
            load = OPERATOR.load(pair.source, pair.sink, found.current)
            bound = found.select([pair.source]).bound(points)[:, 0]
            for sigma, most in zip(points, bound, strict=True):
                matrix = OPERATOR.combine(box.coefficients(OPERATOR, sigma))
                energy = load @ make_solver(matrix, backend="direct").solve(load).x
                gap = energy - pair.energy(pair.solve(box.theta(sigma)[None]))[0]
                assert gap <= most**2 + 1e-12 * energy
                assert most**2 <= 1.01 * pair.spread * 6.2**2 * gap + 1e-9 * energy


def test_finished_pairs_of_other_ranks_are_taken_up(trained, tmp_path):
    """One pair's file is lost; one rank takes it up after two."""
    state, path = tmp_path / "state", tmp_path / "model.h5"
    run_ranks(2, PROGRAM, path, state, 2, "each")
    files = sorted(state.glob("*.h5"))
    assert len(files) == 2
    stamps = [file.stat().st_mtime_ns for file in files]
    files[1].unlink()
    run_ranks(1, PROGRAM, path, state, 1, "each")
    assert files[0].stat().st_mtime_ns == stamps[0]
    assert files[1].exists()
    assert_same_model(trained(1, 1), ReducedModel.read(path))
