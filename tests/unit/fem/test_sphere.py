"""The layered-sphere series against reference numbers, closed forms and slow versions."""

import numpy as np
import pytest
from scipy.special import eval_legendre

from headcond.checks import InputError
from headcond.fem.sphere import layered_potential, surface_admittance
from tests.helpers.fem_meshes import direction

RADII = np.array([0.072, 0.079, 0.08, 0.082, 0.085, 0.0865, 0.092])
SIGMA = np.array([0.134, 0.388, 1.622, 0.0055, 0.028, 0.0055, 0.3735])
R, CURRENT = 0.092, 20e-6
SOURCE, SINK = R * direction(0.3, 0), R * direction(1.2, np.pi)
THETA = [0.2, 0.72, 1.24, 1.76, 2.28, 2.8]
POINTS = R * np.array([direction(theta, np.pi / 2) for theta in THETA])


def seven(**keywords):
    return layered_potential(POINTS, RADII, SIGMA, SOURCE, SINK, CURRENT, **keywords)


def test_seven_layer_reference_to_its_printed_digits():
    printed = [9.72023541e-4, 2.90134099e-4, 5.74442503e-5, -1.91916660e-5, -4.68108136e-5,
               -5.66419807e-5]  # fmt: skip
    digit = 10.0 ** (np.floor(np.log10(np.abs(printed))) - 8)
    assert np.all(np.abs(seven() - printed) <= 0.51 * digit)


def test_one_layer_is_the_closed_form():
    def closed(point, end):
        c = point @ end / R**2
        d = np.sqrt(2 - 2 * c)
        return 2 / d - np.log((1 - c + d) / 2)

    sigma = 0.33
    want = [closed(p, SOURCE) - closed(p, SINK) for p in POINTS]
    found = layered_potential(POINTS, [R], [sigma], SOURCE, SINK, CURRENT)
    np.testing.assert_allclose(found, CURRENT / (4 * np.pi * sigma * R) * np.array(want))


def test_layers_of_one_conductivity_are_one_layer():
    one = layered_potential(POINTS, [R], [0.33], SOURCE, SINK, CURRENT)
    many = layered_potential(POINTS, RADII, np.full(7, 0.33), SOURCE, SINK, CURRENT)
    np.testing.assert_allclose(many, one, rtol=1e-10)


@pytest.mark.parametrize("n", [1, 2, 5, 17])
def test_admittance_solves_the_interface_conditions(n):
    """Unknowns a_j, b_j of a_j r^nu + b_j r^-(nu+1); continuity of u and of the flux."""
    tangential = SIGMA * np.array([1, 2, 1, 3, 1, 0.5, 1.5])
    nu = (np.sqrt(1 + 4 * n * (n + 1) * tangential / SIGMA) - 1) / 2
    r = RADII / R
    layers = len(r)
    matrix, right = np.zeros((2 * layers, 2 * layers)), np.zeros(2 * layers)

    def values(j, radius):
        u = radius ** nu[j], radius ** -(nu[j] + 1)
        return u, (SIGMA[j] * nu[j] * u[0] / radius, -SIGMA[j] * (nu[j] + 1) * u[1] / radius)

    matrix[0, 1] = 1  # regular at the centre
    for j in range(layers - 1):
        for side, sign in ((j, 1), (j + 1, -1)):
            u, flux = values(side, r[j])
            matrix[2 * j + 1, 2 * side : 2 * side + 2] = sign * np.array(u)
            matrix[2 * j + 2, 2 * side : 2 * side + 2] = sign * np.array(flux)
    matrix[-1, -2:] = values(layers - 1, 1.0)[1]
    right[-1] = 1.0  # unit flux at the surface
    scale = np.abs(matrix).max(axis=0)
    u = values(layers - 1, 1.0)[0] @ (np.linalg.solve(matrix / scale, right) / scale)[-2:]
    found = surface_admittance(np.array([float(n)]), RADII, SIGMA, tangential)
    np.testing.assert_allclose(found, 1 / u, rtol=1e-9)


def test_isotropic_anisotropy_changes_nothing():
    np.testing.assert_array_equal(seven(tangential=SIGMA), seven())
    # By the general formula too, which the shortcut for equal components passes by.
    np.testing.assert_allclose(seven(tangential=SIGMA * (1 + 1e-13)), seven(), rtol=1e-10)


def test_an_anisotropic_layer_is_the_limit_of_thin_isotropic_ones():
    low, high = 0.004, 0.04  # in series radially, side by side tangentially
    radial, tangential = 2 / (1 / low + 1 / high), (low + high) / 2
    inner = [0.08, 0.086, R]
    layer = layered_potential(POINTS, inner, [0.33, radial, 0.43], SOURCE, SINK, CURRENT,
                              tangential=[0.33, tangential, 0.43])  # fmt: skip
    errors = []
    for count in (50, 100, 200):
        cuts = np.linspace(0.08, 0.086, 2 * count + 1)
        sigma = [0.33, *([low, high] * count), 0.43]
        thin = layered_potential(POINTS, [*cuts, R], sigma, SOURCE, SINK, CURRENT)
        errors.append(np.abs(thin - layer).max() / np.abs(layer).max())
    assert errors[2] < 2e-3
    assert errors[0] / errors[1] > 1.8 and errors[1] / errors[2] > 1.8


