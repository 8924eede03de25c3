"""The potential on a sphere of concentric layers, as a series: reference of the finite elements.

For current I in at direction a and out at direction c, on the surface r = R,

    u(x) = I / (4 pi R) sum_{n>=1} (2 n + 1) / xi_M(n) [P_n(cos g_a) - P_n(cos g_c)],

where xi_M follows from the recursion of `surface_admittance` over the layers. The terms tend
to a + b/n, whose sums are known, so only the rest is summed.
"""

from __future__ import annotations

import numba
import numpy as np

from headcond.checks import InputError, check_finite, check_shape

_FIRST, _LAST = 256, 1 << 17
# Relative change on doubling the terms. Two equal discs on one spot leave a tail of 1/n^2.
_AGREEMENT_POINTS, _AGREEMENT_DISCS = 1e-9, 1e-7


def layered_potential(points: np.ndarray, radii: np.ndarray, sigma: np.ndarray,
                      source: np.ndarray, sink: np.ndarray, current: float, *,
                      tangential: np.ndarray | None = None, half_angle: float = 0.0,
                      reading_half_angle: float = 0.0) -> np.ndarray:  # fmt: skip
    """Potential at the surface of a layered sphere centred at the origin.

    Parameters
    ----------
    points : (K, 3) m, on the surface (within 2 % of the outer radius; the direction counts).
    radii : (M,) m, outer radii of the layers, increasing.
    sigma : (M,) S/m; the radial conductivities if `tangential` is given.
    source, sink : (3,) m, on the surface, where the current enters and leaves.
    current : A.
    tangential : (M,) S/m, tangential conductivities; equal to `sigma` by default.
    half_angle : rad, discs that feed the current uniformly over a cap; 0 for points.
    reading_half_angle : rad, discs over which the potential is averaged; 0 for points.

    Returns
    -------
    (K,) V, with mean zero over the sphere.

    Raises
    ------
    InputError
        If a layer or an angle is impossible, or a point is off the surface or at a point
        electrode.
    ArithmeticError
        If the series is not settled to 1e-9 of its largest value (1e-7 with discs): a point
        reading on the very rim of a disc.
    """
    radii = check_finite("radii", np.asarray(radii, float))
    if radii.ndim != 1 or len(radii) == 0 or radii[0] <= 0 or np.any(np.diff(radii) <= 0):
        raise InputError(f"radii must be positive and increase, got {radii}.")
    radial = _positive("sigma", sigma, len(radii))
    along = radial if tangential is None else _positive("tangential", tangential, len(radii))
    for name, angle in (("half_angle", half_angle), ("reading_half_angle", reading_half_angle)):
        if not 0 <= angle < np.pi / 2:
            raise InputError(f"{name} must be in [0, pi/2), got {angle!r}.")
    outer = radii[-1]
    to = _directions("points", np.atleast_2d(np.asarray(points, float)), outer)
    # Angles from chords: cosines lose half the digits next to an electrode.
    half_chord = [
        0.5 * np.linalg.norm(to - _directions(name, np.asarray(end, float)[None], outer), axis=1)
        for name, end in (("source", source), ("sink", sink))
    ]
    if half_angle == reading_half_angle == 0 and min(h.min() for h in half_chord) < 1e-12:
        raise InputError("A point is at a point electrode, where the potential is infinite.")
    cosines = np.array([1 - 2 * h**2 for h in half_chord])

    caps = [angle for angle in (half_angle, reading_half_angle) if angle > 0]
    ratio = np.sqrt(along[-1] / radial[-1])
    constant, slope = 2 / (radial[-1] * ratio), 1 / (radial[-1] * ratio**2)
    closed = np.zeros(len(to))
    if not caps:
        for sign, h in zip((1, -1), half_chord, strict=True):
            closed += sign * (constant / (2 * h) - slope * np.log(h**2 + h))

    agreement = _AGREEMENT_DISCS if caps else _AGREEMENT_POINTS
    terms, last = _FIRST, None
    while terms <= _LAST:
        n = np.arange(1.0, terms + 1)
        weight = (2 * n + 1) / surface_admittance(n, radii, radial, along)
        if not caps:
            weight -= constant + slope / n
        for angle in caps:
            weight *= _cap_mean(terms, np.cos(angle))
        weight *= _taper(n / terms)
        total = closed + _legendre_sum(weight, cosines[0]) - _legendre_sum(weight, cosines[1])
        if last is not None:
            change = np.abs(total - last).max()
            if change <= agreement * np.abs(total).max():
                return current / (4 * np.pi * outer) * total
        last, terms = total, 2 * terms
    raise ArithmeticError(
        f"The series still moves by {change:.3e} of {np.abs(total).max():.3e} at {_LAST} terms: "
        "a point reading too near the rim of a disc."
    )


