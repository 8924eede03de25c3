from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from headcond.checks import InputError
from headcond.fem.solvers import make_solver
from headcond.inverse.estimates import cramer_rao, invert_information
from headcond.inverse.noise import add_noise, whitener
from headcond.inverse.optimise import InversionError, box_step, estimate
from headcond.inverse.protocol import make_protocol, readings
from headcond.inverse.reduced import ReducedForward
from headcond.rom.settings import Settings
from headcond.rom.training import train_pairs
from tests.helpers.inverse_models import CURRENT, TwoCalls, box_points, full_model, galerkin

STD = 0.82e-6


@pytest.fixture(scope="module")
def full():
    return full_model()


@pytest.fixture(scope="module")
def model(full):
    return ReducedForward(galerkin(full, box_points(full, 10, np.random.default_rng(1))))


@pytest.fixture(scope="module")
def protocol(model):
    return make_protocol(model.pairs, model.electrodes)


@pytest.fixture(scope="module")
def truth(model):
    low, high = model.lower, model.upper
    return low + (high - low) * (0.2 + 0.6 * np.random.default_rng(2).random((6, 3)))


@pytest.mark.parametrize("pairs", ["each", "joint"])
@pytest.mark.parametrize("reference", ["average", "E12"])
def test_own_voltages_invert_back(model, truth, pairs, reference):
    protocol = make_protocol(model.pairs, model.electrodes, reference)
    found = estimate(model, readings(model.voltages(truth), protocol), protocol, STD, pairs=pairs)
    wanted = truth[:, None] if pairs == "each" else truth
    np.testing.assert_allclose(found.sigma, np.broadcast_to(wanted, found.sigma.shape), rtol=1e-6)
    assert np.all(found.converged) and not np.any(found.at_wall)
    assert found.iterations.max() <= 10
    assert np.all(found.chi_square < 1e-8)
    assert np.all(found.dof == (15 if pairs == "each" else 45) - 3)


def test_estimates_do_not_depend_on_the_reference(model, truth):
    potentials = add_noise(model.voltages(truth), STD, np.random.default_rng(3))
    results = []
    for reference in ("average", "E12", "E5"):
        protocol = make_protocol(model.pairs, model.electrodes, reference)
        results.append(estimate(model, readings(potentials, protocol), protocol, STD))
    for other in results[1:]:
        # Both stop within 1e-5 of a standard deviation or better of one minimum.
        assert np.max(np.abs(other.sigma - results[0].sigma) / results[0].cramer_rao) < 1e-3
        np.testing.assert_allclose(other.chi_square, results[0].chi_square, rtol=1e-8)
        np.testing.assert_allclose(other.cramer_rao, results[0].cramer_rao, rtol=1e-3)
        assert np.all(other.dof == results[0].dof)


def test_batched_equals_one_by_one_and_a_model_with_two_calls_only(model, protocol, truth):
    data = readings(add_noise(model.voltages(truth), STD, np.random.default_rng(4)), protocol)
    batch = estimate(model, data, protocol, STD)
    plain = estimate(TwoCalls(model), data, protocol, STD)
    for s in range(len(truth)):
        one = estimate(model, data[s], protocol, STD)
        for other in (one.sigma, plain.sigma[s]):
            np.testing.assert_allclose(other, batch.sigma[s], rtol=1e-9)
        assert np.array_equal(one.iterations, batch.iterations[s])
        np.testing.assert_allclose(one.covariance, batch.covariance[s], rtol=1e-6)
    single = ReducedForward(model._model, [model.pairs[1]])
    part = protocol.select([1])
    alone = estimate(single, data[:, 1:2], part, STD)
    np.testing.assert_allclose(alone.sigma[:, 0], batch.sigma[:, 1], rtol=1e-9)


def test_interior_point_agrees_with_gauss_newton(model, protocol, truth):
    data = readings(add_noise(model.voltages(truth[:2]), STD, np.random.default_rng(5)), protocol)
    for pairs in ("each", "joint"):
        ours = estimate(model, data, protocol, STD, pairs=pairs)
        other = estimate(model, data, protocol, STD, pairs=pairs, method="interior-point")
        assert np.all(other.converged)
        assert np.max(np.abs(ours.sigma - other.sigma) / ours.cramer_rao) < 1e-2
        np.testing.assert_allclose(ours.chi_square, other.chi_square, atol=1e-3)
        assert np.array_equal(ours.at_wall, other.at_wall)


