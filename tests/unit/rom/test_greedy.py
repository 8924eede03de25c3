"""Greedy training: where it goes, when it ends, and that a kill costs nothing."""

import dataclasses
import logging
from functools import partial

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.fem.solvers import make_solver
from headcond.random import generator
from headcond.rom.basis import load_basis
from headcond.rom.greedy import train
from headcond.rom.pair_training import pair_folder
from headcond.rom.parameters import Box, latin_hypercube, named_box
from headcond.rom.settings import Settings, training_digest
from headcond.rom.training import train_pairs
from headcond.rom.validation import validate
from tests.helpers import rom_synthetic
from tests.helpers.damages import DAMAGES

TISSUES, CONTACT = rom_synthetic.TISSUES, rom_synthetic.CONTACT
OPERATOR = rom_synthetic.synthetic_operator(7)
DIRECT = partial(make_solver, backend="direct")
BOX = named_box("full", TISSUES, fixed={"contact": CONTACT})
PAIRS = [("E1", "E0"), ("E4", "E0"), ("E7", "E0")]
RULE = Settings(max_snapshots=6, training=120)


class Killed(Exception):
    """Stands for the end of the process."""


def killed_after(solves):
    """Solver factory whose solvers end the run at their `solves`-th snapshot solve."""
    left = [solves]

    def factory(matrix, **options):
        solver = DIRECT(matrix, **options)
        ordinary = solver.solve

        def solve(loads, guess=None, tolerance=None, name=""):
            if name.startswith("snapshot"):
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
            return ordinary(loads, guess=guess, tolerance=tolerance, name=name)

        solver.solve = solve
        return solver

    return factory


def assert_same(first, second, tolerance=0.0):
    """Equal arrays (bit for bit by default) and histories, times aside."""
    for name in ("A_N", "b_N", "electrode_basis", "residual_factor", "residual_defect"):
        a, b = getattr(first, name), getattr(second, name)
        assert a.shape == b.shape
        assert np.abs(a - b).max() <= tolerance * np.abs(a).max()
    for name in first.history:
        if not name.startswith("seconds"):
            assert np.array_equal(first.history[name], second.history[name])
    assert first.end == second.end


@pytest.fixture(scope="module")
def pair():
    return train(OPERATOR, "E1", "E0", BOX, RULE, solver_factory=DIRECT)


@pytest.mark.parametrize("noise", [None, 1e-12])
def test_snapshots_are_the_centre_and_then_where_the_bound_is_largest(noise):
    """The relative bound, or the absolute one where readings are to be certified.

    With almost no contact impedance the energy varies over the box, so the two differ.
    """
    box = named_box("full", TISSUES, fixed={"contact": 1e4})
    settings = dataclasses.replace(RULE, reading_noise=noise)
    found = train(OPERATOR, "E1", "E0", box, settings, solver_factory=DIRECT)
    sample = latin_hypercube(box, 120, generator(0, "rom", "training"))
    theta, differ = box.theta(sample), 0
    assert np.array_equal(found.history["mu"][0], box.centre)
    for count in range(1, found.snapshots):
        reduced = found.first(count)
        solution, norm, slack = reduced.residual(theta, box.reference)
        absolute = (norm + slack) / np.sqrt((theta / box.reference).min(axis=1))
        relative = absolute / np.sqrt(reduced.energy(solution))
        wanted = relative if noise is None else absolute
        assert np.array_equal(found.history["mu"][count], sample[np.argmax(wanted)])
        differ += np.argmax(relative) != np.argmax(absolute)
        for name, value in (("maximum", relative.max()), ("mean", relative.mean()),
                            ("absolute", absolute.max())):  # fmt: skip
            assert found.history[name][count - 1] == pytest.approx(value, rel=1e-9)
    assert found.end == "snapshots"
    assert differ


