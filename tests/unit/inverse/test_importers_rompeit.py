"""Measurements in ROMpEIT's layout: from files of either kind to conductivities, and refusals."""

from __future__ import annotations

import json
import re

import h5py
import numpy as np
import pytest
import scipy.io

from headcond.checks import InputError
from headcond.inverse import measurement
from headcond.inverse.importers import read_rompeit, rompeit_conductivities
from headcond.inverse.optimise import estimate
from scripts.inverse import import_rompeit
from tests.helpers.inverse_models import CURRENT, box_points, full_model, galerkin, matched

PAIRS = np.array([(1, 9), (4, 14), (9, 18)])
STD = 2e-8
FILES = ("measurements", "sinks.mat", "labels.txt")


@pytest.fixture(scope="module")
def full():
    return full_model(pairs=tuple((f"E{n}", "E18") for n in (1, 4, 9, 14)))


@pytest.fixture(scope="module")
def model(full, truth):
    """Exact at the truth, which is a snapshot: the data are of the full model."""
    return galerkin(full, [*box_points(full, 9, np.random.default_rng(1)), truth])


@pytest.fixture(scope="module")
def truth(full):
    return full.lower + 0.4 * (full.upper - full.lower)


@pytest.fixture(scope="module")
def solutions(full, truth):
    """Potentials (3, nodes + 18) V of the patterns, without a mean."""
    driven = full._fields(truth, range(4)).T
    fields = dict(zip((1, 4, 9, 14, 18), [*driven, np.zeros_like(driven[0])], strict=True))
    found = np.array([fields[a] - fields[b] for a, b in PAIRS])
    return found - found.mean(axis=1, keepdims=True)


def older(path, **content):
    scipy.io.savemat(path, content, do_compression=True)


def newer(path, **content):
    """As MATLAB's -v7.3: HDF5 behind a block of text, transposed, with the class said."""

    def put(group, name, values):
        if isinstance(values, dict):
            for key, value in values.items():
                put(group.require_group(name), key, value)
            group[name].attrs["MATLAB_class"] = np.bytes_("struct")
            return
        group[name] = values.T if values.size else np.array(values.shape, np.uint64)
        group[name].attrs["MATLAB_class"] = np.bytes_("double")
        group[name].attrs["MATLAB_empty"] = np.uint8(values.size == 0)

    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in content.items():
            put(file, name, values)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file")


@pytest.fixture
def folder(tmp_path, solutions, truth):
    """Computed measurements; the third of a newer kind; noise is added to all three."""
    (tmp_path / "measurements").mkdir()
    noise = STD * np.random.default_rng(3).standard_normal(solutions.shape)
    for number, (row, error) in enumerate(zip(solutions, noise, strict=True), start=1):
        write = newer if number == 3 else older
        for name, u in ((f"pattern_{number}", row), (f"pattern_{number}_noise", row + error)):
            data = {"u": u[:, None], "synth_cond": np.array([[*truth, 5.0]])}
            write(tmp_path / "measurements" / f"{name}.mat", Data=data)
    older(tmp_path / "sinks.mat", sinks=PAIRS)
    (tmp_path / "labels.txt").write_text("".join(f"E{n}\n" for n in range(1, 19)))
    return tmp_path


def read(folder, **options):
    return read_rompeit(*(folder / name for name in FILES), **{"current": CURRENT, **options})


def refused(folder, message, **options):
    with pytest.raises(InputError, match=message):
        read(folder, **options)


def test_potentials_become_readings_against_the_passive_average(folder, solutions, truth):
    found = read(folder, noise=STD, frequency=27.0)
    assert found.pairs == (("E1", "E9"), ("E4", "E14"), ("E9", "E18"))
    assert found.electrodes == tuple(f"E{n}" for n in range(1, 19))
    assert (found.reference, found.noise, found.frequency) == ("average", STD, 27)
    np.testing.assert_array_equal(found.current, CURRENT)
    for voltages, pair, potentials in zip(found.voltages, PAIRS, solutions, strict=True):
        driven = np.isin(np.arange(1, 19), pair)
        np.testing.assert_array_equal(np.isnan(voltages), driven)
        passive = potentials[-18:][~driven]
        np.testing.assert_allclose(voltages[~driven], passive - passive.mean(), atol=1e-15)
    values = rompeit_conductivities(folder / "measurements")
    np.testing.assert_allclose(values, [*truth, 5.0])


