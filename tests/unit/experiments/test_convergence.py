"""Experiment 1's pieces: summaries against slow obvious versions, and the stopping rule."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from headcond.checks import InputError
from headcond.experiments.convergence import (
    certificates,
    concave_ratio,
    enough_snapshots,
    history_table,
    paper_settings,
    snapshot_counts,
    summarise_errors,
)
from headcond.fem.solvers import make_solver
from headcond.figures.rom import plot_convergence, plot_error_measures, plot_stopping
from headcond.figures.style import save
from headcond.reporting.rom import convergence_table
from headcond.rom.basis import load_basis
from headcond.rom.pair_training import pair_folder
from headcond.rom.parameters import latin_hypercube, named_box
from headcond.rom.settings import Settings
from headcond.rom.stability import stability_factors
from headcond.rom.training import train_pairs
from headcond.rom.validation import compare, validate
from tests.helpers import rom_synthetic

OPERATOR = rom_synthetic.synthetic_operator(7)
BOX = named_box("full", rom_synthetic.TISSUES, fixed={"contact": rom_synthetic.CONTACT})
DIRECT = partial(make_solver, backend="direct")
PAIRS = [("E1", "E0"), ("E4", "E0")]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Models of both norms with bases, and the tables of the experiment."""
    points = latin_hypercube(BOX, 12, np.random.default_rng(2))
    factors = stability_factors(OPERATOR, BOX, points, DIRECT)
    rule = Settings(max_snapshots=8, training=80)
    trained = []
    paper = paper_settings(80, 8, rule.current, rule.seed, factors)
    for norm, chosen in (("energy", rule), ("euclidean", paper)):
        state = tmp_path_factory.mktemp(norm)
        model = train_pairs(OPERATOR, PAIRS, BOX, chosen, solver_factory=DIRECT, state=state,
                            keep_bases=True)  # fmt: skip
        trained.append((model, {s: load_basis(state / pair_folder(OPERATOR, s)) for s, _ in PAIRS}))
    test = np.random.default_rng(4).uniform(BOX.lower, BOX.upper, (5, 6))
    counts = snapshot_counts(8)
    tables = compare(trained, OPERATOR, DIRECT, test, snapshots=counts)
    for (model, _), table in zip(trained, tables, strict=True):
        table["norm"] = model.norm
    errors = pd.concat(tables, ignore_index=True)
    histories = pd.concat([history_table(model) for model, _ in trained], ignore_index=True)
    return trained, factors, test, errors, histories


def test_counts_hold_the_first_few_and_the_last():
    assert snapshot_counts(3) == [1, 2, 3]
    assert snapshot_counts(40)[:5] == [1, 2, 3, 4, 5] and snapshot_counts(40)[-1] == 40


def test_models_compared_together_are_as_each_alone(measured):
    trained, _, test, errors, _ = measured
    for model, bases in trained:
        alone = validate(model, OPERATOR, DIRECT, test, bases=bases, snapshots=[2, 8])
        part = errors[(errors["norm"] == model.norm) & errors["snapshots"].isin([2, 8])]
        for name in ("error", "bound", "passive_error", "relative_head_error"):
            assert np.allclose(part[name], alone[name], rtol=1e-6, atol=1e-14)


def test_summary_is_mean_and_largest_over_pairs_and_points(measured):
    trained, _, _, errors, histories = measured
    found = summarise_errors(errors, histories).set_index(["norm", "snapshots"])
    for norm, count in (("energy", 4), ("euclidean", 8)):
        rows = [r for _, r in errors.iterrows() if r["norm"] == norm and r["snapshots"] == count]
        assert len(rows) == 2 * 5 == found.loc[(norm, count), "points"]
        row = found.loc[(norm, count)]
        assert row["relative_error_max"] == max(r["relative_error"] for r in rows)
        assert row["passive_error_mean"] == pytest.approx(
            np.mean([r["passive_error"] for r in rows])
        )
        effect = [r["bound"] / r["error"] for r in rows if r["judged"]]
        assert row["effectivity_min"] == pytest.approx(min(effect))
    pair = trained[0][0].pairs
    bound = max(p.history["maximum"][3] for p in pair)
    assert found.loc[("energy", 4), "sample_bound_max"] == bound
    assert (found.loc["energy", "violated"] == 0).all()
    assert found.loc[("energy", 8), "orthogonality_max"] <= 1e-12
    classical = found.loc[("euclidean", 8), "orthogonality_max"]
    assert classical > found.loc[("energy", 8), "orthogonality_max"]