def test_reduced_arrays_are_the_projections_and_exact_at_the_snapshots(pair):
    basis, load = pair.basis, OPERATOR.load("E1", "E0", RULE.current)
    for q, block in enumerate(BOX.blocks(OPERATOR)):
        expected = basis.T @ (block @ basis)
        assert np.abs(pair.A_N[q] - expected).max() <= 1e-12 * np.abs(expected).max()
    assert np.allclose(pair.b_N, basis.T @ load, rtol=1e-12, atol=0)
    assert np.array_equal(pair.electrode_basis, basis[OPERATOR.nodes :])
    gram = basis.T @ (OPERATOR.combine(BOX.coefficients(OPERATOR, BOX.reference[:6])) @ basis)
    assert np.abs(gram - np.eye(6)).max() <= 1e-12
    assert np.all(pair.history["orthogonality"] <= 1e-12)
    for sigma in pair.history["mu"]:
        matrix = OPERATOR.combine(BOX.coefficients(OPERATOR, sigma))
        truth = DIRECT(matrix).solve(load).x
        lack = truth - basis @ pair.solve(BOX.theta(sigma)[None])[0]
        assert np.sqrt(lack @ (matrix @ lack)) <= 1e-10 * np.sqrt(truth @ load)


def test_error_falls_with_snapshots_and_the_bound_never_fails():
    model = train_pairs(OPERATOR, PAIRS, BOX, Settings(max_snapshots=16, training=300),
                        solver_factory=DIRECT)  # fmt: skip
    bases = {
        source: train(OPERATOR, source, "E0", BOX, Settings(max_snapshots=16, training=300),
                      solver_factory=DIRECT).basis
        for source, _ in PAIRS
    }  # fmt: skip
    points = latin_hypercube(BOX, 15, np.random.default_rng(7))[1:]  # the centre is a snapshot
    table = validate(model, OPERATOR, DIRECT, points, bases=bases, snapshots=[2, 8, 16])
    assert len(table) == 15 * 3 * 3
    assert table.judged.all()
    assert not table.violated.any()
    assert (table.bound >= table.error).all()
    assert (table.lower <= table.error).all()
    assert (table.effectivity <= table.limit * (1 + 1e-6)).all()
    assert (table.relative_error <= table.relative_bound).all()
    worst = table.groupby("snapshots")[["relative_error", "passive_error"]].max()
    assert (worst.loc[8] < 0.2 * worst.loc[2]).all()
    assert (worst.loc[16] < 0.2 * worst.loc[8]).all()
    assert table.relative_head_error.min() > table.relative_error.min()

    # Without bases the same from the energies, as far as cancellation allows.
    blind = validate(model, OPERATOR, DIRECT, points[:4], snapshots=[2, 8])
    known = table[(table.point < 4) & (table.snapshots < 16)].reset_index()
    assert np.allclose(blind.error, known.error, rtol=1e-3)
    assert not blind.violated.any()


@pytest.mark.parametrize(
    ("settings", "end"),
    [
        (Settings(max_snapshots=40, training=80, tolerance=1e-2), "tolerance"),
        (Settings(max_snapshots=40, training=80, reading_noise=1e-6), "noise"),
        (Settings(max_snapshots=40, training=6), "floor"),
        (Settings(max_snapshots=3, training=80), "snapshots"),
    ],
)
def test_every_normal_end_is_recorded_and_true(settings, end):
    found = train(OPERATOR, "E1", "E0", BOX, settings, solver_factory=DIRECT)
    assert found.end == end
    last, before = -1, -2
    if end == "tolerance":
        assert found.history["maximum"][last] <= 1e-2 < found.history["maximum"][before]
    elif end == "noise":
        volts = found.history["absolute"] ** 2 / settings.current
        assert volts[last] <= 1e-6 < volts[before]
        sample = latin_hypercube(BOX, 80, generator(0, "rom", "training"))
        load = OPERATOR.load("E1", "E0", settings.current)
        for sigma in sample[:12]:  # the drive voltage itself keeps what is certified
            matrix = OPERATOR.combine(BOX.coefficients(OPERATOR, sigma))
            exact = load @ DIRECT(matrix).solve(load).x
            reduced = found.energy(found.solve(BOX.theta(sigma)[None]))[0]
            assert -1e-12 * exact <= exact - reduced <= 1e-6 * settings.current
    elif end == "floor":
        assert found.snapshots <= 7  # the sample holds no more than seven points
        assert found.history["maximum"][last] < 1e-7


