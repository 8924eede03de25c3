"""One's own measurement on a trained model: estimates with priors, starts, screening, errors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from headcond.checks import InputError
from headcond.fem.solvers import make_solver
from headcond.inverse import fit as fit_module
from headcond.inverse import multistart
from headcond.inverse.estimates import cramer_rao
from headcond.inverse.fit import Options, fit
from headcond.inverse.measurement import Measurement
from headcond.inverse.multistart import estimate_from_starts
from headcond.inverse.noise import add_noise
from headcond.inverse.optimise import estimate
from headcond.inverse.priors import PUBLISHED_MEANS, published
from headcond.inverse.protocol import make_protocol, readings
from headcond.inverse.reduced import ReducedForward, certified_error
from headcond.inverse.screening import reciprocity_noise
from headcond.inverse.tables import summary_table
from headcond.rom.corrected import form_cross
from headcond.rom.pair_training import pair_folder
from headcond.rom.settings import Settings
from headcond.rom.training import train_pairs
from headcond.tissues import EIT_RANGES
from tests.helpers.inverse_models import (
    CURRENT,
    box_points,
    covariance,
    full_model,
    galerkin,
)

STD = 1e-7


@pytest.fixture(scope="module")
def full():
    return full_model(pairs=tuple((f"E{n}", "E18") for n in (1, 3, 5, 8, 10, 13, 15)))


@pytest.fixture(scope="module")
def model(full):
    return galerkin(full, box_points(full, 9, np.random.default_rng(1)))


@pytest.fixture(scope="module")
def truth(model):
    return model.box.lower + 0.4 * (model.box.upper - model.box.lower)


def measured(model, truth, std=STD, seed=3):
    pairs = (("E1", "E8"), ("E3", "E10"), ("E5", "E13"), ("E15", "E18"), ("E8", "E15"),
             ("E10", "E5"))  # fmt: skip
    forward = ReducedForward(model, pairs)
    wide = add_noise(forward.voltages(truth), std, np.random.default_rng(seed))
    wide -= wide[:, [11]]
    return Measurement(pairs, model.electrodes, wide, np.full(6, CURRENT), "E12", noise=std)


@pytest.fixture(scope="module")
def problem(model, truth):
    pairs = measured(model, truth).pairs
    forward = ReducedForward(model, pairs)
    protocol = make_protocol(pairs, model.electrodes, "E12")
    rng = np.random.default_rng(8)
    clean = np.broadcast_to(forward.voltages(truth), (300, 6, 18))
    return forward, protocol, readings(add_noise(clean, STD, rng), protocol)


def test_a_prior_pulls_as_far_as_bayes_says(problem, truth):
    forward, protocol, data = problem
    prior = {"brain": (np.log(0.3), 0.01), "skull": (np.log(0.006), 0.3)}
    found = estimate(forward, data[0], protocol, STD, pairs="joint", prior=prior)
    weight = np.linalg.pinv(covariance(protocol, STD))

    def cost(x):
        gap = readings(forward.voltages(np.exp(x)), protocol) - data[0]
        total = 0.5 * np.einsum("ml,mlk,mk->", gap, weight, gap)
        for name, (mean, std) in prior.items():
            total += 0.5 * ((x[forward.names.index(name)] - mean) / std) ** 2
        return total

    slow = scipy.optimize.minimize(
        cost, np.log(truth), method="L-BFGS-B",
        bounds=list(zip(np.log(forward.lower), np.log(forward.upper), strict=True)),
        options={"ftol": 1e-15, "gtol": 1e-9},
    )  # fmt: skip
    np.testing.assert_allclose(found.sigma, np.exp(slow.x), rtol=2e-4)
    free = estimate(forward, data[0], protocol, STD, pairs="joint")
    assert found.chi_square > free.chi_square, "the data's own misfit, without the prior's"
    assert np.all(found.std <= 1.001 * free.std) and found.std[2] < 0.0101 * found.sigma[2]
    np.testing.assert_allclose(found.cramer_rao, free.cramer_rao, rtol=0.5)
    # A prior that says next to nothing changes nothing.
    wide = {name: (np.log(value), 1e4) for name, value in zip(forward.names, truth, strict=True)}
    vague = estimate(forward, data[0], protocol, STD, prior=wide)
    none = estimate(forward, data[0], protocol, STD)
    np.testing.assert_allclose(vague.sigma, none.sigma, rtol=1e-5)
    np.testing.assert_allclose(vague.chi_square, none.chi_square, rtol=1e-8)
    other = estimate(
        forward, data[0], protocol, STD, pairs="joint", prior=prior, method="interior-point"
    )
    np.testing.assert_allclose(other.sigma, found.sigma, rtol=1e-3)
    for bad, message in (
        ({"brian": (0, 1)}, "Did you mean 'brain'"), ({"brain": (0, -1)}, "deviation above 0"),
        ({"brain": (np.nan, 1)}, "NaN"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            estimate(forward, data[0], protocol, STD, prior=bad)
    with pytest.raises(InputError, match="none of the free tissues"):
        estimate(forward, data[0], protocol, STD, prior=prior,
                 fixed={"brain": truth[2], "skull": truth[1]})  # fmt: skip


def test_published_priors_are_those_of_the_papers():
    names = [*EIT_RANGES, "skull", "skull_radial"]
    known = published(names)
    assert set(known) == set(PUBLISHED_MEANS) == {*EIT_RANGES, "skull"}
    mean, std = known["scalp"]
    assert np.exp(mean) == pytest.approx(0.41)
    # Its quartiles are as far apart as the paper's Table 1 has them.
    ends = np.exp(std * scipy.stats.norm.ppf([0.25, 0.75]))
    assert ends[1] / ends[0] == pytest.approx(0.444 / 0.303)


def test_p_values_are_even_where_the_noise_is_as_stated(problem):
    forward, protocol, data = problem
    found = estimate(forward, data, protocol, STD, pairs="joint")
    assert scipy.stats.kstest(found.p_value, "uniform").pvalue > 1e-3
    doubled = estimate(forward, data[:20], protocol, 0.5 * STD, pairs="joint")
    assert np.all(doubled.p_value < 1e-3)


def test_plain_weights_know_their_own_covariance_and_depend_on_the_reference(problem, truth):
    forward, protocol, data = problem
    plain = estimate(forward, data, protocol, STD, weighting="plain")
    best = estimate(forward, data, protocol, STD)
    inside = ~np.any(plain.at_wall | best.at_wall, axis=(0, 2))
    assert inside.sum() >= 3
    scatter = plain.sigma.std(axis=0, ddof=1)[inside]
    stated = np.median(plain.std, axis=0)[inside]
    assert np.all(np.abs(scatter / stated - 1) < 0.2), "sandwich covariance"
    assert np.all(stated >= 0.999 * np.median(best.std, axis=0)[inside])
    bound = cramer_rao(forward, truth, protocol, STD)[0][inside]
    np.testing.assert_allclose(np.median(plain.cramer_rao, axis=0)[inside], bound, rtol=0.1)
    other = make_protocol(forward.pairs, forward.electrodes, "E2")
    moved = readings(data, other)  # readings may be re-referenced once more
    moved = np.where(other.mask, data - data[..., [1]], 0.0)
    gap = {}
    for weighting in ("plain", "covariance"):
        one = estimate(forward, data[:30], protocol, STD, weighting=weighting, pairs="joint")
        two = estimate(forward, moved[:30], other, STD, weighting=weighting, pairs="joint")
        gap[weighting] = np.max(np.abs(one.sigma - two.sigma) / one.cramer_rao)
    assert gap["covariance"] < 1e-2 < 0.1 < gap["plain"]


def test_starts_find_the_lowest_minimum_and_say_how_many_agree(problem, truth):
    forward, protocol, data = problem
    rng = np.random.default_rng(2)
    found = estimate_from_starts(forward, data[0], protocol, STD, 4, rng)
    one = estimate(forward, data[0], protocol, STD)
    assert found.agreeing.shape == (6,) and found.agreeing.max() <= 4
    assert np.all(found.best.chi_square <= one.chi_square + 1e-9)
    assert np.all(found.agreeing >= 1) and found.agreeing.mean() > 3
    with pytest.raises(InputError, match="at least one|At least one"):
        estimate_from_starts(forward, data[0], protocol, STD, 0, rng)
    with pytest.raises(InputError, match="at most 1000 are tried; got 1001"):
        estimate_from_starts(forward, data[0], protocol, STD, 1001, rng)
    with pytest.raises(InputError, match="leave out `start`"):
        estimate_from_starts(forward, data[0], protocol, STD, 2, rng, start=truth)
    # Amplitudes have more than one minimum; the least is taken.
    sizes = np.abs(data[0])
    many = estimate_from_starts(forward, sizes, protocol, STD, 6, np.random.default_rng(0),
                                amplitude=True, pairs="joint")  # fmt: skip
    alone = estimate(forward, sizes, protocol, STD, amplitude=True, pairs="joint")
    assert many.best.chi_square <= alone.chi_square + 1e-9


def test_a_start_that_fails_spoils_no_other(problem, monkeypatch):
    forward, protocol, data = problem
    real, calls = multistart.estimate, []

    def flaky(*arguments, **options):
        calls.append(options)
        if len(calls) == 1:
            raise multistart.InversionError("not one converged")
        return real(*arguments, **options)

    monkeypatch.setattr(multistart, "estimate", flaky)
    rng = np.random.default_rng(2)
    found = estimate_from_starts(forward, data[0], protocol, STD, 3, rng, pairs="joint")
    assert found.best.converged and found.agreeing == 2

    def hopeless(*arguments, **options):
        raise multistart.InversionError("not one converged")

    monkeypatch.setattr(multistart, "estimate", hopeless)
    with pytest.raises(multistart.InversionError, match="not one"):
        estimate_from_starts(forward, data[0], protocol, STD, 3, rng, pairs="joint")


def test_more_noise_takes_nothing_from_a_prior(model, truth):
    """Data 30 times noisier than stated: without a prior deviations grow by that, with it not."""
    noisy = measured(model, truth, std=30 * STD)
    noisy = dataclasses.replace(noisy, noise=STD)
    rows = {}
    for prior in (False, True):
        options = Options(modes=("joint",), screen=False, prior=prior)
        rows[prior] = fit(noisy, model, options).estimates.set_index("parameter")
    each = rows[False]
    ratio = (each["scaled_std"] / each["std"])[each["std"] > 0]
    np.testing.assert_allclose(ratio, np.sqrt(each["chi_square"] / each["dof"]).iloc[0])
    assert ratio.iloc[0] > 10
    known = published(list(each.index))
    for name, (_, width) in known.items():
        row = rows[True].loc[name]
        assert row["std"] * 0.999 <= row["scaled_std"] <= 1.001 * width * row["estimate"]


def test_fit_recovers_the_truth_and_says_what_it_is_worth(model, truth):
    found = fit(measured(model, truth), model, Options(starts=2, seed=1))
    table = found.estimates
    assert set(table["mode"]) == {"each", "joint"} and len(table) == 7 * 3
    joint = table[table["mode"] == "joint"].set_index("parameter")
    for name, value in zip(model.box.names, truth, strict=True):
        assert abs(joint.loc[name, "estimate"] - value) < 5 * joint.loc[name, "std"]
    assert joint["converged"].all() and joint["p_value"].iloc[0] > 1e-3
    assert joint["misfit"].iloc[0] == pytest.approx(np.sqrt(2) * STD, rel=0.3)  # two electrodes
    assert (table["scaled_std"] >= table["std"] * (1 - 1e-12)).all()
    assert found.facts["readings"] == len(found.residuals)
    assert found.facts["certified_error"] is None and not found.facts["bad_electrodes"]
    line = summary_table(table.assign(frequency=27.0)).set_index("parameter")
    each = table[(table["mode"] == "each") & (table["parameter"] == "scalp")]
    assert line.loc["scalp", "mean"] == pytest.approx(each["estimate"].mean())
    assert line.loc["scalp", "patterns"] == 6
    assert line.loc["skull", "joint"] == joint.loc["skull", "estimate"]


def test_fit_finds_a_bad_electrode_and_a_noisy_pattern(model, truth):
    rng = np.random.default_rng(6)
    one = measured(model, truth)
    spoiled = one.voltages.copy()
    spoiled[:, 6] += 80 * STD * rng.standard_normal(6)
    spoiled[3] += 15 * STD * rng.standard_normal(18) * (np.arange(18) != 11)
    one = dataclasses.replace(one, voltages=spoiled)
    found = fit(one, model, Options(modes=("joint",)))
    assert "modified z-score" in found.facts["bad_electrodes"]["E7"]
    assert "E15-E18" in found.facts["bad_patterns"]
    assert not ((found.residuals["electrode"] == "E7") | (found.residuals["pattern"] == "E15-E18")
                ).any()  # fmt: skip
    trusting = fit(one, model, Options(modes=("joint",), screen=False))
    assert trusting.estimates["chi_square"][0] > 10 * found.estimates["chi_square"][0]
    by_hand = fit(one, model, Options(modes=("joint",), screen=False, bad_electrodes=("E7",),
                                      bad_patterns=("E15-E18",)))  # fmt: skip
    assert by_hand.facts["bad_electrodes"] == {"E7": "named by hand"}
    np.testing.assert_allclose(by_hand.estimates["estimate"], found.estimates["estimate"], rtol=0.1)


def test_screening_fits_as_the_estimate_does(model, truth, monkeypatch):
    real, calls = fit_module.estimate_from_starts, []

    def spy(*arguments, **options):
        calls.append((arguments[4], options["pairs"], options["prior"] is not None))
        return real(*arguments, **options)

    monkeypatch.setattr(fit_module, "estimate_from_starts", spy)
    fit(measured(model, truth), model, Options(modes=("each",), prior=True, starts=2))
    assert calls[0] == (2, "joint", True), "prior and starts of the options"
    assert {mode for _, mode, _ in calls} == {"each", "joint"}


def test_fit_keeps_to_what_it_is_told(model, truth):
    one = measured(model, truth)
    limits = {"brain": (model.box.lower[2], 0.3)}
    found = fit(one, model, Options(modes=("joint",), limits=limits, prior=True,
                                    fixed={"skull": truth[1]}))  # fmt: skip
    table = found.estimates.set_index("parameter")
    assert table.loc["skull", "estimate"] == truth[1] and not table.loc["skull", "free"]
    assert table.loc["brain", "estimate"] == 0.3 and table.loc["brain", "at_wall"]
    assert found.facts["without_prior"] == ["brain"]
    with pytest.raises(InputError, match=r"must be inside the model's box 0\.25\.\.0\.5"):
        fit(one, model, Options(limits={"brain": (0.1, 0.3)}))
    with pytest.raises(InputError, match="limited tissue"):
        fit(one, model, Options(limits={"bone": (0.1, 0.3)}))
    with pytest.raises(InputError, match="Name a mode"):
        fit(one, model, Options(modes=()))


def test_the_certified_error_of_a_reading_holds(full, truth, tmp_path):
    every = full_model(pairs=tuple((f"E{n}", "E18") for n in range(1, 18)))

    def solver(matrix, **_):
        return make_solver(matrix, backend="direct", tolerance=1e-12)

    rule = Settings(current=CURRENT, training=40, max_snapshots=4)
    trained = train_pairs(
        every.operator, every.pairs, every.box, rule, solver_factory=solver, state=tmp_path,
        keep_bases=True,
    )  # fmt: skip
    folders = {p.source: tmp_path / pair_folder(every.operator, p.source) for p in trained.pairs}
    cross = form_cross(every.operator, every.box, trained.sources, folders)
    model = dataclasses.replace(trained, cross=cross)
    pairs = (("E1", "E18"), ("E4", "E11"))
    for reference in ("average", "E12"):
        protocol = make_protocol(pairs, model.electrodes, reference)
        exact = every.voltages(truth)
        wide = np.stack([exact[0], exact[3] - exact[10]])
        near = readings(ReducedForward(model, pairs).voltages(truth), protocol)
        error = np.abs(near - readings(wide, protocol)).max(axis=1)
        bound = certified_error(model, protocol, truth)
        assert np.all(error <= bound + 1e-13) and np.all(bound < 1e-2)
        assert np.all(np.isinf(certified_error(trained, protocol, truth)))
    few = dataclasses.replace(model.select(["E1", "E4", "E11"]))
    assert np.all(np.isinf(certified_error(few, protocol, truth)))


def test_reciprocity_tells_the_noise_without_a_head(truth):
    pairs = [(f"E{n}", f"E{n + 1}") for n in (1, 3, 5, 7, 9, 13, 15, 17)]
    full = full_model(pairs=pairs)
    clean = full.voltages(truth)
    current = np.linspace(1, 2, 8)  # of the model's: readings count per current

    def noisy(std, generator):
        wide = add_noise(clean * current[:, None], std, generator)
        return Measurement(pairs, full.electrodes, wide - wide[:, [11]], CURRENT * current, "E12")

    rng = np.random.default_rng(0)
    found = [reciprocity_noise(noisy(STD, rng)) for _ in range(200)]
    assert {count for _, count in found} == {28}
    # Readings divided by currents between 1 and 2: their noise, at the mean current.
    expected = STD * 1.5 * np.sqrt(np.mean(1 / current**2))
    assert np.sqrt(np.mean([std**2 for std, _ in found])) == pytest.approx(expected, rel=0.1)
    exact, _ = reciprocity_noise(noisy(1e-16, rng))
    assert exact < 1e-12
    one = noisy(STD, rng)
    one.voltages[:, 0] = np.nan
    assert reciprocity_noise(one)[1] == 21, "E1's pattern cannot be compared any more"


def test_reciprocity_says_nothing_of_a_common_sink(truth):
    full = full_model(pairs=[(f"E{n}", "E18") for n in range(1, 11)])
    wide = full.voltages(truth)
    one = Measurement(
        full.pairs, full.electrodes, wide - wide[:, [11]], np.full(10, CURRENT), "E12"
    )
    assert reciprocity_noise(one) is None