def test_walls_are_respected_and_named(model, protocol):
    # A truth beyond the box in the brain: the estimate stands at the wall and says so.
    wide = full_model(names=("scalp", "skull", "brain"))
    outside = np.array([0.37, 0.01, 0.9])
    data = readings(wide.voltages(outside), protocol)
    found = estimate(model, data, protocol, STD)
    assert np.all(found.sigma >= model.lower) and np.all(found.sigma <= model.upper)
    assert np.all(found.at_wall[:, 2]) and np.all(found.converged)
    np.testing.assert_array_equal(found.sigma[:, 2], model.upper[2])
    assert np.all(found.covariance[:, 2] == 0) and np.all(found.cramer_rao[:, 2] > 0)
    # Holding the tissue at its wall gives the same minimum and the same covariance.
    held = estimate(model, data, protocol, STD, fixed={"brain": model.upper[2]})
    np.testing.assert_allclose(held.sigma, found.sigma, rtol=1e-5)
    np.testing.assert_allclose(held.covariance, found.covariance, rtol=1e-3)
    assert np.all(held.chi_square <= found.chi_square * (1 + 1e-6))


def test_estimate_is_the_minimum_that_scipy_finds(model, protocol, truth):
    data = readings(add_noise(model.voltages(truth[0]), STD, np.random.default_rng(6)), protocol)
    white = whitener(protocol, STD)

    def residual(x):
        return white(readings(model.voltages(np.exp(x)), protocol) - data).ravel()

    lower, upper = np.log(model.lower), np.log(model.upper)
    slow = scipy.optimize.least_squares(
        residual, 0.5 * (lower + upper), bounds=(lower, upper), xtol=1e-12, ftol=1e-12, gtol=1e-12,
        x_scale=upper - lower,
    )  # fmt: skip
    found = estimate(model, data, protocol, STD, pairs="joint")
    np.testing.assert_allclose(found.sigma, np.exp(slow.x), rtol=2e-4)
    assert found.chi_square <= 2 * slow.cost * (1 + 1e-9)


def test_rms_error_reaches_the_cramer_rao_bound(model, truth):
    protocol = make_protocol(model.pairs, model.electrodes, "E12")
    std, draws = 2e-8, 400
    rng = np.random.default_rng(7)
    clean = np.broadcast_to(model.voltages(truth[0]), (draws, 3, 18))
    data = readings(add_noise(clean, std, rng), protocol)
    for pairs in ("each", "joint"):
        found = estimate(model, data, protocol, std, pairs=pairs)
        assert not np.any(found.at_wall)
        bound = cramer_rao(model, truth[0], protocol, std, pairs=pairs)[0]
        rms = np.sqrt(np.mean((found.sigma - truth[0]) ** 2, axis=0))
        # The relative sampling error of an RMS over n normal draws is 1 / sqrt(2 n).
        assert np.all(np.abs(rms / bound - 1) < 4 / np.sqrt(2 * draws))
        np.testing.assert_allclose(np.median(found.std, axis=0), bound, rtol=0.05)
        np.testing.assert_allclose(np.median(found.cramer_rao, axis=0), bound, rtol=0.05)
        spread = found.chi_square.mean(axis=0) - found.dof.mean(axis=0)
        assert np.all(np.abs(spread) < 4 * np.sqrt(2 * found.dof.mean(axis=0) / draws))


def test_fixed_tissues_follow_the_sample(model, protocol, truth):
    data = readings(model.voltages(truth), protocol)
    found = estimate(model, data, protocol, STD, fixed={"brain": truth[:, 2:]})
    np.testing.assert_allclose(found.sigma[..., :2], np.repeat(truth[:, None, :2], 3, 1), rtol=1e-7)
    np.testing.assert_array_equal(found.sigma[..., 2], np.repeat(truth[:, 2:], 3, 1))
    assert found.free.tolist() == [True, True, False]
    assert np.all(found.cramer_rao[..., 2] == 0) and np.all(found.dof == 15 - 2)
    joint = estimate(model, data, protocol, STD, pairs="joint", fixed={"brain": truth[:, 2]})
    np.testing.assert_allclose(joint.sigma, truth, rtol=1e-7)
    bound = cramer_rao(model, truth, protocol, STD, free=("scalp", "skull"))
    np.testing.assert_allclose(bound, found.cramer_rao, rtol=1e-5)