def test_two_trainings_are_equal_bit_for_bit(pair):
    assert_same(pair, train(OPERATOR, "E1", "E0", BOX, RULE, solver_factory=DIRECT))


@pytest.mark.parametrize("solves", [0, 1, 4])
def test_a_killed_training_goes_on_as_if_nothing_had_happened(pair, tmp_path, solves):
    with pytest.raises(Killed):
        train(OPERATOR, "E1", "E0", BOX, RULE, solver_factory=killed_after(solves), state=tmp_path)
    assert len(list(tmp_path.glob("basis-*.npy"))) == solves
    budget = killed_after(RULE.max_snapshots - solves)  # the rest, not one solve more
    again = train(OPERATOR, "E1", "E0", BOX, RULE, solver_factory=budget, state=tmp_path)
    assert_same(pair, again)
    assert np.array_equal(pair.basis, again.basis)


@pytest.mark.parametrize("mode", ["each", "joint"])
def test_killed_batches_take_up_the_rest(tmp_path, mode):
    options = {"mode": mode, "solver_factory": DIRECT}
    straight = train_pairs(OPERATOR, PAIRS, BOX, RULE, **options)
    options["solver_factory"] = killed_after(8 if mode == "each" else 4)
    with pytest.raises(Killed):
        train_pairs(OPERATOR, PAIRS, BOX, RULE, **options, state=tmp_path)
    assert len(list(tmp_path.glob("*.h5"))) == (1 if mode == "each" else 0)
    options["solver_factory"] = killed_after(10 if mode == "each" else 2)
    again = train_pairs(OPERATOR, PAIRS, BOX, RULE, **options, state=tmp_path)
    for first, second in zip(straight.pairs, again.pairs, strict=True):
        assert_same(first, second)
    left = sorted(p.suffix for p in tmp_path.iterdir())
    assert left == [".h5"] * 3 + [".json"] * 3  # the bulk is gone
    options["solver_factory"] = killed_after(0)  # everything is there: no solve at all
    final = train_pairs(OPERATOR, PAIRS[::-1], BOX, RULE, **options, state=tmp_path)
    assert final.sources == ("E7", "E4", "E1")


@pytest.mark.parametrize(
    ("name", "kept"),
    [("state.npz", 0), ("basis-001.npy", 1), ("residual-002.npy", 2), ("basis-003.npy", 3)],
)
@pytest.mark.parametrize("damage", [*DAMAGES.values(), None], ids=[*DAMAGES, "absent"])
def test_a_damaged_checkpoint_costs_what_came_after_it(pair, tmp_path, caplog, name, kept, damage):
    with pytest.raises(Killed):
        train(OPERATOR, "E1", "E0", BOX, RULE, solver_factory=killed_after(4), state=tmp_path)
    path = tmp_path / name
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    budget = killed_after(RULE.max_snapshots - kept)
    again = train(OPERATOR, "E1", "E0", BOX, RULE, solver_factory=budget, state=tmp_path)
    assert_same(pair, again)
    assert np.array_equal(pair.basis, again.basis)
    if (name, damage) != ("state.npz", None):  # without it nothing was there to go on from
        assert f"{path} is damaged" in caplog.text


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_finished_pair_is_trained_again(tmp_path, caplog, damage):
    rule = Settings(max_snapshots=2, training=20)
    options = {"solver_factory": DIRECT, "state": tmp_path}
    straight = train_pairs(OPERATOR, PAIRS[:2], BOX, rule, **options)
    path = (tmp_path / pair_folder(OPERATOR, "E1")).with_suffix(".h5")
    path.write_bytes(damage(path.read_bytes()))
    again = train_pairs(
        OPERATOR, PAIRS[:2], BOX, rule, solver_factory=killed_after(2), state=tmp_path
    )
    for first, second in zip(straight.pairs, again.pairs, strict=True):
        assert_same(first, second)
    assert str(path) in caplog.text and "The pair is trained again now" in caplog.text
    options["solver_factory"] = killed_after(0)  # and is sound again
    train_pairs(OPERATOR, PAIRS[:2], BOX, rule, **options)


