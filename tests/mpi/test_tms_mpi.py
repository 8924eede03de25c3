"""PETSc on one, two and three ranks gives the field of the multigrid solver."""

from pathlib import Path

import numpy as np
import pytest

from headcond.tms import coil
from headcond.tms.spfd import solve_efield
from tests.mpi.launch import run_ranks

SCRIPT = Path(__file__).with_name("solve_field.py")
pytestmark = pytest.mark.mpi


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """A map with a shell of bone and two islands, two positions, and their fields."""
    pytest.importorskip("petsc4py", reason="PETSc is not installed")
    rng = np.random.default_rng(0)
    shape = (20, 18, 22)
    radius = np.linalg.norm(
        np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"), axis=0
    )
    sigma = np.where(radius < 0.95, np.exp(rng.uniform(-3, 1, shape)), 0).astype(np.float32)
    sigma[(radius > 0.75) & (radius < 0.85)] = 0.02
    sigma[0, 0, 0] = sigma[19, 0, 0] = 0.3
    affine = np.diag([2.0, 2.5, 3.0, 1.0])
    affine[:3, 3] = -np.diag(affine)[:3] * (np.array(shape) - 1) / 2
    positions = np.array([[0.01, 0.02, 0.06], [-0.05, 0.03, 0.02]])
    moments = np.array([[0.2, 0.1, 0.5], [1.0, 0.0, 0.0]])
    path = tmp_path_factory.mktemp("head") / "head.npz"
    np.savez(path, sigma=sigma, affine=affine, positions=positions, moments=moments)
    fields = [
        solve_efield(sigma, affine, coil.from_dipoles(*pair), 1e6, 1e-8).vector
        for pair in zip(positions, moments, strict=True)
    ]
    return path, np.stack(fields)


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_ranks_find_the_field(head, ranks):
    path, wanted = head
    out = path.with_name(f"ranks-{ranks}.npz")
    run_ranks(ranks, SCRIPT, path, out)
    found = np.load(out)
    assert int(found["size"]) == ranks
    assert found["residuals"].max() <= 1e-8
    np.testing.assert_allclose(found["vectors"], wanted, atol=1e-5 * np.abs(wanted).max())