def test_they_give_the_conductivities_back(folder, model, truth):
    """By the joint estimate, without noise and with that of the other files."""
    exact = matched(read(folder), model, noise=STD)
    found = estimate(model, exact.readings, exact.protocol, STD, pairs="joint")
    np.testing.assert_allclose(found.sigma, truth, rtol=1e-4)
    loud = matched(read(folder, noisy=True, noise=STD), model)
    added = (loud.readings - exact.readings)[exact.protocol.mask]
    assert 0.7 * STD < added.std() < 1.3 * STD
    found = estimate(model, loud.readings, loud.protocol, loud.noise, pairs="joint")
    assert np.all(np.abs(found.sigma - truth) < 5 * found.std), "within five deviations"
    assert not np.allclose(found.sigma, truth, rtol=1e-7)


@pytest.mark.parametrize("write", [older, newer])
def test_real_measurements_may_hold_electrodes_alone(folder, write):
    """With no struct, with an empty conductivity, and contacts that say nothing."""
    whole = read(folder)
    for number in (1, 2, 3):
        path = folder / "measurements" / f"pattern_{number}.mat"
        own = np.nan_to_num(whole.voltages[number - 1]) + 0.3  # against anything
        own[PAIRS[number - 1] - 1] = np.nan
        bare, empty = {"u": own[:, None]}, np.zeros((0, 0))
        write(path, **(bare if number == 1 else {"Data": {**bare, "synth_cond": empty}}))
    np.testing.assert_allclose(read(folder).voltages, whole.voltages, atol=1e-15)
    assert rompeit_conductivities(folder / "measurements").size == 0


def test_files_that_do_not_belong_together_are_refused(folder):
    measurements = folder / "measurements"
    refused(folder, "Give it in A", current=20)
    older(folder / "sinks.mat", sinks=PAIRS[:2])
    refused(folder, r"3 patterns, but .*sinks\.mat has 2 rows")
    older(folder / "sinks.mat", sinks=PAIRS[[1, 0, 2]])
    refused(folder, r"pattern_1\.mat: current seems to enter at E1 and leave at E9.*E4 and E14")
    older(folder / "sinks.mat", sinks=np.column_stack([PAIRS, [2, 3, 5]]))
    refused(folder, r"sinks\.mat: its patterns extract at 2 electrodes at once")
    for wrong in (19, 0, 2.5, np.nan):
        older(folder / "sinks.mat", sinks=np.vstack([PAIRS[:2], [9, wrong]]))
        refused(folder, f"row 3 of sinks names electrode {wrong:g}; .* 1 to 18")
    older(folder / "sinks.mat", sinks=PAIRS[:, :1])
    refused(folder, r"sinks must have shape \('any', 2\)")
    older(folder / "sinks.mat", sink=PAIRS)
    refused(folder, "has no variable sinks")
    older(folder / "sinks.mat", sinks=PAIRS)
    (measurements / "pattern_2.mat").rename(measurements / "pattern_4.mat")
    refused(folder, r"pattern_2\.mat is missing, but there is pattern_3\.mat")
    for path in measurements.glob("pattern_?.mat"):
        path.unlink()
    refused(folder, r"measurements: has no pattern_1\.mat")
    assert len(read(folder, noisy=True).pairs) == 3, "the noisy ones are there still"


def test_labels_that_are_none_are_refused(folder):
    for text, message in (
        ("E{n}\n", "u has 747 values, fewer than the 748 labels"),
        ("E{n} E{n}\n", "line 1 is 'E1 E1'; write one label"),
        ("E{n}\n\n", "line 2 is ''; write one label"),
        ("E\n", "three or more labels, all different"),
    ):
        (folder / "labels.txt").write_text("".join(text.format(n=n) for n in range(1, 749)))
        refused(folder, message)
    # The driven electrodes of computed potentials show that one is not in the list.
    (folder / "labels.txt").write_text("".join(f"E{n}\n" for n in range(2, 19)))
    older(folder / "sinks.mat", sinks=np.minimum(PAIRS, 17))
    refused(folder, "does .*labels.txt hold every electrode in ROMpEIT's order")
    (folder / "labels.txt").unlink()
    refused(folder, r"labels\.txt: cannot be read")