@pytest.mark.parametrize("damage", [DAMAGES["empty"], DAMAGES["its first half"], None])
def test_a_damaged_kept_basis_is_refused(tmp_path, damage):
    rule = Settings(max_snapshots=3, training=20)
    train_pairs(OPERATOR, PAIRS[:1], BOX, rule, solver_factory=DIRECT, state=tmp_path,
                keep_bases=True)  # fmt: skip
    folder = tmp_path / pair_folder(OPERATOR, "E1")
    path = folder / "basis-001.npy"
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=rf"basis-001\.npy.*Remove {folder} .*trains the pair"):
        load_basis(folder)


def test_joint_pairs_share_their_points_and_leave_when_done(tmp_path):
    rule = Settings(max_snapshots=30, training=120, tolerance=2e-3)
    model = train_pairs(OPERATOR, PAIRS, BOX, rule, solver_factory=DIRECT, mode="joint",
                        state=tmp_path, keep_bases=True)  # fmt: skip
    counts = [pair.snapshots for pair in model.pairs]
    longest = model.pairs[int(np.argmax(counts))]
    for pair in model.pairs:
        assert pair.end == "tolerance"
        assert np.array_equal(pair.history["mu"], longest.history["mu"][: pair.snapshots])
        basis = load_basis(tmp_path / pair_folder(OPERATOR, pair.source))
        assert basis.shape == (OPERATOR.size, pair.snapshots)
        assert np.allclose(basis[OPERATOR.nodes :], pair.electrode_basis, rtol=0, atol=0)
    assert min(counts) < max(counts)


def test_warm_start_is_the_reduced_solution():
    guesses = []

    def factory(matrix):
        solver = DIRECT(matrix)
        ordinary = solver.solve

        def solve(loads, guess=None, tolerance=None, name=""):
            if name.startswith("snapshot"):
                defect = loads - matrix @ guess
                guesses.append(np.linalg.norm(defect) / np.linalg.norm(loads))
            return ordinary(loads, guess=guess, tolerance=tolerance, name=name)

        solver.solve = solve
        return solver

    train(OPERATOR, "E1", "E0", BOX, Settings(max_snapshots=14, training=100),
          solver_factory=factory)  # fmt: skip
    assert guesses[0] == 1.0
    assert max(guesses[9:]) < 0.02


def test_anisotropic_and_contact_parameters_train_as_any_other():
    box = Box(("scalp", "skull", "contact"), [0.2, 0.002, 0.05], [0.6, 0.04, 0.8],
              {"csf": 1.6, "gm": 0.3, "wm": 0.1})  # fmt: skip
    found = train(OPERATOR, "E1", "E0", box, Settings(max_snapshots=20, training=200,
                  tolerance=1e-5), solver_factory=DIRECT)  # fmt: skip
    assert found.end == "tolerance"
    assert found.A_N.shape[0] == 4
    everything = Box((*TISSUES, "contact"), [*BOX.lower, 0.1], [*BOX.upper, 0.4])
    found = train(OPERATOR, "E1", "E0", everything, Settings(max_snapshots=3, training=20),
                  solver_factory=DIRECT)  # fmt: skip
    assert found.A_N.shape[0] == 7
    assert found.history["maximum"][-1] < found.history["maximum"][0]


