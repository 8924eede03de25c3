from __future__ import annotations

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.inverse.estimates import cramer_rao
from headcond.inverse.optimise import estimate
from headcond.inverse.protocol import make_protocol, readings
from headcond.inverse.reduced import ReducedForward
from tests.helpers.inverse_models import box_points, full_model, galerkin


@pytest.fixture(scope="module")
def trained():
    full = full_model()
    return galerkin(full, box_points(full, 8, np.random.default_rng(0)))


@pytest.fixture
def sigma(trained):
    box = trained.box
    return box.lower + (box.upper - box.lower) * np.random.default_rng(1).random((2, 3, 3))


def test_trained_pairs_are_the_models_own(trained, sigma):
    forward = ReducedForward(trained)
    np.testing.assert_array_equal(forward.voltages(sigma), trained.voltages(sigma))
    np.testing.assert_array_equal(forward.jacobian(sigma), trained.jacobian(sigma))
    short = ReducedForward(trained, snapshots=4)
    np.testing.assert_array_equal(short.voltages(sigma), trained.voltages(sigma, snapshots=4))


def test_patterns_are_differences(trained, sigma):
    patterns = [("E4", "E1"), ("E9", "E18"), ("E18", "E4")]
    forward = ReducedForward(trained, patterns)
    u, j = trained.voltages(sigma), trained.jacobian(sigma)
    expected = np.stack([u[..., 1, :] - u[..., 0, :], u[..., 2, :], -u[..., 1, :]], axis=-2)
    np.testing.assert_allclose(forward.voltages(sigma), expected, atol=1e-15)
    expected = np.stack([j[..., 1, :, :] - j[..., 0, :, :], j[..., 2, :, :], -j[..., 1, :, :]], -3)
    np.testing.assert_allclose(forward.jacobian(sigma), expected, atol=1e-14)
    # The full model of the pattern itself agrees where the basis is good.
    full = full_model(pairs=patterns)
    exact, got = full.voltages(sigma[0, 0]), forward.voltages(sigma[0, 0])
    difference = (got - got[:, :1]) - (exact - exact[:, :1])
    assert np.abs(difference).max() < 1e-5 * np.ptp(exact)


def test_each_pattern_at_its_own_point(trained, sigma):
    forward = ReducedForward(trained, [("E4", "E1"), ("E9", "E18")])
    points, pairs = sigma.reshape(-1, 3), np.array([1, 0, 0, 1, 1, 0])
    rows = np.arange(6)
    np.testing.assert_allclose(forward.voltages_each(points, pairs),
                               forward.voltages(points)[rows, pairs], atol=1e-16)  # fmt: skip
    np.testing.assert_allclose(forward.jacobian_each(points, pairs),
                               forward.jacobian(points)[rows, pairs], rtol=1e-12)  # fmt: skip


def test_estimate_takes_the_trained_model_and_any_patterns(trained, sigma):
    patterns = [("E4", "E1"), ("E9", "E18")]
    protocol = make_protocol(patterns, trained.electrodes)
    forward = ReducedForward(trained, patterns)
    data = readings(forward.voltages(sigma), protocol)
    found = estimate(trained, data, protocol, 0.82e-6)
    np.testing.assert_allclose(found.sigma, np.repeat(sigma[:, :, None], 2, 2), rtol=1e-6)
    bound = cramer_rao(trained, sigma.reshape(-1, 3), protocol, 0.82e-6)
    np.testing.assert_allclose(bound.reshape(found.cramer_rao.shape), found.cramer_rao, rtol=1e-4)


def test_refusals(trained, sigma):
    with pytest.raises(InputError, match="electrode of a pattern"):
        ReducedForward(trained, [("E5", "E1")])
    with pytest.raises(InputError, match="at the same electrode"):
        ReducedForward(trained, [("E4", "E4")])
    with pytest.raises(InputError, match="outside the trained box"):
        ReducedForward(trained).voltages(3 * sigma)
    with pytest.raises(InputError, match="6 points in sigma for 2 pairs"):
        ReducedForward(trained).voltages_each(sigma.reshape(-1, 3), [0, 1])