SPOILED = {
    "NaN": (lambda d: {"Data": {**d, "u": np.full(d["u"].shape, np.nan)}}, "18 values that are Na"),
    "a cell": (lambda d: {"Data": {**d, "u": np.array([d["u"], "V"], object)}},
               r"Data\.u is not an array of real numbers \(but a cell"),
    "text": (lambda d: {"Data": {**d, "u": "0.1 0.2"}}, r"Data\.u is not an array of real"),
    "complex": (lambda d: {"Data": {**d, "u": 1j * d["u"]}}, r"Data\.u is not an array of real"),
    "two structs": (lambda d: {"Data": np.array([(1, 2), (3, 4)], [("u", object), ("v", object)])},
                    "Data is not a single struct"),
    "numbers for a struct": (lambda d: {"Data": d["u"]}, "Data is not a single struct"),
    "no u": (lambda d: {"Data": {"v": d["u"]}}, "neither a struct Data with the field u"),
    "a matrix": (lambda d: {"Data": {**d, "u": np.ones((9, 83))}}, "u must be a vector"),
    "another head": (lambda d: {"Data": {**d, "u": d["u"][1:]}},
                     r"u has 746 values, but 747 in pattern_1\.mat"),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILED)
def test_patterns_that_are_none_are_refused(folder, case):
    change, message = SPOILED[case]
    path = folder / "measurements" / "pattern_2.mat"
    data = scipy.io.loadmat(path)["Data"][0, 0]
    older(path, **change({"u": data["u"], "synth_cond": data["synth_cond"]}))
    refused(folder, rf"pattern_2\.mat.*{message}")


@pytest.mark.parametrize("number", [1, 3])
def test_truncated_files_are_refused(folder, number):
    """Of the older and of the newer kind."""
    path = folder / "measurements" / f"pattern_{number}.mat"
    whole = path.read_bytes()
    for keep in (0.9, 0.5, 0.05):
        path.write_bytes(whole[: int(keep * len(whole))])
        refused(folder, rf"pattern_{number}\.mat: cannot be read as a MATLAB file")


@pytest.mark.parametrize("kind", [0, 8, 14, 15, 20, 200])
def test_an_element_of_no_known_type_is_refused(folder, kind):
    """SciPy's reader ends its program on most of them: a child process tries first."""
    path = folder / "measurements" / "pattern_2.mat"
    scipy.io.savemat(path, {"Data": {"u": np.ones((747, 1))}})
    head, tail = path.read_bytes().split(b"\x09\0\0\0" + (8 * 747).to_bytes(4, "little"))
    path.write_bytes(head + bytes([kind, 0, 0, 0]) + (8 * 747).to_bytes(4, "little") + tail)
    refused(folder, r"pattern_2\.mat: cannot be read as a MATLAB file")


def huge(file):
    """A field that claims 8 TB, none of which was ever written."""
    del file["Data/u"]
    file.create_dataset("Data/u", (1, 10**12), "f8", chunks=(1, 10**6))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f["Data/u"].attrs.modify("MATLAB_class", np.bytes_("char")), "array of real"),
        (lambda f: f.move("Data/u", "Data2"), "neither a struct Data with the field u"),
        (lambda f: (f.pop("Data"), f.create_dataset("Data", data=[1.0])), "not a single struct"),
        (huge, r"claims 8e\+12 bytes"),
    ],
)  # fmt: skip
def test_newer_files_that_hold_something_else_are_refused(folder, change, message):
    path = folder / "measurements" / "pattern_3.mat"
    read(folder)
    with h5py.File(path, "r+") as file:
        change(file)
    refused(folder, rf"pattern_3\.mat.*{message}")


def test_the_command_writes_a_table_once(folder, capsys):
    arguments = [*(str(folder / name) for name in FILES), str(folder / "mine.tsv")]
    arguments += ["--current", "2e-5", "--noise", "1e-7"]
    import_rompeit.command(arguments)
    printed = capsys.readouterr().out
    assert re.fullmatch(r"Computed with .*: [\d.]+ [\d.]+ [\d.]+ 5\n", printed), printed
    (found,), wanted = measurement.read(folder / "mine.tsv"), read(folder)
    column = [found.electrodes.index(name) for name in wanted.electrodes]
    np.testing.assert_allclose(found.voltages[:, column], wanted.voltages, rtol=1e-8)
    assert found.noise == 1e-7
    record = json.loads((folder / "mine.json").read_text())
    assert record["provenance"]["parameters"]["current"] == 2e-5
    with pytest.raises(SystemExit):
        import_rompeit.command(arguments)