def test_progress_is_logged_with_what_is_left(caplog):
    with caplog.at_level(logging.INFO, logger="headcond.rom"):
        train_pairs(OPERATOR, PAIRS[:2], BOX, Settings(max_snapshots=2, training=20),
                    solver_factory=DIRECT)  # fmt: skip
    assert "pair E1-E0: snapshot 1 of 2, relative bound" in caplog.text
    assert "1 iterations, at most" in caplog.text
    assert "1 of 2 pairs done, about" in caplog.text


def test_state_of_another_training_is_refused(tmp_path):
    with pytest.raises(Killed):
        train(OPERATOR, "E1", "E0", BOX, RULE, solver_factory=killed_after(2), state=tmp_path)
    other = dataclasses.replace(RULE, seed=1)
    with pytest.raises(InputError, match="another training"):
        train(OPERATOR, "E1", "E0", BOX, other, solver_factory=DIRECT, state=tmp_path)
    short = Settings(max_snapshots=1, training=5)
    state = tmp_path / "pairs"
    train_pairs(OPERATOR, PAIRS[:1], BOX, short, solver_factory=DIRECT, state=state)
    with pytest.raises(InputError, match="pair of another training"):
        train_pairs(OPERATOR, PAIRS[:1], BOX, RULE, solver_factory=DIRECT, state=state)
    assert training_digest(OPERATOR, BOX, RULE) != training_digest(OPERATOR, BOX, other)


@pytest.mark.parametrize(
    ("pairs", "options", "message"),
    [
        ([], {}, "No injection pair"),
        ([("E1", "E0"), ("E2", "E3")], {}, "several sinks"),
        ([("E1", "E0"), ("E1", "E0")], {}, "given twice"),
        ([("E1", "E1")], {}, "two electrodes"),
        ([("Cz", "E0")], {}, "No electrode 'Cz'"),
        (PAIRS, {"mode": "all"}, "Allowed are 'each', 'joint'"),
        (PAIRS, {"ranks_per_solve": 2}, "1 ranks cannot be split into groups of 2"),
        (PAIRS, {"keep_bases": True}, "needs a state folder"),
    ],
)
def test_bad_requests_are_refused(pairs, options, message):
    with pytest.raises(InputError, match=message):
        train_pairs(OPERATOR, pairs, BOX, RULE, solver_factory=DIRECT, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "l2"}, "Invalid value for norm"),
        ({"norm": "euclidean"}, "needs stability factors"),
        ({"orthogonalisation": "classical"}, "needs an orthonormal basis"),
        ({"max_snapshots": 0}, "max_snapshots must be"),
        ({"tolerance": -1.0}, "tolerance must be"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Settings(**options)


@pytest.mark.parametrize(("preconditioner", "pairs"), [("gamg", 3), ("gamg", 2), ("ilu", 1)])
def test_the_references_preconditioner_serves_near_points_and_itself(preconditioner, pairs):
    """On the quartile box every point is near; the Riesz solves are the reference's own."""
    pytest.importorskip("petsc4py")
    box = named_box("quartile", TISSUES, fixed={"contact": BOX.fixed["contact"]})
    rule = Settings(max_snapshots=5, training=100)
    petsc = partial(make_solver, backend="petsc", preconditioner=preconditioner)
    chosen = [(f"E{number}", "E0") for number in range(1, pairs + 1)]
    found, exact = (
        train_pairs(OPERATOR, chosen, box, rule, solver_factory=factory, mode="joint")
        for factory in (petsc, DIRECT)
    )
    for one, other in zip(found.pairs, exact.pairs, strict=True):
        np.testing.assert_allclose(one.history["maximum"], other.history["maximum"], rtol=1e-5)


def test_training_goes_on_to_the_floor_of_the_bound():
    """Constants, which X does not see, must not grow in the basis until its products cancel."""
    box = named_box("quartile", TISSUES, fixed={"contact": BOX.fixed["contact"]})
    rule = Settings(max_snapshots=60, training=200)
    found = train(OPERATOR, "E1", "E0", box, rule, solver_factory=DIRECT)
    assert found.history["maximum"][-1] < 3e-7
    assert found.history["orthogonality"][-1] <= 1e-12
