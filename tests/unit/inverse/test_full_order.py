from __future__ import annotations

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.experiments.traditional import quasi_newton, traditional
from headcond.inverse.full_order import FullModel
from headcond.inverse.noise import add_noise
from headcond.inverse.optimise import estimate
from headcond.inverse.protocol import make_protocol, readings
from headcond.rom.parameters import Box
from tests.helpers.inverse_models import BOX, CONTACT, CURRENT, box_points, direct, full_model

STD = 0.82e-6


@pytest.fixture(scope="module")
def model():
    return full_model()


@pytest.fixture(scope="module")
def protocol(model):
    return make_protocol(model.pairs, model.electrodes)


@pytest.fixture
def sigma(model):
    return box_points(model, 2, np.random.default_rng(0))


def test_voltages_solve_the_dense_system(model, protocol, sigma):
    operator = model.operator
    dense = CONTACT**-1 * operator.block("contact").toarray()
    for name, value in zip(model.names, sigma[1], strict=True):
        dense = dense + value * operator.block(name).toarray()
    for m, pair in enumerate(model.pairs):
        field = np.linalg.pinv(dense) @ operator.load(*pair, CURRENT)
        got = model.voltages(sigma)[1, m]
        expected = field[operator.nodes :]
        np.testing.assert_allclose(got - got[0], expected - expected[0], atol=1e-9 * np.ptp(got))


@pytest.mark.parametrize("electrodes_per_adjoint", [True, False])
def test_jacobian_taylor_remainder_is_of_second_order(sigma, electrodes_per_adjoint):
    # 3 pairs x 3 parameters take 9 direct systems; 7 pairs take 21, more than 17 adjoint ones.
    pairs = [(f"E{i}", "E18") for i in range(1, 8 if electrodes_per_adjoint else 4)]
    model = full_model(pairs=pairs)
    protocol = make_protocol(model.pairs, model.electrodes)
    before = readings(model.voltages(sigma[0]), protocol)
    solved = model.systems_solved
    slopes = model.jacobian(sigma[0])
    assert model.systems_solved - solved == (17 if electrodes_per_adjoint else 9)
    direction = sigma[0] * np.array([0.3, -0.5, 0.4])
    linear = readings(slopes @ direction, protocol)
    remainders = [
        np.abs(readings(model.voltages(sigma[0] + h * direction), protocol) - before - h * linear)
        .max()
        for h in (0.2, 0.1, 0.05, 0.025)
    ]  # fmt: skip
    orders = np.log2(np.array(remainders[:-1]) / remainders[1:])
    assert orders[-1] == pytest.approx(2, abs=0.1)
    assert np.all(orders > 1.7)


def test_two_ways_to_the_jacobian_agree(model, protocol, sigma):
    both = [model.parameter_slopes(sigma[0], m, range(3)) for m in range(3)]
    wide = full_model(pairs=[*model.pairs, *[(f"E{i}", "E17") for i in range(2, 8)]])
    adjoint = wide.jacobian(sigma[0])[:3]
    difference = readings(np.moveaxis(np.array(both) - adjoint, -1, 0), protocol)
    assert np.abs(difference).max() < 1e-8 * np.abs(adjoint).max()


def test_each_pair_at_its_own_point(model, sigma):
    both = model.voltages(sigma), model.jacobian(sigma)
    np.testing.assert_allclose(model.voltages_each(sigma, [2, 0]),
                               both[0][[0, 1], [2, 0]], atol=1e-12)  # fmt: skip
    np.testing.assert_allclose(model.jacobian_each(sigma, [2, 0]),
                               both[1][[0, 1], [2, 0]], atol=1e-9)  # fmt: skip


def test_systems_are_counted_and_fields_reused(sigma):
    model = full_model()
    model.voltages(sigma[0])
    assert model.systems_solved == 3
    model.jacobian(sigma[0])
    assert model.systems_solved == 3 + 9
    model.voltages(sigma)
    assert model.systems_solved == 3 + 9 + 3


def test_merged_skull_equals_equal_bones(model, sigma):
    operator = model.operator
    names = ("scalp", "compact_bone", "spongy_bone", "contact")
    bones = type(operator)(names, operator.indptr, operator.indices, operator.data,
                           operator.electrodes, operator.nodes)  # fmt: skip
    merged = FullModel(bones, Box(("scalp", "skull"), [0.3, 0.002], [0.5, 0.4],
                       {"contact": 1 / CONTACT}), pairs=model.pairs, current=CURRENT,
                       solver_factory=direct)  # fmt: skip
    alike = model.voltages(np.array([0.35, 0.3, 0.3]))
    np.testing.assert_allclose(merged.voltages(np.array([0.35, 0.3])), alike, atol=1e-10)
    slopes = model.jacobian(np.array([0.35, 0.3, 0.3]))
    got = merged.jacobian(np.array([0.35, 0.3]))
    np.testing.assert_allclose(got[..., 1], slopes[..., 1] + slopes[..., 2], atol=1e-9)


