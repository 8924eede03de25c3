"""Reduced models through the workflow's scripts and study keys: corrected readings end to end."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from headcond.checks import InputError
from headcond.fem.solvers import make_solver
from headcond.files import results
from headcond.parallel import SerialCommunicator
from headcond.rom.model import ReducedModel
from headcond.rom.validation import validate
from headcond.study import config
from scripts.rom import form_cross, merge_basis, train_basis
from tests.helpers.rom_synthetic import synthetic_operator

ROOT = Path(__file__).resolve().parents[3]

OPERATOR = synthetic_operator(7, electrodes=5)
SETTINGS = {
    "box": "merged_skull", "contact": [2.0, 10.0], "fixed": {}, "pairs": 4,
    "batch": 2, "snapshots": 5,
    "training_points": 50, "tolerance": 0.0, "reading_noise": 0.0, "mode": "joint",
    "ranks_per_solve": 1, "norm": "energy", "riesz": "cycle", "cycles": 2,
    "corrected": True, "backend": "pyamg", "preconditioner": "gamg",
}  # fmt: skip
ELECTRODES = {"sink": "E0", "contact_impedance": 5.0}


def train(folder, batch, **changes):
    """Call the training script as its rule does."""
    settings = {**SETTINGS, **changes}
    bases = folder / f"bases-{batch}" if settings["corrected"] else None
    train_basis.main(
        operators=folder / "operators.h5", model=folder / f"{batch}.h5",
        bases=bases and str(bases), batch=batch, electrodes=ELECTRODES, settings=settings,
        current=2e-5, seed=1, state=folder / "state", communicator=SerialCommunicator(),
        provenance={"rule": "train_basis", "parameters": {"batch": batch, **settings},
                    "source": "0"},
    )  # fmt: skip


def test_batches_become_one_corrected_model(tmp_path):
    OPERATOR.write(tmp_path / "operators.h5")
    for batch in (0, 1):
        train(tmp_path, batch)
    assert not list((tmp_path / "state").glob("*"))
    plain, corrected = tmp_path / "plain.h5", tmp_path / "rom.h5"
    merge_basis.main([tmp_path / "0.h5", tmp_path / "1.h5"], plain, tmp_path / "g.tsv", {})
    bases = [tmp_path / "bases-0", tmp_path / "bases-1"]
    form_cross.main(tmp_path / "operators.h5", plain, bases, corrected, {})
    model = ReducedModel.read(corrected)
    assert model.box.names == ("scalp", "skull", "csf", "gm", "wm", "contact")
    assert results.read_json(results.sidecar_path(corrected))["current_A"] == 2e-5
    points = np.random.default_rng(0).uniform(model.box.lower, model.box.upper, (3, 6))
    table = validate(model, OPERATOR, lambda m: make_solver(m, backend="direct"), points)
    assert not table["violated"].any() and not table["reading_violated"].any()
    assert table["corrected_passive_error"].max() < table["passive_error"].max()

    other = tmp_path / "other.h5"
    synthetic_operator(8, electrodes=5).write(other)
    with pytest.raises(InputError, match="another operator"):
        form_cross.main(other, plain, bases, corrected, {})


def test_corrected_readings_need_every_electrode(tmp_path):
    OPERATOR.write(tmp_path / "operators.h5")
    with pytest.raises(InputError, match=r"rom.pairs gives 3, set it to 4"):
        train(tmp_path, 0, pairs=3)
    train(tmp_path, 0, pairs=3, corrected=False)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("rom", "box"), "wide", "rom.box"),
        (("rom", "riesz"), "cycles", "Did you mean 'cycle'"),
        (("rom", "contact"), [1.0, 2.0, 3.0], "rom.contact"),
        (("rom", "corrected"), "yes", "rom.corrected"),
        (
            ("rom", "experiment"),
            {"norms": ["energi"], "points": 1, "stability_points": 9},
            "energy",
        ),
        (("head", "anisotropic"), ["gm"], "head.anisotropic"),
        (("head", "radial"), "brain", "head.radial"),
    ],
)
def test_study_keys_are_checked(keys, value, message):
    default = json.loads(json.dumps(yaml.safe_load((ROOT / "config.yaml").read_text())))
    default[keys[0]][keys[1]] = value
    with pytest.raises(InputError, match=message):
        config.check(default)
