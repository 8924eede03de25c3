"""Bad input to the reduced models: refused early, by a message that names the thing."""

from functools import partial

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.fem.operator import AffineOperator
from headcond.fem.solvers import make_solver
from headcond.rom.model import ReducedModel
from headcond.rom.parameters import Box, named_box, operator_box
from headcond.rom.settings import Settings
from headcond.rom.training import train_pairs
from headcond.rom.validation import validate
from headcond.tissues import EIT_RANGES
from tests.helpers import rom_synthetic

TISSUES, CONTACT = rom_synthetic.TISSUES, rom_synthetic.CONTACT
OPERATOR = rom_synthetic.synthetic_operator(7)
DIRECT = partial(make_solver, backend="direct")
BOX = named_box("quartile", TISSUES, fixed={"contact": CONTACT})


@pytest.fixture(scope="module")
def model():
    return train_pairs(OPERATOR, [("E1", "E0")], BOX, Settings(max_snapshots=3, training=30),
                       solver_factory=DIRECT)  # fmt: skip


@pytest.mark.parametrize("low", [1.0, 2.0])
def test_box_with_minimum_not_below_maximum(low):
    with pytest.raises(InputError, match="Box of gm: the minimum"):
        Box(("gm",), [low], [1.0])


def test_point_outside_the_box_is_refused_or_flagged(model, caplog):
    outside = BOX.upper * 1.2
    for ask in (model.voltages, model.jacobian, model.bound):
        with pytest.raises(InputError, match="outside the trained box: scalp"):
            ask(outside)
    with caplog.at_level("WARNING"):
        flagged = model.voltages(outside, outside="flag")
    assert "outside the trained box" in caplog.text
    assert not BOX.inside(outside) and np.all(np.isfinite(flagged))


@pytest.mark.parametrize("change", [{"points": 8}, {"electrodes": 6}])
def test_operator_of_another_mesh_or_electrode_set(model, change):
    other = rom_synthetic.synthetic_operator(**{"points": 7, "electrodes": 8, **change})
    with pytest.raises(InputError, match="another operator"):
        validate(model, other, DIRECT, BOX.centre[None])


@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_truncated_files(model, tmp_path, part):
    for what, reader in ((model, ReducedModel.read), (OPERATOR, AffineOperator.read)):
        path = tmp_path / "file.h5"
        what.write(path)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(InputError, match="cannot be read"):
            reader(path)
    with pytest.raises(InputError, match="cannot be read"):
        ReducedModel.read(tmp_path / "absent.h5")


def test_boxes_of_a_study():
    blocks = (*TISSUES, "contact")
    merged = operator_box("merged_skull", blocks, 5.0)
    assert merged.names == ("scalp", "skull", "csf", "gm", "wm")
    assert merged.lower[1] == EIT_RANGES["compact_bone"]["lq"]
    assert merged.upper[1] == EIT_RANGES["spongy_bone"]["uq"]
    wide = operator_box("expanded_spongy", blocks, 5.0)
    assert wide.upper[wide.names.index("spongy_bone")] == 0.3
    assert dict(wide.fixed) == {"contact": 0.2}
    contact = operator_box("quartile", blocks, 5.0, (2.0, 10.0))
    assert contact.names[-1] == "contact" and not contact.fixed
    assert (contact.lower[-1], contact.upper[-1]) == (0.1, 0.5)
    split = ("scalp", "compact_bone_radial", "compact_bone_tangential", "csf", "contact")
    skull = operator_box("full", split, 5.0)
    assert skull.lower[1] == skull.lower[2] == EIT_RANGES["compact_bone"]["min"]
    some = operator_box("full", blocks, 5.0, fixed={"csf": 1.79, "wm": 0.2})
    assert some.names == ("scalp", "compact_bone", "spongy_bone", "gm")
    assert dict(some.fixed) == {"csf": 1.79, "wm": 0.2, "contact": 0.2}
    with pytest.raises(InputError, match="fixed conductivity.*'liquor'"):
        operator_box("full", blocks, 5.0, fixed={"liquor": 1.79})
    with pytest.raises(InputError, match="merged_skull"):
        operator_box("merged_skull", split, 5.0)
    for wrong in ((10.0, 2.0), (3.0,), (0.0, 1.0)):
        with pytest.raises(InputError, match="least and largest"):
            operator_box("quartile", blocks, 5.0, wrong)


def test_trained_contact_impedance_is_followed():
    """A model with contact as a parameter gives the full solution at another impedance."""
    box = operator_box("quartile", OPERATOR.names, 5.0, (2.0, 10.0))
    model = train_pairs(OPERATOR, [("E1", "E0")], box, Settings(max_snapshots=14, training=150),
                        solver_factory=DIRECT)  # fmt: skip
    sigma = np.append(box.centre[:-1], 1 / 3.0)
    load = OPERATOR.load("E1", "E0", model.current)
    truth = DIRECT(OPERATOR.combine(box.coefficients(OPERATOR, sigma))).solve(load).x
    expected = truth[OPERATOR.nodes :]
    found = model.voltages(sigma)[0]
    error = (found - found.mean()) - (expected - expected.mean())
    assert np.abs(error).max() <= 1e-3 * np.ptp(expected)
    gap = truth @ load - model.pairs[0].energy(model.pairs[0].solve(box.theta(sigma)[None]))[0]
    assert -1e-12 * abs(truth @ load) <= gap <= model.bound(sigma)[0] ** 2
