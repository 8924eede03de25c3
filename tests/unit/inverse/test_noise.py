from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headcond.checks import InputError
from headcond.inverse.noise import add_noise, whitener
from headcond.inverse.protocol import make_protocol, readings
from tests.helpers.inverse_models import covariance

ELECTRODES = tuple("ABCDEFGH")
PAIRS = (("A", "H"), ("B", "H"), ("C", "G"))
STD = 0.82e-6


@pytest.fixture(params=["average", "E"])
def protocol(request):
    return make_protocol(PAIRS, ELECTRODES, request.param, missing={("B", "H"): ["D"]})


def test_covariance_is_that_of_drawn_noise(protocol):
    count = 40000
    drawn = add_noise(np.zeros((count, 3, 8)), STD, np.random.default_rng(3))
    drawn = readings(drawn, protocol)
    expected = covariance(protocol, STD)
    for m in range(3):
        found = drawn[:, m].T @ drawn[:, m] / count
        # Var of a sample covariance entry is (C_ij^2 + C_ii C_jj) / n, at most 2 (2 s^2)^2 / n.
        assert np.abs(found - expected[m]).max() < 5 * STD**2 * np.sqrt(8 / count)


def test_covariance_formula_against_the_map_itself(protocol):
    identity = np.eye(8)[:, None, :].repeat(3, axis=1)
    maps = np.moveaxis(readings(identity, protocol), 0, -1)
    for m in range(3):
        np.testing.assert_allclose(covariance(protocol, STD)[m], STD**2 * maps[m] @ maps[m].T,
                                   atol=1e-28)  # fmt: skip


def test_whitened_noise_is_standard_normal_with_the_right_number_of_entries(protocol):
    white = whitener(protocol, STD)
    identity = np.eye(8)[:, None, :].repeat(3, axis=1)
    maps = np.moveaxis(white(identity), 0, -1)
    for m in range(3):
        got = maps[m] @ covariance(protocol, STD)[m] @ maps[m].T
        kept = np.any(maps[m] != 0, axis=1)
        assert kept.sum() == white.dof[m] == protocol.dof[m]
        np.testing.assert_allclose(got, np.diag(kept.astype(float)), atol=1e-12)


def test_chi_square_equals_the_pseudo_inverse_form(protocol):
    white = whitener(protocol, STD)
    values = readings(np.random.default_rng(4).standard_normal((3, 8)) * 1e-6, protocol)
    for m in range(3):
        slow = values[m] @ np.linalg.pinv(covariance(protocol, STD)[m], rcond=1e-10) @ values[m]
        assert np.sum(white(values)[m] ** 2) == pytest.approx(slow, rel=1e-10)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_chi_square_does_not_depend_on_the_reference(seed):
    potentials = np.random.default_rng(seed).standard_normal((3, 8)) * 1e-6
    found = []
    for reference in ("average", "D", "E", "F"):
        protocol = make_protocol(PAIRS, ELECTRODES, reference)
        found.append(np.sum(whitener(protocol, STD)(readings(potentials, protocol)) ** 2, axis=-1))
    np.testing.assert_allclose(found[1:], np.broadcast_to(found[0], (3, 3)), rtol=1e-10)


def test_adjoint_jacobian_and_select(protocol):
    rng = np.random.default_rng(5)
    white = whitener(protocol, np.array([1.0, 2.0, 3.0]))
    a, b = rng.standard_normal((2, 4, 3, 8))
    assert np.sum(b * white(a)) == pytest.approx(np.sum(white.adjoint(b) * a), rel=1e-12)
    np.testing.assert_allclose(white.jacobian(a[..., None])[..., 0], white(a), atol=1e-15)
    np.testing.assert_array_equal(white.select([2, 0])(a[:, [2, 0]]), white(a)[:, [2, 0]])
    np.testing.assert_allclose(whitener(protocol, 2.0)(a)[:, 1], white(a)[:, 1])


def test_refusals(protocol):
    with pytest.raises(InputError, match="noise"):
        whitener(protocol, 0.0)
    with pytest.raises(InputError, match="noise"):
        whitener(protocol, np.ones(2))
    with pytest.raises(InputError, match="noise"):
        whitener(protocol, np.array([1.0, np.nan, 1.0]))
    with pytest.raises(InputError, match="noise"):
        add_noise(np.zeros((3, 8)), -1.0, np.random.default_rng(0))