@pytest.mark.parametrize("gradient", ["direct", "adjoint"])
def test_gradient_of_the_traditional_function_passes_taylor(
    model, protocol, sigma, gradient, monkeypatch
):
    data = readings(model.voltages(sigma[0]), protocol)
    seen = {}

    def catch(value, slope, start, *_):
        seen.update(value=value, slope=slope, start=start)
        return start, value(start), True, ""

    monkeypatch.setattr("headcond.experiments.traditional.quasi_newton", catch)
    traditional(model, data, protocol, STD, 1, gradient=gradient)
    start, direction = seen["start"], np.array([0.02, -0.05, 0.04])
    f, linear = seen["value"](start), seen["slope"](start) @ direction
    steps = np.array([0.4, 0.2, 0.1])
    rest = [abs(seen["value"](start + h * direction) - f - h * linear) for h in steps]
    np.testing.assert_allclose(np.log2(np.array(rest[:-1]) / rest[1:]), 2, atol=0.15)


def test_traditional_agrees_with_gauss_newton_and_counts(model, protocol, sigma):
    rng = np.random.default_rng(5)
    data = readings(add_noise(model.voltages(sigma[0]), STD, rng), protocol)
    truth = {"brain": sigma[0, 2]}
    best = estimate(model, data, protocol, STD, fixed=truth)
    found = {}
    for gradient in ("direct", "adjoint"):
        found[gradient] = traditional(model, data, protocol, STD, 0, fixed=truth, gradient=gradient)
        assert found[gradient].converged and found[gradient].kept
        np.testing.assert_allclose(found[gradient].sigma, best.sigma[0], rtol=1e-4)
        assert found[gradient].chi_square == pytest.approx(best.chi_square[0], abs=1e-3)
        assert found[gradient].dof == best.dof[0]
    run = found["direct"]
    assert len(run.history) == len(run.systems) > 3
    np.testing.assert_allclose(run.history[0, :2], 0.5 * (model.lower + model.upper)[:2])
    # The first point costs one forward system and one per free parameter, an accepted one too.
    assert run.systems[0] == 1 + 2
    assert np.all(np.diff(run.systems) >= 3)
    assert found["adjoint"].systems[0] == 2


def test_traditional_failure_is_stated(model, protocol, sigma):
    data = readings(model.voltages(sigma[0]), protocol)
    run = traditional(model, data, protocol, STD, 0, max_iterations=2)
    assert not run.converged and not run.kept and "2 iterations" in run.reason
    # Readings of the opposite sign have no positive conductivity that fits them.
    run = traditional(model, -data, protocol, STD, 0)
    assert not run.kept and run.reason
    assert np.all(run.history > 0)


def test_quasi_newton_on_rosenbrock_with_a_forbidden_half():
    def value(x):
        return np.inf if x[0] < -1.5 else (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2

    def gradient(x):
        bend = x[1] - x[0] ** 2
        return np.array([-2 * (1 - x[0]) - 400 * x[0] * bend, 200 * bend])

    seen = []
    x, f, done, reason = quasi_newton(value, gradient, np.array([-1.2, 1.0]), 1e-8, 200,
                                      seen.append)  # fmt: skip
    assert done and not reason
    np.testing.assert_allclose(x, 1, atol=1e-7)
    assert f < 1e-14
    assert np.all(np.diff([value(point) for point in seen]) <= 0)


def test_refusals(model, protocol, sigma):
    with pytest.raises(InputError, match="conductivities, got one number"):
        model.voltages(0.3)
    with pytest.raises(InputError, match="shape"):
        model.voltages(sigma[:, :2])
    with pytest.raises(InputError, match="above 0"):
        model.voltages(-sigma)
    with pytest.raises(InputError, match="sigma of shape"):
        model.voltages_each(sigma, [0, 1, 2])
    with pytest.raises(InputError, match="NaN"):
        model.voltages(sigma * np.nan)
    with pytest.raises(InputError, match="No electrode 'Z'"):
        full_model(pairs=[("Z", "E18")])
    with pytest.raises(InputError, match="brain"):
        FullModel(model.operator, Box(("scalp", "skull"), [0.1, 0.1], [1, 1],
                  {"contact": 0.2}), pairs=model.pairs, current=CURRENT,
                  solver_factory=direct)  # fmt: skip
    assert set(BOX) == set(model.names)
