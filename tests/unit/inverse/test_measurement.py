"""Measurement tables: round trips, refusals, binding to a model, rules for what is bad."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.inverse import measurement, screening
from headcond.inverse.importers import read_ucl
from headcond.inverse.measurement import Measurement
from headcond.inverse.noise import add_noise
from headcond.inverse.optimise import estimate
from headcond.inverse.protocol import make_protocol, readings
from tests.helpers.inverse_models import CURRENT, box_points, full_model, galerkin, matched

STD = 2e-8


@pytest.fixture(scope="module")
def full():
    return full_model(pairs=(("E1", "E18"), ("E4", "E18"), ("E9", "E18"), ("E14", "E18")))


@pytest.fixture(scope="module")
def model(full):
    return galerkin(full, box_points(full, 9, np.random.default_rng(1)))


@pytest.fixture(scope="module")
def truth(model):
    return model.box.lower + 0.4 * (model.box.upper - model.box.lower)


def measured(model, truth, reference="E12", current=CURRENT, std=STD, **changes):
    """What an amplifier with another current and its own order of electrodes would deliver."""
    potentials = model.voltages(truth)  # trained pairs
    sources = model.sources
    pairs = (("E1", "E9"), ("E4", "E14"), ("E9", "E18"))
    wide = [
        potentials[sources.index(a)] - (potentials[sources.index(b)] if b in sources else 0.0)
        for a, b in pairs
    ]
    wide = add_noise(np.array(wide) * current / CURRENT, std, np.random.default_rng(3))
    order = [e for e in model.electrodes[::-1] if e != reference]
    column = [model.electrodes.index(e) for e in order]
    if reference == "average":
        volts = wide[:, column] - wide.mean(axis=1, keepdims=True)
    else:
        volts = wide[:, column] - wide[:, [model.electrodes.index(reference)]]
    facts = {"kind": "signed", "frequency": 27.0, "noise": std} | changes
    return Measurement(pairs, tuple(order), volts, np.full(3, current), reference, **facts)


def rewrite(path, change=None, **keys):
    """Change lines of a table, or keys of its sidecar."""
    if change:
        path.write_text(change(path.read_text()))
    side = path.with_suffix(".json")
    facts = json.loads(side.read_text()) | keys
    side.write_text(json.dumps({k: v for k, v in facts.items() if v != "drop"}))


@pytest.fixture
def written(model, truth, tmp_path):
    path = tmp_path / "mine.tsv"
    measurement.write(path, [measured(model, truth)])
    return path


def test_a_table_comes_back_as_it_was(model, truth, tmp_path):
    one = measured(model, truth, description="a cube")
    holes = one.voltages.copy()
    holes[0, 3] = np.nan
    one = dataclasses.replace(one, voltages=holes)
    two = dataclasses.replace(one, frequency=5.0, voltages=2 * holes, current=2 * one.current)
    path = tmp_path / "two.tsv"
    measurement.write(path, [one, two])
    low, high = measurement.read(path)
    assert (low.frequency, high.frequency) == (5.0, 27.0)
    for back, was in ((low, two), (high, one)):
        assert back.pairs == was.pairs and back.reference == was.reference
        assert (back.noise, back.kind, back.description) == (STD, "signed", "a cube")
        np.testing.assert_allclose(back.current, was.current)
        for m, pair in enumerate(was.pairs):
            for label in was.electrodes:
                got = back.voltages[m, back.electrodes.index(label)]
                if label in pair:
                    assert np.isnan(got), "contacts are no readings"
                else:
                    want = was.voltages[m, was.electrodes.index(label)]
                    np.testing.assert_allclose(got, want, rtol=1e-8)
    assert "n/a" in path.read_text()


@pytest.mark.parametrize(
    ("change", "keys", "message"),
    [
        (lambda t: t.replace("voltage", "volts"), {}, "no column 'voltage'"),
        (lambda t: t.split("\n")[0] + "\n", {}, "no row"),
        (lambda t: t.replace(t.split("\n")[4].split("\t")[5], "nan"), {}, "5: voltage is 'nan'"),
        (lambda t: t.replace(t.split("\n")[4].split("\t")[5], "1,5"), {}, "Write n/a for"),
        (lambda t: t + t.split("\n")[3] + "\n", {}, "read twice under pattern E1-E9 at 27 Hz"),
        (lambda t: t.replace("2e-05", "20", 1), {}, "more than one current"),
        (lambda t: t.replace("2e-05", "20"), {}, "Give it in A: 20 uA is 0.00002"),
        (lambda t: t.replace("2e-05", "-2e-05"), {}, "not as a negative current"),
        (lambda t: t.replace("\tE1\tE9\t", "\tE1\tE1\t"), {}, "injects and extracts at one"),
        (None, {"reference": "E9"}, "E1-E9 uses the reference electrode E9"),
        (None, {"reference": 3}, "reference must be an electrode's name"),
        (None, {"format": "drop"}, "not a measurement"),
        (None, {"noise": "drop"}, "the key 'noise' is missing"),
        (None, {"noise": "1 uV"}, "noise must be a number in V"),
        (None, {"noise": -1e-6}, "noise must be a finite number above 0"),
        (None, {"kind": "modulus"}, "signed"),
        (None, {"kind": "amplitude"}, "An amplitude is below 0"),
        (None, {"units": {"voltage": "mV", "current": "A", "frequency": "Hz"}}, "must be in V"),
    ],
)  # fmt: skip
def test_tables_that_are_none_are_refused(written, change, keys, message):
    rewrite(written, change, **keys)
    with pytest.raises(InputError, match=message) as error:
        measurement.read(written)
    assert written.stem in str(error.value), "the file is named"


def test_impossible_measurements_are_refused(model, truth):
    good = measured(model, truth)
    for changes, message in (
        ({"voltages": np.full(good.voltages.shape, np.nan)}, "Every reading is missing"),
        ({"voltages": np.where(good.voltages > 0, np.inf, 0)}, "infinite"),
        ({"voltages": 1e6 * good.voltages}, "too large for a scalp"),
        ({"voltages": good.voltages[:, :4]}, "must have shape"),
        ({"frequency": 0.0}, "frequency"),
        ({"reference": "E3"}, "readings other than 0 against itself"),
        ({"electrodes": ("E2",) * len(good.electrodes)}, "is in the measurement twice"),
        ({"pairs": (("E1", "E9"),) * 3}, "is in the measurement twice"),
        ({"kind": "amplitude", "voltages": np.abs(good.voltages), "reference": "average"},
         "cannot be referenced to an average"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            dataclasses.replace(good, **changes)
    with pytest.raises(InputError, match="two tables"):
        measurement.write("nowhere.tsv", [good, good])
    with pytest.raises(InputError, match="different noise"):
        measurement.write("nowhere.tsv", [good, dataclasses.replace(good, noise=1e-6)])
    with pytest.raises(InputError, match="no measurement to write"):
        measurement.write("nowhere.tsv", [])


@pytest.mark.parametrize("reference", ["E12", "average"])
def test_bound_readings_give_the_truth_back(model, truth, reference):
    """Another current, another order, patterns that no single pair was trained for."""
    fit = matched(measured(model, truth, reference, current=7 * CURRENT, std=1e-15), model)
    np.testing.assert_allclose(fit.scale, 1 / 7)
    np.testing.assert_allclose(fit.noise, 1e-15 / 7)
    for pairs in ("each", "joint"):
        found = estimate(model, fit.readings, fit.protocol, 1e-9, pairs=pairs)
        wanted = np.broadcast_to(truth, found.sigma.shape)
        np.testing.assert_allclose(found.sigma, wanted, rtol=1e-5)
    assert fit.left_out == ()


def test_amplitudes_give_the_truth_back_too(model, truth):
    signed = measured(model, truth, std=1e-12)
    sizes = dataclasses.replace(signed, kind="amplitude", voltages=np.abs(signed.voltages))
    fit = matched(sizes, model)
    assert fit.amplitude and np.all(fit.readings >= 0)
    options = {"pairs": "joint", "start": model.box.upper}
    found = estimate(model, fit.readings, fit.protocol, STD, amplitude=True, **options)
    np.testing.assert_allclose(found.sigma, truth, rtol=1e-4)
    as_if_signed = estimate(model, fit.readings, fit.protocol, STD, **options)
    assert as_if_signed.chi_square > 1e6 * max(found.chi_square, 1e-6)
    with pytest.raises(InputError, match="one electrode as the reference"):
        average = make_protocol(fit.protocol.pairs, model.electrodes)
        estimate(model, np.abs(readings(fit.readings, average)), average, STD, amplitude=True)
    with pytest.raises(InputError, match="these readings are signed"):
        estimate(model, -fit.readings, fit.protocol, STD, amplitude=True)
    loud = dataclasses.replace(sizes, noise=float(np.nanmedian(sizes.voltages)) / 6)
    fit = matched(loud, model)
    assert fit.left_out and all("below 3 deviations" in reason for *_, reason in fit.left_out)
    small = [np.abs(fit.readings[fit.protocol.mask]).min(), 3 * np.sqrt(2) * loud.noise]
    assert small[0] >= small[1]


def test_what_is_named_bad_or_missing_is_left_out_and_listed(model, truth):
    one = measured(model, truth)
    holes = one.voltages.copy()
    holes[2, one.electrodes.index("E5")] = np.nan
    one = dataclasses.replace(one, voltages=holes)
    fit = matched(one, model, electrodes=["E7"], patterns=["E4-E14"])
    assert [p for p in one.pairs if p not in fit.protocol.pairs] == [("E4", "E14")]
    reasons = {(pattern, label): reason for pattern, label, reason in fit.left_out}
    assert reasons["E4-E14", ""] == "named as bad" and reasons["E9-E18", "E5"] == "missing"
    assert reasons["E1-E9", "E7"] == "electrode is bad"
    places = [model.electrodes.index(e) for e in ("E7", "E5")]
    assert not fit.protocol.mask[:, places[0]].any()
    assert fit.protocol.mask[:, places[1]].tolist() == [True, False]
    with pytest.raises(InputError, match="Did you mean 'E4-E14'"):
        matched(one, model, patterns=["E4-E15"])
    with pytest.raises(InputError, match="bad electrode"):
        matched(one, model, electrodes=["X1"])
    with pytest.raises(InputError, match="is the reference of every reading"):
        matched(one, model, electrodes=["E12"])
    with pytest.raises(InputError, match="No pattern has an independent reading"):
        matched(one, model, patterns=one.names)
    few = dataclasses.replace(
        one, electrodes=("E2", "E3"), voltages=one.voltages[:, [one.electrodes.index("E2"),
                                                                one.electrodes.index("E3")]]
    )  # fmt: skip
    fit = matched(few, model)
    with pytest.raises(InputError, match="2 independent readings for 3 conductivities"):
        estimate(model, fit.readings, fit.protocol, STD)


def test_models_of_other_electrodes_are_refused(model, truth):
    one = measured(model, truth)

    def renamed(old, new):
        swap = {old: new}
        labels = tuple(swap.get(e, e) for e in one.electrodes)
        pairs = tuple((swap.get(a, a), swap.get(b, b)) for a, b in one.pairs)
        return dataclasses.replace(one, electrodes=labels, pairs=pairs)

    with pytest.raises(InputError, match="no electrode e7. Did you mean 'E7'"):
        matched(renamed("E7", "e7"), model)
    assert matched(renamed("E7", "e7"), model, electrodes=["e7"]).protocol.mask.any()
    others = dataclasses.replace(
        one, electrodes=tuple(f"A{n}" for n in range(len(one.electrodes))), reference="A99",
        pairs=(("A1", "A9"), ("A4", "A14"), ("A9", "A16")),
    )  # fmt: skip
    with pytest.raises(InputError, match="trained for other electrodes: it has E1"):
        matched(others, model)
    with pytest.raises(InputError, match="Pattern E9-E18: no pair was trained for E9"):
        matched(one, model.select(["E1", "E4", "E14"]), patterns=["E1-E9"])
    with pytest.raises(InputError, match="noise of the measurement is unknown"):
        matched(dataclasses.replace(one, noise=None), model)


def test_wrong_units_are_named_as_such(model, truth):
    one = measured(model, truth)
    for voltage, current, hint in (
        (1e3, 1, "off by 1000, as if voltages in mV were written as V"),
        (1, 1e3, "off by 1000, as if a current in mA were written as A"),
        (1e3, 1e-3, "off by a million, as if voltages in uV"),
    ):
        wrong = dataclasses.replace(
            one, voltages=voltage * one.voltages, current=current * one.current
        )
        fit = matched(wrong, model)
        with pytest.raises(InputError, match=hint):
            estimate(model, fit.readings, fit.protocol, STD)


def test_dead_channels_are_found_without_a_model(model, truth):
    one = measured(model, truth)
    values = one.voltages.copy()
    values[:2, one.electrodes.index("E2")] = np.nan
    values[:, one.electrodes.index("E3")] = 1e-6
    values[1, : len(one.electrodes) - 4] = np.nan
    found = screening.dead_channels(dataclasses.replace(one, voltages=values))
    # E9 is passive under E4-E14 alone, which is missing.
    assert set(found.electrodes) == {"E2", "E3", "E9"} and set(found.patterns) == {"E4-E14"}
    assert "67 % of its readings are missing" in found.electrodes["E2"]
    clean = screening.dead_channels(one)
    assert not clean.electrodes and not clean.patterns
    # A channel that stands still does so whatever the current is.
    factor = np.array([1, 3, 0.5])
    values = one.voltages * factor[:, None]
    values[:, one.electrodes.index("E3")] = 1e-6
    uneven = dataclasses.replace(one, voltages=values, current=one.current * factor)
    assert set(screening.dead_channels(uneven).electrodes) == {"E3"}


def test_outliers_are_found_one_by_one_and_a_clean_set_has_none():
    rng = np.random.default_rng(5)
    electrodes = tuple(f"E{n}" for n in range(30))
    patterns = tuple(f"P{n}" for n in range(20))
    noise = rng.standard_normal((20, 30))

    def fit_of(residual):
        def fit(bad):
            mask = np.ones(residual.shape, bool)
            mask[:, [electrodes.index(e) for e in bad.electrodes]] = False
            mask[[patterns.index(p) for p in bad.patterns]] = False
            return residual, mask

        return fit

    clean = screening.outliers(fit_of(noise), electrodes, patterns)
    assert not clean.electrodes and not clean.patterns
    spoiled = noise.copy()
    spoiled[:, 4] *= 9
    spoiled[7] += 6 * rng.standard_normal(30)
    found = screening.outliers(fit_of(spoiled), electrodes, patterns)
    assert set(found.electrodes) == {"E4"} and set(found.patterns) == {"P7"}
    assert "modified z-score" in found.electrodes["E4"]
    assert len(screening.outliers(fit_of(spoiled), electrodes, patterns, 1).electrodes) == 1
    np.testing.assert_allclose(screening.modified_z([1, 2, 3, 4, 100]), 0.6745 * np.array(
        [-2, -1, 0, 1, 97]))  # fmt: skip
    assert np.all(screening.modified_z([1, 1, 1, 5]) == 0)


def test_noise_alone_seldom_makes_an_outlier():
    rng = np.random.default_rng(6)
    mask = np.ones((31, 30), bool)
    alarms = sum(
        bool(found.electrodes or found.patterns)
        for found in (
            screening.outliers(
                lambda *_, noise=noise: (noise - noise.mean(axis=1, keepdims=True), mask),
                tuple(f"E{n}" for n in range(30)), tuple(f"P{n}" for n in range(31)), 1,
            )
            for noise in rng.standard_normal((500, 31, 30))
        )
    )  # fmt: skip
    assert 0.02 < alarms / 500 < 0.08  # the docs say one in twenty


def test_ucl_set_is_read_as_it_is_described(data_dir):
    found = read_ucl(data_dir / "eit_measured")
    assert len(found) == 17 and found[0].frequency == 5 and found[-1].frequency == 2000
    first = found[0]
    assert len(first.pairs) == 31 and len(first.electrodes) == 32 and first.reference == "average"
    assert "NFpz" not in first.electrodes
    assert np.isfinite(first.voltages).sum() == 930
    assert first.pairs[0] == ("Fz", "Oz") and first.pairs[-1] == ("T8", "CP5")
    np.testing.assert_allclose(first.current, 280e-6)
    assert np.isnan(first.voltages[0, first.electrodes.index("Fz")])
    for one in found:
        # Current enters in front: electrodes near the source are positive against those at Oz.
        near, far = (one.voltages[0, one.electrodes.index(e)] for e in ("F3", "PO3"))
        assert 5e-3 < near < 0.05 and -0.05 < far < -5e-3
        np.testing.assert_allclose(np.nanmean(one.voltages, axis=1), 0, atol=1e-12)
    assert not screening.dead_channels(first).electrodes
    # Reciprocity holds to a hundredth: labels of injection and reading are the same electrodes'.
    noise = {one.frequency: screening.reciprocity_noise(one) for one in found}
    assert {count for _, count in noise.values()} == {399}
    assert min(noise, key=lambda frequency: noise[frequency][0]) == 100
    assert 3e-5 < noise[100][0] < 5e-5 and 2e-4 < noise[2000][0] < 4e-4


def test_ucl_files_that_are_not_it_are_refused(data_dir, tmp_path):
    source = data_dir / "eit_measured"
    with pytest.raises(InputError, match=r"EITSETTINGS\.json"):
        read_ucl(tmp_path)
    for name in ("EITSETTINGS.json", "Electrode_Positions.txt"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    with pytest.raises(InputError, match=r"Average_Healthy\.mat: cannot be read"):
        read_ucl(tmp_path)
    (tmp_path / "Average_Healthy.mat").write_bytes(b"no HDF5")
    with pytest.raises(InputError, match=r"Average_Healthy\.mat: cannot be read"):
        read_ucl(tmp_path)
    (tmp_path / "Electrode_Positions.txt").write_text("Number Name\n1 FP2\n")
    with pytest.raises(InputError, match=r"Average_Healthy|no name"):
        read_ucl(tmp_path)