def test_start_points_lead_to_one_minimum(model, protocol, truth):
    data = readings(add_noise(model.voltages(truth[:2]), STD, np.random.default_rng(8)), protocol)
    reached = [
        estimate(model, data, protocol, STD, start=start)
        for start in (model.lower, model.upper, np.broadcast_to(truth[:2, None], (2, 3, 3)))
    ]
    for other in reached[1:]:
        np.testing.assert_allclose(other.chi_square, reached[0].chi_square, rtol=1e-7)


def test_full_order_data_are_off_by_the_models_voltage_error(full, truth):
    # ||delta sigma|| <= 2 ||J^+|| ||v_full - v_rom||, the demand on every reduced model.
    settings_ = Settings(current=CURRENT, training=60, max_snapshots=7)
    protocol = make_protocol(full.pairs, full.electrodes)
    trained = train_pairs(full.operator, full.pairs, full.box, settings_,
                          solver_factory=lambda a, **_: make_solver(a, backend="direct",
                                                                    tolerance=1e-12))  # fmt: skip
    data = readings(full.voltages(truth), protocol)
    sizes = []
    for snapshots in (5, 7):
        model = ReducedForward(trained, snapshots=snapshots)
        found = estimate(model, data, protocol, STD)
        error = readings(model.voltages(truth), protocol) - data
        slopes = readings(np.moveaxis(model.jacobian(truth), -1, 0), protocol)
        for s in range(len(truth)):
            for m in range(3):
                gain = 1 / np.linalg.svd(slopes[:, s, m].T, compute_uv=False)[-1]
                limit = 2 * gain * np.linalg.norm(error[s, m])
                if not np.any(found.at_wall[s, m]):
                    assert np.linalg.norm(found.sigma[s, m] - truth[s]) <= limit + 1e-9
        assert np.mean(np.any(found.at_wall, axis=-1)) < 0.5
        sizes.append(np.abs(error).max())
    assert sizes[1] < sizes[0]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_box_step_solves_the_quadratic_programme(seed, size):
    rng = np.random.default_rng(seed)
    columns = rng.standard_normal((4, 12, size)) * 10.0 ** rng.uniform(-2, 2, size)
    info, slope = np.swapaxes(columns, 1, 2) @ columns, rng.standard_normal((4, size)) * 10
    low, high = -rng.random((4, size)), rng.random((4, size))
    low[0, 0], high[1, 0] = 0.0, 0.0
    damping = np.full(4, 1e-3)
    step, predicted = box_step(info, slope, damping, low, high)
    assert np.all(step >= low) and np.all(step <= high)
    for n in range(4):
        matrix = info[n] + damping[n] * np.eye(size)
        root = np.linalg.cholesky(matrix)
        slow = scipy.optimize.lsq_linear(
            root.T, -np.linalg.solve(root, slope[n]), method="bvls", tol=1e-14,
            bounds=(np.minimum(low[n], -1e-13), np.maximum(high[n], 1e-13)),
        ).x  # fmt: skip

        def value(d, matrix=matrix, n=n):
            return slope[n] @ d + 0.5 * d @ matrix @ d

        assert value(step[n]) <= value(slow) + 1e-7 * (1 + abs(value(slow)))
        assert predicted[n] == pytest.approx(
            -slope[n] @ step[n] - 0.5 * step[n] @ info[n] @ step[n], rel=1e-9, abs=1e-12
        )


def test_singular_information_has_infinite_variance():
    info = np.diag([4.0, 0.0, 2.0])
    spread = invert_information(info)
    np.testing.assert_allclose(np.diagonal(spread), [0.25, np.inf, 0.5])
    blind = np.array([[1.0, 1.0], [1.0, 1.0]])
    assert np.all(np.isinf(np.diagonal(invert_information(blind))))