def test_an_anisotropic_outermost_layer_is_the_limit_of_a_vanishing_skin():
    tangential = SIGMA.copy()
    tangential[-1] *= 2.0
    bare = seven(tangential=tangential)
    grown = 1 + 1e-7
    skin = layered_potential(POINTS * grown, [*RADII, R * grown], [*SIGMA, 0.3735], SOURCE * grown,
                             SINK * grown, CURRENT, tangential=[*tangential, 0.3735])  # fmt: skip
    np.testing.assert_allclose(bare, skin, rtol=2e-5, atol=1e-5 * np.abs(skin).max())


def test_reciprocity():
    def transfer(source, sink, plus, minus):
        u = layered_potential([plus, minus], RADII, SIGMA, source, sink, CURRENT)
        return u[0] - u[1]

    assert transfer(SOURCE, SINK, POINTS[1], POINTS[4]) == pytest.approx(
        transfer(POINTS[1], POINTS[4], SOURCE, SINK), rel=1e-9
    )


def around(centre, half_angle, rings=60, spokes=60):
    """Equal-area points of a cap around the direction `centre`."""
    cosines = 1 - (np.arange(rings) + 0.5) / rings * (1 - np.cos(half_angle))
    spin = 2 * np.pi * (np.arange(spokes) + 0.5) / spokes
    centre = centre / np.linalg.norm(centre)
    side = np.cross(centre, [0.3, -0.5, 0.8])
    side /= np.linalg.norm(side)
    across = np.cross(centre, side)
    ring = np.cos(spin)[:, None] * side + np.sin(spin)[:, None] * across
    sines = np.sqrt(1 - cosines**2)
    return R * (cosines[:, None, None] * centre + sines[:, None, None] * ring).reshape(-1, 3)


def test_discs_average_point_readings_and_point_sources():
    angle = 0.12
    read = [
        layered_potential(around(p, angle), RADII, SIGMA, SOURCE, SINK, CURRENT).mean()
        for p in POINTS
    ]
    np.testing.assert_allclose(seven(reading_half_angle=angle), read, rtol=2e-4)
    feeds = zip(around(SOURCE, angle, 12, 12), around(SINK, angle, 12, 12), strict=True)
    fed = [layered_potential(POINTS, RADII, SIGMA, p, q, CURRENT) for p, q in feeds]
    np.testing.assert_allclose(seven(half_angle=angle), np.mean(fed, axis=0), rtol=5e-4)


def test_small_discs_tend_to_points():
    gaps = [np.abs(seven(half_angle=a) - seven()).max() for a in (0.08, 0.04, 0.02)]
    assert gaps[0] / gaps[1] == pytest.approx(4, rel=0.05)
    assert gaps[1] / gaps[2] == pytest.approx(4, rel=0.05)


def test_driven_discs_have_a_finite_potential():
    """Two equal discs on one spot, against the plain series with many terms."""
    angle = 0.1
    n = np.arange(1.0, 20001)
    xi = surface_admittance(n, RADII, SIGMA, SIGMA)
    edge = eval_legendre(np.arange(0, 20002), np.cos(angle))
    cap = (edge[:-2] - edge[2:]) / ((2 * n + 1) * (1 - np.cos(angle)))
    c = SOURCE @ SINK / R**2
    plain = np.sum((2 * n + 1) / xi * cap**2 * (1 - eval_legendre(n.astype(int), c)))
    u = layered_potential([SOURCE, SINK], RADII, SIGMA, SOURCE, SINK, CURRENT, half_angle=angle,
                          reading_half_angle=angle)  # fmt: skip
    assert u[0] - u[1] == pytest.approx(2 * CURRENT / (4 * np.pi * R) * plain, rel=1e-5)


@pytest.mark.parametrize(("change", "match"), [
    ({"radii": RADII[::-1]}, "increase"),
    ({"sigma": SIGMA[:-1]}, "sigma must have shape"),
    ({"sigma": -SIGMA}, "sigma must be above 0"),
    ({"tangential": 0 * SIGMA}, "tangential must be above 0"),
    ({"points": 0.9 * POINTS}, "points: the series holds on the surface"),
    ({"source": 2 * SOURCE}, "source: the series holds on the surface"),
    ({"points": SOURCE}, "infinite"),
    ({"half_angle": -0.1}, "half_angle must be"),
    ({"reading_half_angle": 2.0}, "reading_half_angle must be"),
])  # fmt: skip
def test_bad_input_is_refused(change, match):
    good = {"points": POINTS, "radii": RADII, "sigma": SIGMA, "source": SOURCE, "sink": SINK,
            "current": CURRENT}  # fmt: skip
    with pytest.raises(InputError, match=match):
        layered_potential(**(good | change))


def test_a_reading_on_the_rim_of_a_disc_is_an_error():
    rim = around(SOURCE, 0.1)[:1]
    angle = np.arccos(rim[0] @ SOURCE / R**2)
    with pytest.raises(ArithmeticError, match="rim"):
        layered_potential(rim, RADII, SIGMA, SOURCE, SINK, CURRENT, half_angle=float(angle))
