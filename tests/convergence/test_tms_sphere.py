"""SPFD against the closed form of Heller and van Hulsteyn in spheres of concentric layers.

The conductivities of the layers do not enter the closed form, so a layered sphere checks that
the solver's field does not see them either. Errors are relative L2 norms over whole regions.
"""

from __future__ import annotations

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.tms import coil, spfd, sphere

DIDT = 1e6
RADII, SIGMA = (0.058, 0.070, 0.082, 0.090), (0.1, 2.0, 0.02, 0.1)
DIPOLES = coil.from_dipoles([[0.03, 0.02, 0.105], [-0.05, 0.09, 0.03]],
                            [[0.3, -0.5, 0.2], [0.4, 0.1, 0.1]])  # fmt: skip


def layered(steps, radii, sigma, subdivide=4, turn=None):
    """Conductivity of concentric layers and its affine; voxels hold means of subdivisions."""
    steps = np.broadcast_to(np.asarray(steps, float), (3,))
    counts = 2 * np.ceil(0.093 / steps).astype(int)
    fine = [
        (np.arange(n * subdivide) - (n * subdivide - 1) / 2) * h / subdivide
        for n, h in zip(counts, steps, strict=True)
    ]
    square = sum(np.square(x).reshape(shape) for x, shape in
                 zip(fine, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)), strict=True))  # fmt: skip
    values = np.zeros(square.shape, np.float32)
    for radius, value in sorted(zip(radii, sigma, strict=True), reverse=True):
        values[square < radius**2] = value
    axes = np.eye(3) if turn is None else turn
    affine = np.eye(4)
    affine[:3, :3] = axes * (1e3 * steps / subdivide)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(values.shape) - 1) / 2)
    return spfd.block_mean(values, affine, subdivide) if subdivide > 1 else (values, affine)


def error(conductivity, affine, source, low=0.0, high=np.inf, thin=1):
    """Relative L2 error of E over voxel centres with low <= radius < high."""
    field = spfd.solve_efield(conductivity, affine, source, DIDT)
    assert field.residual <= 1e-6 and field.components == 1
    index = np.argwhere(conductivity > 0)[::thin]
    points = (index @ affine[:3, :3].T + affine[:3, 3]) * 1e-3
    radius = np.linalg.norm(points, axis=1)
    chosen = (radius >= low) & (radius < high)
    exact = sphere.dipole_efield(points[chosen], source.positions, source.moments, DIDT)
    got = field.vector[tuple(index[chosen].T)]
    return np.linalg.norm(got - exact) / np.linalg.norm(exact)


def test_closed_form_has_the_properties_of_an_induced_field():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(50, 3)) * 0.03
    exact = sphere.dipole_efield(points, DIPOLES.positions, DIPOLES.moments, DIDT)
    size = np.abs(exact).max()
    assert np.abs(np.einsum("ij,ij->i", points, exact)).max() < 1e-12 * size  # no radial part
    step = 1e-5
    jacobian = np.empty((50, 3, 3))
    curl_a = np.empty((50, 3, 3))
    for axis in range(3):
        shift = np.eye(3)[axis] * step
        jacobian[:, :, axis] = (
            sphere.dipole_efield(points + shift, DIPOLES.positions, DIPOLES.moments, DIDT)
            - sphere.dipole_efield(points - shift, DIPOLES.positions, DIPOLES.moments, DIDT)
        ) / (2 * step)
        curl_a[:, :, axis] = (
            DIPOLES.dadt(points + shift, DIDT) - DIPOLES.dadt(points - shift, DIDT)
        ) / (2 * step)
    trace = np.trace(jacobian, axis1=1, axis2=2)
    assert np.abs(trace).max() < 1e-5 * np.abs(jacobian).max()  # no charge inside a layer
    faraday = jacobian + curl_a  # curl E = -dB/dt: E + dA/dt is a gradient
    assert np.abs(faraday - faraday.transpose(0, 2, 1)).max() < 1e-5 * np.abs(jacobian).max()


def test_closed_form_of_a_radial_dipole_needs_no_charges():
    points = np.random.default_rng(1).normal(size=(30, 3)) * 0.03
    position = np.array([0.05, -0.06, 0.08])
    exact = sphere.dipole_efield(points, position, 3 * position, DIDT)
    np.testing.assert_allclose(exact, -coil.from_dipoles(position, 3 * position).dadt(points, DIDT),
                               rtol=1e-9, atol=1e-12)  # fmt: skip
    assert not sphere.dipole_efield(points, position, [0, 0, 0], DIDT).any()
    with pytest.raises(InputError, match="outside"):
        sphere.dipole_efield([[0.2, 0, 0]], position, [0, 0, 1], DIDT)


def test_homogeneous_sphere_converges():
    errors = [error(*layered(h, [0.09], [0.33]), DIPOLES, thin=7 if h < 3e-3 else 1)
              for h in (8e-3, 4e-3, 2e-3)]  # fmt: skip
    assert errors[0] < 0.045 and errors[1] < 0.025 and errors[2] < 0.016
    inner = [error(*layered(h, [0.09], [0.33]), DIPOLES, high=0.09 - 8e-3) for h in (8e-3, 4e-3)]
    assert np.log2(inner[0] / inner[1]) > 1.5  # away from the staircase nearly second order


def test_subvoxel_conductivity_beats_a_finer_grid():
    binary = error(*layered(2e-3, [0.09], [0.33], subdivide=1), DIPOLES, thin=7)
    assert 0.04 < binary < 0.08
    assert error(*layered(4e-3, [0.09], [0.33]), DIPOLES) < 0.5 * binary


def test_layered_sphere_converges():
    shells = [(0.0, RADII[0]), (RADII[0], RADII[1])]
    errors = np.array([
        [error(*layered(h, RADII, SIGMA), DIPOLES, *shell, thin=3 if h < 3e-3 else 1)
         for shell in shells] for h in (8e-3, 4e-3, 2e-3)
    ])  # fmt: skip
    assert (errors[-1] < [0.04, 0.06]).all()
    assert (errors[0] / errors[-1] > 2).all()


def test_long_turned_voxels():
    a, b = 0.5, 0.3
    z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    conductivity, affine = layered((3e-3, 4e-3, 6e-3), [0.09], [0.33], turn=z @ x)
    assert error(conductivity, affine, DIPOLES) < 0.035


def test_radial_dipole_builds_up_no_charge():
    source = coil.from_dipoles([0.0, 0.06, 0.09], [0.0, 0.6, 0.9])
    conductivity, affine = layered(4e-3, RADII, SIGMA)
    assert error(conductivity, affine, source, high=0.085) < 0.02


@pytest.mark.slow
def test_magstim_coil_over_a_sphere(data_dir):
    below = np.diag([1.0, -1, -1, 1])
    below[2, 3] = 0.094
    source = coil.read(data_dir / "coils_and_caps" / "MagStim_D70.ccd").transformed(below)
    errors = [error(*layered(h, RADII, SIGMA), source, thin=thin)
              for h, thin in ((4e-3, 8), (2e-3, 64))]  # fmt: skip
    assert errors[0] < 0.08 and errors[1] < 0.5 * errors[0] + 0.02
