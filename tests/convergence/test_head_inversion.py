"""The EIT pipeline on a generated head: six tissues back from voltages, as far as theory allows."""

from functools import partial

import numpy as np
import pytest

from headcond.caps import cap_positions, injection_pairs
from headcond.cohort.labels import close_skull
from headcond.cohort.phantom import generate_head
from headcond.fem.electrode_model import assemble
from headcond.fem.solvers import make_solver
from headcond.head.electrodes import place_discs
from headcond.head.meshing import mesh_labels
from headcond.inverse.full_order import FullModel
from headcond.inverse.optimise import estimate
from headcond.inverse.protocol import make_protocol, reading_jacobian, readings
from headcond.inverse.reduced import ReducedForward
from headcond.random import generator
from headcond.rom.parameters import named_box
from headcond.rom.settings import Settings
from headcond.rom.training import train_pairs
from headcond.rom.validation import validate
from headcond.tissues import EIT_TISSUES, to_eit6

NOISE = 0.82e-6
SOLVER = partial(make_solver, backend="petsc", tolerance=1e-11)


@pytest.fixture(scope="module")
def head():
    """Operator, box, reduced model and full model of a coarse generated head."""
    person = generate_head(11, "sub-test", 2.5)
    labels, _ = close_skull(to_eit6(person.labels))
    mesh = mesh_labels(labels, person.affine, 0.009)
    positions = cap_positions("eit32", person.mni)
    discs = place_discs(mesh, list(positions), np.array(list(positions.values())) / 1e3)
    operator = assemble(mesh, discs)
    box = named_box("quartile", EIT_TISSUES, fixed={"contact": 0.2})
    pairs = injection_pairs(operator.electrodes, "Cz", 4)
    settings = Settings(max_snapshots=12, training=500, seed=1)
    reduced = train_pairs(operator, pairs, box, settings, solver_factory=SOLVER)
    full = FullModel(operator, box, pairs=pairs, current=reduced.current, solver_factory=SOLVER)
    return operator, box, reduced, full


def test_bounds_lie_above_the_true_error(head):
    operator, box, reduced, _ = head
    points = generator(3, "validation").uniform(box.lower, box.upper, (6, 6))
    table = validate(reduced, operator, SOLVER, points)
    assert table["judged"].all() and not table["violated"].any()
    assert (table["bound"] >= table["error"]).all()
    assert (table["effectivity"] <= 1.97).all()  # sqrt(gamma/alpha) of the quartile box


@pytest.mark.parametrize("mode", ["each", "joint"])
def test_voltages_of_the_reduced_model_invert_back(head, mode):
    _, box, reduced, _ = head
    forward = ReducedForward(reduced)
    protocol = make_protocol(forward.pairs, forward.electrodes)
    sigma = generator(5, "own").uniform(box.lower, box.upper, (10, 6))
    found = estimate(
        forward, readings(forward.voltages(sigma), protocol), protocol, NOISE, pairs=mode
    )
    truth = sigma[:, None] if mode == "each" else sigma
    assert found.converged.all()
    assert np.max(np.abs(found.sigma / truth - 1)) < 1e-6


def test_voltages_of_the_full_model_invert_as_far_as_the_reduced_voltages_are_off(head):
    """|sigma - truth| <= 2 |J^+| |v_full - v_reduced|, all six tissues, away from the walls."""
    _, box, reduced, full = head
    forward = ReducedForward(reduced)
    protocol = make_protocol(forward.pairs, forward.electrodes)
    middle, reach = (box.lower + box.upper) / 2, (box.upper - box.lower) / 4
    sigma = middle + reach * generator(7, "full").uniform(-1, 1, (4, 6))
    data = readings(full.voltages(sigma), protocol)
    found = estimate(forward, data, protocol, NOISE, pairs="joint")
    assert found.converged.all() and not found.at_wall.any()
    jacobian = reading_jacobian(forward.jacobian(sigma), protocol)
    wrong = data - readings(forward.voltages(sigma), protocol)
    for point in range(len(sigma)):
        inverse = np.linalg.pinv(jacobian[point].reshape(-1, 6))
        allowed = 2 * np.linalg.norm(inverse, 2) * np.linalg.norm(wrong[point])
        assert np.linalg.norm(found.sigma[point] - sigma[point]) <= allowed
