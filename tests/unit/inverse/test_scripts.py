"""Commands and steps of the inverse pipeline with files: estimate, import_measured, adopt_model."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.files import results
from headcond.inverse import measurement
from headcond.inverse.fit import Options
from headcond.inverse.full_order import FullModel
from headcond.inverse.measurement import Measurement
from headcond.rom.parameters import operator_box
from headcond.tissues import EIT_TISSUES
from tests.helpers.inverse_models import (
    CURRENT,
    box_points,
    direct,
    full_model,
    galerkin,
    layered_operator,
)

PROGRAMS = Path(__file__).resolve().parents[3] / "scripts" / "inverse"
NAMES = ("scalp", "skull", "brain")


@pytest.fixture
def script():
    return lambda name: import_module(f"scripts.{name}").main


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A trained model and a measurement at two frequencies, as files; and the truth."""
    folder = tmp_path_factory.mktemp("own")
    full = full_model(pairs=tuple((f"E{n}", "E18") for n in (1, 4, 9, 14)))
    model = galerkin(full, box_points(full, 9, np.random.default_rng(1)))
    model.write(folder / "rom.h5")
    truth = full.lower + 0.4 * (full.upper - full.lower)
    wide = model.voltages(truth)  # noiseless
    wide = wide - wide[:, [11]]
    measurement.write(folder / "mine.tsv", [
        Measurement(full.pairs, full.electrodes, wide, np.full(4, CURRENT), "E12",
                    frequency=frequency, noise=1e-7, description="a cube")
        for frequency in (27.0, 50.0)
    ])  # fmt: skip
    return folder, truth


def test_one_command_makes_tables_figures_and_a_record(script, files, tmp_path):
    folder, truth = files
    out = tmp_path / "out"
    script("inverse.estimate")(
        folder / "mine.tsv", folder / "rom.h5", out, Options(), [], {"rule": "me"}
    )
    found = {path.name for path in out.iterdir()}
    tables = {"estimates", "summary", "residuals"}
    assert found == {
        *(f"{name}.tsv" for name in tables), *(f"{name}.json" for name in tables), "record.json",
        *(f"figure_{name}.{suffix}" for name in ("estimates", "residuals", "spectrum")
          for suffix in ("png", "json")),
    }  # fmt: skip
    summary = results.read_table(out / "summary.tsv")
    assert list(summary["frequency"].unique()) == [27, 50]
    for name, value in zip(NAMES, truth, strict=True):
        rows = summary[summary["parameter"] == name]
        np.testing.assert_allclose(rows[["mean", "joint"]], value, rtol=1e-3)
    record = json.loads((out / "record.json").read_text())
    assert record["choices"]["modes"] == ["each", "joint"] and len(record["fits"]) == 2
    assert record["provenance"]["rule"] == "me"


def test_nothing_is_overwritten_and_frequencies_must_be_there(script, files, tmp_path):
    folder, _ = files
    (tmp_path / "notes.txt").write_text("mine")
    call = (folder / "mine.tsv", folder / "rom.h5")
    with pytest.raises(InputError, match="nothing is overwritten"):
        script("inverse.estimate")(*call, tmp_path, Options(), [], {})
    with pytest.raises(InputError, match="frequency"):
        script("inverse.estimate")(*call, tmp_path / "new", Options(), [5.0], {})
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_make_estimate_runs_this_command():
    recipe = (
        (PROGRAMS.parents[1] / "Makefile")
        .read_text()
        .split("\nestimate: setup")[1]
        .split("\n\n")[0]
    )
    assert (
        'python scripts/inverse/estimate.py "$(MEASUREMENT)" "$(MODEL)" "$(OUT)" $(ARGS)' in recipe
    )


def test_a_measurement_becomes_the_studys_own_table(script, files, tmp_path):
    folder, _ = files
    script("inverse.import_measured")(
        folder / "mine.tsv", tmp_path / "measurement.tsv", {"rule": "x"}
    )
    again = measurement.read(tmp_path / "measurement.tsv")
    assert [one.frequency for one in again] == [27, 50]
    np.testing.assert_allclose(again[0].voltages, measurement.read(folder / "mine.tsv")[0].voltages)


GEOMETRY = {"method": "bcc", "size": 0.01, "cut": [], "spongy": None, "anisotropic": []}
ELECTRODES = {"sink": "E18", "contact_impedance": 5.0, "cap": "cube"}
SETTINGS = {"box": "quartile", "contact": [], "fixed": {}, "pairs": 2}