def surface_admittance(
    n: np.ndarray, radii: np.ndarray, radial: np.ndarray, tangential: np.ndarray
) -> np.ndarray:
    """xi_M(n) = R sigma_r (du/dr)/u at the surface for the harmonics of degree `n`, in S/m.

    With nu(nu + 1) = n(n + 1) sigma_t / sigma_r in each layer, potentials go as r^nu and
    r^-(nu+1); rho is their ratio at the layer's inner radius.

    Parameters
    ----------
    n : (K,) degrees from 1.
    radii, radial, tangential : (M,) as for `layered_potential`.

    Returns
    -------
    (K,) S/m.
    """
    xi = np.zeros_like(n)
    for j, (sr, st) in enumerate(zip(radial, tangential, strict=True)):
        # Exactly n where the layer is isotropic.
        nu = n if sr == st else (np.sqrt(1 + 4 * n * (n + 1) * st / sr) - 1) / 2
        if j == 0:
            xi = sr * nu
            continue
        rho = (nu * sr - xi) / ((nu + 1) * sr + xi)
        damped = rho * (radii[j - 1] / radii[j]) ** (2 * nu + 1)
        xi = sr * (nu - (nu + 1) * damped) / (1 + damped)
    return xi


def _cap_mean(terms: int, cosine: float) -> np.ndarray:
    """Mean of P_n over a cap around the pole, n = 1..terms: (P_{n-1} - P_{n+1})/((2n+1)(1-c))."""
    values = _legendre(terms + 1, cosine)
    n = np.arange(1.0, terms + 1)
    return (values[:-2] - values[2:]) / ((2 * n + 1) * (1 - cosine))


def _taper(x: np.ndarray) -> np.ndarray:
    """Smooth cut-off: 1 up to x = 1/2, 0 at 1, infinitely often differentiable between.

    A sharp cut rings over the whole sphere; a smooth one only near discontinuities.
    """
    out = np.ones_like(x)
    fall = x > 0.5
    s = np.clip(2 * x[fall] - 1, 1e-12, 1 - 1e-12)
    out[fall] = 1 / (1 + np.exp(np.clip(1 / (1 - s) - 1 / s, -700, 700)))
    return out


@numba.njit(cache=True)
def _legendre(degree, c):  # noqa: ANN001
    values = np.empty(degree + 1)
    values[0] = 1.0
    values[1] = c
    for n in range(1, degree):
        values[n + 1] = ((2 * n + 1) * c * values[n] - n * values[n - 1]) / (n + 1)
    return values


@numba.njit(cache=True)
def _legendre_sum(weight, cosines):  # noqa: ANN001
    out = np.zeros(cosines.size)
    for k in range(cosines.size):
        c = cosines[k]
        before, here = 1.0, c
        for i in range(weight.size):
            out[k] += weight[i] * here
            n = i + 1
            before, here = here, ((2 * n + 1) * c * here - n * before) / (n + 1)
    return out


def _positive(name: str, values: np.ndarray, count: int) -> np.ndarray:
    array = check_finite(name, check_shape(name, np.asarray(values, float), (count,)))
    if np.any(array <= 0):
        raise InputError(f"{name} must be above 0 in every layer, got {array}.")
    return array


def _directions(name: str, points: np.ndarray, outer: float) -> np.ndarray:
    check_finite(name, check_shape(name, points, (None, 3)))
    distance = np.linalg.norm(points, axis=1)
    if np.any(np.abs(distance - outer) > 0.02 * outer):
        raise InputError(
            f"{name}: the series holds on the surface r = {outer} m, but radii from "
            f"{distance.min():.6g} to {distance.max():.6g} m were given."
        )
    return points / distance[:, None]