def test_concave_ratio_makes_the_euclidean_bound_one(measured):
    _, factors, test, errors, _ = measured
    ratio = concave_ratio(factors, BOX, test)
    part = errors[(errors["norm"] == "euclidean") & errors["judged"]]
    assert (part["bound"] * ratio[part["point"]] >= part["error"]).all()


def test_stopping_rule_takes_the_first_count_after_which_it_holds():
    table = pd.DataFrame(
        {"snapshots": [1, 2, 3, 4, 5], "passive_error_max": [9e-6, 5e-8, 2e-7, 6e-8, 1e-8]}
    )
    assert enough_snapshots(table, 0.82e-6) == 4
    assert enough_snapshots(table, 0.82e-9) is None


def test_figures_are_drawn_of_one_norm_and_of_both(measured, tmp_path):
    *_, errors, histories = measured
    for norms in (["energy", "euclidean"], ["euclidean"]):
        part, steps = errors[errors["norm"].isin(norms)], histories[histories["norm"].isin(norms)]
        table = summarise_errors(part, steps)
        figures = {"a": plot_convergence(table), "b": plot_error_measures(table, 1e-6),
                   "c": plot_stopping(part, steps, 1e-6)}  # fmt: skip
        assert len(figures["a"].axes) == 3 * len(norms) and len(figures["c"].axes) == 2 * len(norms)
        for name, figure in figures.items():
            save(figure, tmp_path / f"{name}.png")
            assert (tmp_path / f"{name}.png").stat().st_size > 5000


def test_errors_are_those_of_the_long_vectors(measured):
    trained, _, test, errors, _ = measured
    contact = OPERATOR.block("contact")
    for number in (0, len(test) - 1):
        coefficients = BOX.coefficients(OPERATOR, test[number])
        matrix = OPERATOR.combine(coefficients)
        touch = coefficients[OPERATOR.names.index("contact")] * contact
        for model, bases in trained:
            pair, table = model.pairs[0], errors[errors.norm == model.norm]
            load = OPERATOR.load(pair.source, pair.sink, model.current)
            truth = DIRECT(matrix).solve(load, tolerance=1e-13).x
            rows = table[(table.point == number) & (table.source == pair.source)]
            for row in rows.itertuples():
                first = pair.first(row.snapshots)
                solution = first.solve(model.box.theta(test[number : number + 1]))[0]
                error = truth - bases[pair.source][:, : row.snapshots] @ solution
                energy = error @ (matrix @ error)
                square = energy if model.norm == "energy" else error @ error
                head = energy - error @ (touch @ error)
                whole = truth @ (matrix @ truth) - truth @ (touch @ truth)
                noise = 1e-11 * np.sqrt(truth @ truth)
                assert row.error == pytest.approx(np.sqrt(square), rel=1e-6, abs=noise)
                assert row.relative_head_error == pytest.approx(
                    np.sqrt(head / whole), rel=1e-6, abs=1e-11
                )


def test_models_of_other_pairs_are_not_compared(measured):
    trained, _, test, *_ = measured
    model, bases = trained[0]
    with pytest.raises(InputError, match="same pairs"):
        compare([(model, bases), (model.select(["E4"]), bases)], OPERATOR, DIRECT, test)


def test_report_table_says_which_bound_is_a_certificate(measured):
    *_, errors, histories = measured
    found = summarise_errors(errors, histories)
    table = convergence_table(found)
    assert dict(zip(table["norm"], table["certified"], strict=True)) == {
        "energy": "yes", "euclidean": "no",
    }  # fmt: skip
    assert table["largest error at a passive electrode (µV)"].tolist() == pytest.approx(
        (1e6 * found["passive_error_max"]).tolist()
    )


def test_certificates_count_every_bound(measured):
    _, factors, test, errors, _ = measured
    errors = errors.copy()
    ratio = concave_ratio(factors, BOX, test)
    errors["concave_bound"] = np.where(
        errors["norm"] == "euclidean", errors["bound"] * ratio[errors["point"]], np.nan
    )
    found = certificates(errors).set_index("norm")
    assert found.loc["energy", ["violated", "lower_violated"]].tolist() == [0, 0]
    assert 0 < found.loc["energy", "of_limit"] <= 1 + 1e-9
    assert found.loc["euclidean", "proven_violated"] == 0
    assert found.loc["euclidean", "above_proven"] == pytest.approx(np.mean(ratio > 1))
    assert found.loc["euclidean", "ratio_max"] == pytest.approx(ratio.max())
    wrong = errors.assign(lower=errors["bound"] * 1.01, concave_bound=0.0)
    found = certificates(wrong).set_index("norm")
    judged = errors[errors["judged"]].groupby("norm").size()
    assert found.loc["energy", "lower_violated"] > 0
    assert found.loc["euclidean", "proven_violated"] == judged["euclidean"]