@pytest.fixture
def trained(tmp_path):
    """The files of a study that has trained a model of a cube with six shells."""
    operator = layered_operator(13, 18, EIT_TISSUES, 0.012)
    box = operator_box("quartile", operator.names, 5.0)
    pairs = (("E1", "E18"), ("E9", "E18"))
    full = FullModel(operator, box, pairs=pairs, current=CURRENT, solver_factory=direct)
    model = galerkin(full, box_points(full, 3, np.random.default_rng(0)))
    folder = tmp_path / "other"
    paths = [folder / name for name in ("head.h5", "mesh.vtu", "quality.json", "operators.h5",
                                        "rom.h5", "greedy.tsv", "validation.tsv")]  # fmt: skip
    folder.mkdir()
    for path in paths:
        path.write_text(path.name)
        results.write_json(results.sidecar_path(path), {"provenance": {"parameters": {}}})
    known = {key: GEOMETRY[key] for key in ("method", "size", "cut", "spongy")}
    results.write_json(
        paths[2], {"provenance": {"parameters": {**known, "electrodes": ELECTRODES}}}
    )
    operator.write(paths[3])
    results.write_sidecar(paths[3], provenance={"parameters": {"anisotropic": []}})
    model.write(paths[4])
    return paths


def adopt(script, paths, goal, geometry=None, electrodes=None, settings=None, current=CURRENT):
    goals = [goal / path.name for path in paths]
    script("rom.adopt_model")(
        [str(path) for path in paths], [str(path) for path in goals], "other",
        {**GEOMETRY, **(geometry or {})}, {**ELECTRODES, **(electrodes or {})},
        {**SETTINGS, **(settings or {})}, current, {"inputs": {}},
    )  # fmt: skip
    return goals


def test_a_trained_model_is_taken_byte_by_byte(script, trained, tmp_path):
    goals = adopt(script, trained, tmp_path / "mine")
    for path, goal in zip(trained, goals, strict=True):
        assert goal.read_bytes() == path.read_bytes()
        assert results.sidecar_path(goal).read_bytes() == results.sidecar_path(path).read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"geometry": {"size": 0.006}}, "with size 0.01, this study says 0.006"),
        ({"geometry": {"anisotropic": ["compact_bone"]}}, "with anisotropic"),
        ({"geometry": {"cap": "eit32"}}, "with cap cube, this study says eit32"),
        ({"settings": {"box": "full"}}, "another box, current or sink"),
        ({"settings": {"fixed": {"csf": 1.79}}}, "another box, current or sink"),
        ({"settings": {"pairs": 3}}, "has 2 pairs, rom.pairs asks for 3"),
        ({"current": 1e-3}, "another box, current or sink"),
    ],
)
def test_a_model_of_another_study_is_refused(script, trained, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        adopt(script, trained, tmp_path / "mine", **changes)
    assert not (tmp_path / "mine").exists()


def test_estimate_names_what_was_written_wrong(script, files, tmp_path):
    folder, _ = files
    run = script("inverse.estimate")
    cases = (
        (Options(limits={"brain": 0.5}), "--limit: brain has 1 numbers; write TISSUE=LOW:HIGH"),
        (Options(fixed={"brain": (0.3, 0.5)}), "--fix: brain has 2 numbers; write TISSUE=S/m"),
        (Options(bad_electrodes=("nobody",)), "mine.tsv at 27 Hz: .*nobody"),
    )
    for choices, told in cases:
        with pytest.raises(InputError, match=told):
            run(folder / "mine.tsv", folder / "rom.h5", tmp_path / "out", choices, [], {})
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file: is a file; name a folder"):
        run(folder / "mine.tsv", folder / "rom.h5", tmp_path / "file", Options(), [], {})


@pytest.mark.parametrize("command", ["estimate", "demodulate"])
def test_a_broken_sidecar_ends_in_a_message(tmp_path, command):
    """The record of the inputs reads their sidecars before anything else does."""
    (tmp_path / "mine.tsv").write_text("x\n")
    (tmp_path / "mine.json").write_text("{")
    more = ["--frequency", "27", "--current", "2e-5", "--reference", "Cz"]
    done = subprocess.run(
        [sys.executable, PROGRAMS / f"{command}.py", tmp_path / "mine.tsv", "b", "c"]
        + (more if command == "demodulate" else []),
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "mine.json: cannot be read as JSON" in done.stderr


def test_a_tissue_named_twice_is_refused():
    command = [
        sys.executable,
        str(PROGRAMS / "estimate.py"),
        "mine.tsv",
        "b",
        "c",
    ]
    for twice in (["--fix", "csf=1.5", "csf=1.6"], ["--fix", "csf=1.5", "--fix", "csf=1.6"]):
        done = subprocess.run([*command, *twice], capture_output=True, text=True)
        assert done.returncode == 2 and "--fix names a tissue twice: csf csf" in done.stderr
