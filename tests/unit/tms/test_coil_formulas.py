"""Every kind of coil against a formula written out here, at points as near as a head's."""

from __future__ import annotations

import json

import nibabel
import numpy as np
from scipy.special import ellipe, ellipk

from headcond.tms import coil, coil_files

MU0 = 4e-7 * np.pi
POINTS = np.random.default_rng(0).uniform([-0.08, -0.08, 0.015], [0.08, 0.08, 0.1], (200, 3))


def loop(radius, centre, points):
    """A of a circular loop of 1 A around z at `centre` (Jackson 5.37)."""
    x, y, z = (points - centre).T
    rho = np.hypot(x, y)
    m = 4 * radius * rho / ((radius + rho) ** 2 + z**2)
    size = MU0 / np.pi * np.sqrt(radius / (rho * m)) * ((1 - m / 2) * ellipk(m) - ellipe(m))
    return size[:, None] * np.stack([-y, x, 0 * rho], axis=1) / rho[:, None]


def dipole(position, moment, points):
    """A of a magnetic dipole, mu0/(4 pi) m x d / |d|^3."""
    d = points - position
    return MU0 / (4 * np.pi) * np.cross(moment, d) / np.linalg.norm(d, axis=1)[:, None] ** 3


def line(start, end, points):
    """A of a straight wire from start to end by Gauss-Legendre quadrature of its integral."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    along = start + np.outer((nodes + 1) / 2, end - start)
    inverse = 1 / np.linalg.norm(points[:, None] - along, axis=2)
    return MU0 / (4 * np.pi) * (inverse @ weights / 2)[:, None] * (end - start)


def close(got, exact, tolerance):
    assert np.abs(got - exact).max() < tolerance * np.abs(exact).max()


def test_figure_of_eight_is_its_eighteen_loops():
    radii = np.linspace(0.097, 0.047, 9) / 2
    exact = sum(
        sign * loop(radius, [sign * 0.0485, 0, 0], POINTS) for radius in radii for sign in (1, -1)
    )
    close(coil.figure_of_eight(corners=144).dadt(POINTS, 3.0), 3.0 * exact, 1e-3)
    close(coil.figure_of_eight().dadt(POINTS, 3.0), 3.0 * exact, 4e-3)  # as the studies use it


def test_circular_coil_is_its_loops():
    exact = sum(loop(radius, [0, 0, 0], POINTS) for radius in (0.045, 0.0375, 0.03))
    close(coil.circular(0.09, 3, 0.06, corners=144).dadt(POINTS, 1.0), exact, 1e-3)


def test_dipole_files_hold_dipoles(tmp_path):
    rng = np.random.default_rng(1)
    positions, moments = rng.uniform(-0.04, 0.0, (5, 3)), rng.normal(size=(5, 3)) * 1e-3
    rows = np.concatenate([positions, moments], axis=1)
    text = "# dipoles\n5\n" + "\n".join(" ".join(f"{v:.17g}" for v in row) for row in rows)
    (tmp_path / "five.ccd").write_text(text)
    exact = sum(dipole(p, m, POINTS) for p, m in zip(positions, moments, strict=True))
    close(coil_files.read(tmp_path / "five.ccd").dadt(POINTS, 2e6), 2e6 * exact, 1e-12)


def test_definitions_hold_dipoles_lines_and_grids_that_add_up(tmp_path):
    step = 4.0
    affine = np.array([[step, 0, 0, -100], [0, step, 0, -100], [0, 0, step, 8], [0, 0, 0, 1]])
    index = np.stack(np.mgrid[:51, :51, :26], axis=-1)
    where = (index @ affine[:3, :3].T + affine[:3, 3]) * 1e-3
    # A field that is linear in space, so that linear interpolation is exact.
    slope = np.array([[1, 2, 0], [0, -1, 3], [2, 0, 1]]) * 1e-6
    elements = [
        {"type": 1, "stimulator": 0, "points": [[10, 0, -5]], "values": [[0, 0, 0.02]]},
        {"type": 2, "stimulator": 0, "points": [[0, 0, 0], [20, 5, 0]],
         "values": [[20, 5, 0], [0, 30, -8]]},
        {"type": 3, "stimulator": 0, "data": (where @ slope.T).tolist(), "affine": affine.tolist()},
    ]  # fmt: skip
    (tmp_path / "all.tcd").write_text(json.dumps({"coilElementList": elements}))
    exact = dipole([0.01, 0, -0.005], [0, 0, 0.02], POINTS) + POINTS @ slope.T
    for start, vector in (([0, 0, 0], [0.02, 0.005, 0]), ([0.02, 0.005, 0], [0, 0.03, -0.008])):
        exact = exact + line(np.array(start), np.add(start, vector), POINTS)
    close(
        coil_files.read(tmp_path / "all.tcd").dadt(POINTS, 1.0), exact, 1e-6
    )  # the grid is float32
    nibabel.save(nibabel.Nifti1Image(where @ slope.T, affine), tmp_path / "grid.nii.gz")
    close(coil_files.read(tmp_path / "grid.nii.gz").dadt(POINTS, 1.0), POINTS @ slope.T, 1e-6)