def test_refusals(model, protocol, truth):
    data = readings(model.voltages(truth), protocol)
    with pytest.raises(InputError, match="Did you mean 'gauss-newton'"):
        estimate(model, data, protocol, STD, method="gauss-newtn")
    with pytest.raises(InputError, match="pairs"):
        estimate(model, data, protocol, STD, pairs="all")
    with pytest.raises(InputError, match="times as much: check the units"):
        estimate(model, 1e3 * data, protocol, STD)
    with pytest.raises(InputError, match="times as much: check the units"):
        estimate(model, data / 1e3, protocol, STD)
    with pytest.raises(InputError, match="electrodes"):
        other = make_protocol(model.pairs, [*model.electrodes[::-1]])
        estimate(model, data, other, STD)
    with pytest.raises(InputError, match="injection pairs"):
        estimate(model, data[:, :2], protocol.select([0, 1]), STD)
    with pytest.raises(InputError, match="shape"):
        estimate(model, data[0, 0], protocol, STD)
    with pytest.raises(InputError, match="fixed tissue"):
        estimate(model, data, protocol, STD, fixed={"brian": 0.3})
    with pytest.raises(InputError, match="outside the model's box"):
        estimate(model, data, protocol, STD, fixed={"brain": 3.0})
    with pytest.raises(InputError, match="does not fit|the estimates have"):
        estimate(model, data, protocol, STD, fixed={"brain": truth[:4, 2:]})
    with pytest.raises(InputError, match="start"):
        estimate(model, data, protocol, STD, start=2 * model.upper)
    with pytest.raises(InputError, match="nothing to estimate"):
        middle = dict(zip(model.names, 0.5 * (model.lower + model.upper), strict=True))
        estimate(model, data, protocol, STD, fixed=middle)
    few = make_protocol(model.pairs, model.electrodes, missing={None: model.electrodes[1:14]})
    with pytest.raises(InputError, match="independent readings for 3"):
        estimate(model, data, few, STD)
    holes = data.copy()
    holes[0, 0, 5] = np.nan
    with pytest.raises(InputError, match="not finite"):
        estimate(model, holes, protocol, STD)


def test_no_convergence_is_an_error_and_single_failures_are_flagged(model, protocol, truth):
    data = readings(add_noise(model.voltages(truth), STD, np.random.default_rng(9)), protocol)
    with pytest.raises(InversionError, match="none of 18 inversions"):
        estimate(model, data, protocol, STD, max_iterations=1)
    needed = estimate(model, data, protocol, STD).iterations
    assert needed.min() < needed.max()
    # A last pass is needed to see that nothing is left to do.
    some = estimate(model, data, protocol, STD, max_iterations=int(needed.max()))
    assert np.array_equal(some.converged, needed < needed.max())


def rough(model, size):
    """The model with a relative rounding error in its voltages."""
    found = TwoCalls(model)

    def voltages(sigma):
        exact = model.voltages(sigma)
        digits = np.modf(1e9 * sigma.sum(axis=-1))[0][..., None, None]
        return exact * (1 + size * np.sin(1e3 * digits + np.arange(exact.shape[-1])))

    found.voltages = voltages
    return found


@pytest.fixture(scope="module")
def misfit(model, truth):
    """Data with misfits across all that conductivities can change: curved, and nothing to gain."""
    protocol = make_protocol(model.pairs, model.electrodes, "E12")
    data = readings(model.voltages(truth), protocol)
    slopes = model.jacobian(truth)
    slopes = np.stack([readings(slopes[..., k], protocol) for k in range(3)], axis=-1)
    basis, _ = np.linalg.qr(slopes * protocol.mask[..., None])

    def draw(seed):
        rng = np.random.default_rng(seed)
        wild = 100 * STD * rng.standard_normal(data.shape) * protocol.mask
        return data + wild - np.einsum("smlk,smjk,smj->sml", basis, basis, wild)

    return protocol, draw


@pytest.mark.parametrize("seed", range(12, 18))
def test_rounding_of_a_large_misfit_does_not_keep_it_from_converging(model, misfit, seed):
    protocol, draw = misfit
    exact = estimate(model, draw(seed), protocol, STD, weighting="plain")
    found = estimate(rough(model, 1e-9), draw(seed), protocol, STD, weighting="plain")
    assert np.all(exact.converged) and np.all(found.converged)
    assert found.chi_square.min() > 3e4 and found.iterations.max() < 100
    assert np.max(np.abs(found.sigma - exact.sigma) / exact.cramer_rao) < 0.2


def test_rounding_above_a_tenth_of_a_deviation_is_no_convergence(model, misfit):
    protocol, draw = misfit
    exact = estimate(model, draw(12), protocol, STD, weighting="plain")
    found = estimate(rough(model, 1e-6), draw(12), protocol, STD, weighting="plain")
    error = np.max(np.abs(found.sigma - exact.sigma) / exact.cramer_rao, axis=-1)
    assert error.max() > 0.2 and np.max(error[found.converged]) < 0.1


def test_a_wrong_derivative_is_no_convergence(model, protocol, truth):
    wrong = TwoCalls(model)
    wrong.jacobian = lambda sigma: -model.jacobian(sigma)
    data = readings(add_noise(model.voltages(truth), STD, np.random.default_rng(9)), protocol)
    with pytest.raises(InversionError, match="none of 18"):
        estimate(wrong, data, protocol, STD)
