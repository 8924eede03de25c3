"""Coils against closed forms: elliptic integrals, dipole far fields, files, rigid motions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ellipe, ellipk

from headcond.checks import InputError
from headcond.tms import coil, coil_files

MU0 = 4e-7 * np.pi


def loop_potential(radius, rho, z):
    """Azimuthal A of a circular loop in z = 0 with 1 A (Jackson 5.37)."""
    m = 4 * radius * rho / ((radius + rho) ** 2 + z**2)
    k = np.sqrt(m)
    return MU0 / (np.pi * k) * np.sqrt(radius / rho) * ((1 - m / 2) * ellipk(m) - ellipe(m))


def rotation(rng):
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q))


def test_circular_coil_is_the_elliptic_integral():
    rng = np.random.default_rng(1)
    points = rng.uniform(-0.1, 0.1, (200, 3))
    points[:, 2] = np.sign(points[:, 2]) * (0.01 + np.abs(points[:, 2]))
    rho = np.hypot(points[:, 0], points[:, 1])
    azimuth = np.stack([-points[:, 1], points[:, 0], 0 * rho], axis=1) / rho[:, None]
    exact = loop_potential(0.04, rho, points[:, 2])[:, None] * azimuth
    errors = []
    for corners in (36, 72, 144):
        got = coil.circular(0.08, corners=corners).dadt(points, 1.0)
        errors.append(np.linalg.norm(got - exact) / np.linalg.norm(exact))
    assert errors[-1] < 2e-5
    assert errors[0] / errors[1] > 3.5 and errors[1] / errors[2] > 3.5  # second order in 1/corners


def test_segment_formula_near_and_far_is_its_integral():
    start, end = np.array([0.01, -0.02, 0.0]), np.array([0.03, 0.02, 0.01])
    wire = coil.Coil(starts=start[None], ends=end[None])
    nodes, weights = np.polynomial.legendre.leggauss(200)
    along = start + np.outer((nodes + 1) / 2, end - start)
    for point in ([0.02, 0.004, 0.006], [0.05, 0.03, 0.1], [3.0, 2.0, -1.0], [0.0, 0.0, 0.02]):
        inverse = 1 / np.linalg.norm(np.array(point) - along, axis=1)
        exact = 1e-7 * (weights @ inverse) / 2 * (end - start)
        np.testing.assert_allclose(wire.dadt([point], 1.0)[0], exact, rtol=2e-9)


def test_far_field_of_wings_is_that_of_their_moments():
    eight = coil.figure_of_eight(corners=60)
    radii = np.linspace(0.047, 0.097, 9) / 2
    moment = np.pi * (radii**2).sum()
    far = coil.from_dipoles([[0.0485, 0, 0], [-0.0485, 0, 0]], [[0, 0, moment], [0, 0, -moment]])
    directions = np.random.default_rng(2).normal(size=(40, 3))
    points = 3.0 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    got, wanted = eight.dadt(points, 1e6), far.dadt(points, 1e6)
    assert np.abs(got - wanted).max() < 2e-3 * np.abs(wanted).max()


def test_induced_field_is_symmetric_and_strongest_below_the_middle():
    eight = coil.figure_of_eight()
    x = np.linspace(-0.12, 0.12, 49)
    below = np.stack([x, 0 * x, 0 * x + 0.02], axis=1)
    field = np.linalg.norm(eight.dadt(below, 1e6), axis=1)
    np.testing.assert_allclose(field, field[::-1], rtol=1e-10)
    assert field.argmax() == 24


def test_magstim_file_resembles_the_wire_model(data_dir):
    file = coil_files.read(data_dir / "coils_and_caps" / "MagStim_D70.ccd")
    assert file.positions.shape == (964, 3)
    wire = coil.figure_of_eight()
    moment = file.moments[file.positions[:, 0] > 0].sum(axis=0)
    areas = 0.5 * np.cross(wire.starts, wire.ends)[wire.starts[:, 0] + wire.ends[:, 0] > 0]
    np.testing.assert_allclose(areas.sum(axis=0), moment, rtol=0.1, atol=1e-6)
    points = np.random.default_rng(3).uniform([-0.06, -0.06, 0.03], [0.06, 0.06, 0.08], (300, 3))
    a, b = file.dadt(points, 1e6), wire.dadt(points, 1e6)
    cosine = (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)
    assert cosine > 0.98
    assert 0.6 < np.linalg.norm(a) / np.linalg.norm(b) < 1.1  # its windings are 3-18 mm higher


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.floats(1e3, 1e8))
def test_rigid_motion_moves_the_field_with_the_coil(seed, didt):
    rng = np.random.default_rng(seed)
    source = coil.combine(
        coil.circular(0.05, corners=8), coil.from_dipoles(rng.normal(size=(3, 3)) * 0.03, np.eye(3))
    )
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation(rng), rng.normal(size=3) * 0.1
    points = rng.normal(size=(5, 3)) * 0.2
    moved = points @ matrix[:3, :3].T + matrix[:3, 3]
    np.testing.assert_allclose(
        source.transformed(matrix).dadt(moved, didt),
        source.dadt(points, didt) @ matrix[:3, :3].T, rtol=1e-6, atol=1e-12 * didt,
    )  # fmt: skip


def test_superposition_and_shapes():
    a, b = coil.circular(0.05), coil.from_dipoles([0, 0, 0.1], [1, 0, 0])
    points = np.random.default_rng(4).normal(size=(2, 7, 3))
    both = coil.combine(a, b).dadt(points, 2.0)
    assert both.shape == (2, 7, 3)
    np.testing.assert_allclose(both, a.dadt(points, 2.0) + b.dadt(points, 2.0), rtol=1e-12)


def test_source_points_follow_the_wire():
    points = coil.circular(0.1, corners=16).source_points(spacing=1e-3)
    radius = np.linalg.norm(points, axis=1)
    assert radius.max() < 0.053 and radius.min() > 0.049
    angle = np.sort(np.arctan2(points[:, 1], points[:, 0]))
    assert np.diff(angle).max() * 0.05 < 1.05e-3


@pytest.mark.parametrize(
    "text",
    [
        "# x\n3\n0 0 0 0 0 1\n0 0 0.1 0 0 1\n",  # wrong count
        "# x\n1\n0 0 0 0 0\n",  # five columns
        "# x\n1\n0 0 nan 0 0 1\n",
        "# x\n1\n0 0 40 0 0 1\n",  # millimetres
        "# x\n",
    ],
)
def test_bad_files_are_refused(tmp_path, text):
    path = tmp_path / "bad.ccd"
    path.write_text(text)
    with pytest.raises(InputError, match=r"bad\.ccd"):
        coil_files.read(path)


def test_bad_coils_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        coil_files.read(tmp_path / "absent.ccd")
    with pytest.raises(InputError, match="a coil file ends in"):
        coil_files.read(tmp_path / "absent.txt")
    with pytest.raises(InputError, match="neither"):
        coil.Coil()
    with pytest.raises(InputError, match="2 dipoles but 1"):
        coil.from_dipoles(np.eye(3)[:2], [0, 0, 1])
    with pytest.raises(InputError, match="below the outer"):
        coil.figure_of_eight(outer=0.04, inner=0.05)
    mirror = np.diag([-1.0, 1, 1, 1])
    with pytest.raises(InputError, match="mirror"):
        coil.circular().transformed(mirror)
    far = np.eye(4)
    far[:3, 3] = 80.0
    with pytest.raises(InputError, match="metres"):
        coil.circular().transformed(far)
