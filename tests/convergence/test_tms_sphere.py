"""SPFD against the closed form of Heller and van Hulsteyn in spheres of concentric layers.

The conductivities of the layers do not enter the closed form, so a layered sphere checks that
the solver's field does not see them either. Errors are relative L2 norms over whole regions.
"""

from __future__ import annotations

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.mri.resampling import block_mean
from headcond.tms import coil, coil_files, spfd, sphere

DIDT = 1e6
RADII, SIGMA = (0.058, 0.070, 0.082, 0.090), (0.1, 2.0, 0.02, 0.1)
DIPOLES = coil.from_dipoles([[0.03, 0.02, 0.105], [-0.05, 0.09, 0.03]],
                            [[0.3, -0.5, 0.2], [0.4, 0.1, 0.1]])  # fmt: skip


def layered(steps, radii, sigma, subdivide=4, turn=None):
    """Conductivity of concentric layers and its affine; voxels hold means of subdivisions."""
    steps = np.broadcast_to(np.asarray(steps, float), (3,))
    counts = np.ceil(0.093 / steps).astype(int)
    x, y, z = (
        (np.arange(n * subdivide) + 0.5) * h / subdivide for n, h in zip(counts, steps, strict=True)
    )
    square = (x**2)[:, None, None] + (y**2)[:, None] + z**2
    octant = np.zeros(square.shape, np.float32)
    for radius, value in sorted(zip(radii, sigma, strict=True), reverse=True):
        octant[square < radius**2] = value
    affine = np.eye(4)
    octant = block_mean(octant, subdivide)
    values = np.pad(octant, [(n, 0) for n in counts], mode="symmetric")
    affine[:3, :3] = (np.eye(3) if turn is None else turn) * (1e3 * steps)
    affine[:3, 3] = -affine[:3, :3] @ (counts - 0.5)
    return values, affine


def errors(conductivity, affine, source, *shells, thin=1):
    """Relative L2 errors of E over voxel centres with low <= radius < high, per shell."""
    field = spfd.solve_efield(conductivity, affine, source, DIDT)
    assert field.residual <= 1e-6 and field.components == 1
    index = np.argwhere(conductivity > 0)[::thin]
    points = (index @ affine[:3, :3].T + affine[:3, 3]) * 1e-3
    radius = np.linalg.norm(points, axis=1)
    found = []
    for low, high in shells:
        chosen = (radius >= low) & (radius < high)
        exact = sphere.dipole_efield(points[chosen], source.positions, source.moments, DIDT)
        got = field.vector[tuple(index[chosen].T)]
        found.append(np.linalg.norm(got - exact) / np.linalg.norm(exact))
    return np.array(found)


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
    found = np.array([
        errors(*layered(h, [0.09], [0.33]), DIPOLES, (0, 0.09), (0, 0.08), thin=thin)
        for h, thin in ((8e-3, 1), (4e-3, 1), (2e-3, 7))
    ])  # fmt: skip
    assert (found[:, 0] < [0.045, 0.025, 0.016]).all()
    assert (np.log2(found[:-1, 1] / found[1:, 1]) > 1.2).all()  # away from the staircase


def test_subvoxel_conductivity_beats_a_finer_grid():
    whole = (0, 0.09)
    binary = errors(*layered(2e-3, [0.09], [0.33], subdivide=1), DIPOLES, whole, thin=7)
    assert 0.04 < binary[0] < 0.08
    assert errors(*layered(4e-3, [0.09], [0.33]), DIPOLES, whole)[0] < 0.5 * binary[0]


def test_layered_sphere_converges():
    shells = ((0.0, RADII[0]), (RADII[0], RADII[1]), (0.0, RADII[-1]))
    found = np.array([errors(*layered(h, RADII, SIGMA), DIPOLES, *shells, thin=thin)
                      for h, thin in ((8e-3, 1), (4e-3, 1), (2e-3, 7))])  # fmt: skip
    assert (found[-1] < [0.035, 0.02, 0.05]).all()
    assert (found[0] > found[-1]).all()


def test_long_turned_voxels():
    a, b = 0.5, 0.3
    z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    conductivity, affine = layered((3e-3, 4e-3, 6e-3), [0.09], [0.33], turn=z @ x)
    assert errors(conductivity, affine, DIPOLES, (0, 0.09))[0] < 0.035


def test_radial_dipole_builds_up_no_charge():
    """There E = -dA/dt alone, so all that the solver adds is the error of the staircase."""
    source = coil.from_dipoles([0.0, 0.06, 0.09], [0.0, 0.6, 0.9])
    conductivity, affine = layered(4e-3, [0.09], [0.33])
    assert errors(conductivity, affine, source, (0, 0.08))[0] < 0.02


@pytest.mark.slow
def test_magstim_coil_over_a_sphere(data_dir):
    below = np.diag([1.0, -1, -1, 1])
    below[2, 3] = 0.094
    source = coil_files.read(data_dir / "coils_and_caps" / "MagStim_D70.ccd").transformed(below)
    found = [errors(*layered(h, RADII, SIGMA), source, (0, RADII[-1]), thin=thin)[0]
             for h, thin in ((4e-3, 8), (2e-3, 64))]  # fmt: skip
    assert found[0] < 0.08 and found[1] < found[0]
