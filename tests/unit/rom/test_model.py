"""Reduced models at query time: voltages, Jacobian, bound, files."""

import dataclasses
import itertools
from functools import partial

import h5py
import numpy as np
import pytest

from headcond.checks import InputError
from headcond.fem.solvers import make_solver
from headcond.rom.model import ReducedModel, merge
from headcond.rom.parameters import latin_hypercube, named_box
from headcond.rom.settings import Settings
from headcond.rom.stability import Stability
from headcond.rom.training import train_pairs
from headcond.rom.validation import passive, validate
from tests.helpers import rom_synthetic

TISSUES, CONTACT = rom_synthetic.TISSUES, rom_synthetic.CONTACT
OPERATOR = rom_synthetic.synthetic_operator(6)
DIRECT = partial(make_solver, backend="direct")
BOX = named_box("quartile", TISSUES, fixed={"contact": CONTACT})
PAIRS = [("E1", "E0"), ("E4", "E0"), ("E7", "E0")]


@pytest.fixture(scope="module")
def model():
    rule = Settings(max_snapshots=22, training=200)
    return train_pairs(OPERATOR, PAIRS, BOX, rule, solver_factory=DIRECT)


@pytest.fixture(scope="module")
def points():
    return latin_hypercube(BOX, 8, np.random.default_rng(11))[1:]  # the centre is a snapshot


def full_voltages(sigma, source):
    """Electrode potentials of the full model."""
    matrix = OPERATOR.combine(BOX.coefficients(OPERATOR, sigma))
    return DIRECT(matrix).solve(OPERATOR.load(source, "E0", 20e-6)).x[OPERATOR.nodes :]


def test_voltages_converge_to_the_full_model(model, points):
    errors = []
    for count in (2, 6, 12, 22):
        reduced = model.voltages(points, snapshots=count)
        assert reduced.shape == (8, 3, 8)
        worst = 0.0
        for p, pair in enumerate(model.pairs):
            for k, sigma in enumerate(points):
                exact = passive(full_voltages(sigma, pair.source), OPERATOR.electrodes, pair)
                found = passive(reduced[k, p], OPERATOR.electrodes, pair)
                worst = max(worst, np.abs(found - exact).max() / np.ptp(exact))
        errors.append(worst)
    assert all(later < 0.3 * earlier for earlier, later in itertools.pairwise(errors))
    assert errors[-1] < 1e-5


def test_reciprocity_of_the_pairs(model):
    """b_m' A^-1 b_i = b_i' A^-1 b_m, up to the certified product of the two bounds."""
    voltages, bound = model.voltages(BOX.centre), model.bound(BOX.centre)
    where = [OPERATOR.electrodes.index(name) for name in ("E1", "E4", "E7", "E0")]
    for i in range(3):
        for m in range(3):
            forth = voltages[i, where[m]] - voltages[i, where[3]]
            back = voltages[m, where[i]] - voltages[m, where[3]]
            assert abs(forth - back) <= 2 * bound[i] * bound[m] / model.current + 1e-15


def test_jacobian_by_taylor_remainders_of_second_order(model, points):
    rng = np.random.default_rng(0)
    direction = rng.uniform(-1, 1, 6) * (BOX.upper - BOX.lower) * 0.2
    sigma = BOX.centre
    value, slope = model.voltages(sigma), model.jacobian(sigma)
    assert slope.shape == (3, 8, 6)
    steps = 2.0 ** -np.arange(1, 8)
    plain = [np.linalg.norm(model.voltages(sigma + h * direction) - value) for h in steps]
    rest = [
        np.linalg.norm(model.voltages(sigma + h * direction) - value - h * slope @ direction)
        for h in steps
    ]
    assert np.polyfit(np.log(steps), np.log(plain), 1)[0] == pytest.approx(1.0, abs=0.1)
    assert np.polyfit(np.log(steps), np.log(rest), 1)[0] == pytest.approx(2.0, abs=0.1)


def test_jacobian_against_differences_of_the_full_model(model):
    sigma = BOX.centre
    slope = model.jacobian(sigma)
    for p, pair in enumerate(model.pairs):
        exact = np.empty((6, 6))
        for k in range(6):
            step = np.zeros(6)
            step[k] = 1e-3 * sigma[k]
            change = (full_voltages(sigma + step, pair.source)
                      - full_voltages(sigma - step, pair.source)) / (2 * step[k])  # fmt: skip
            exact[:, k] = passive(change, OPERATOR.electrodes, pair)
        found = passive(slope[p].T, OPERATOR.electrodes, pair).T
        scaled = np.abs(exact * sigma)  # V per relative change of a tissue
        assert np.abs((found - exact) * sigma).max() <= 2e-4 * scaled.max()


def test_batches_of_any_shape_equal_single_points(model, points):
    batch = points.reshape(2, 4, 6)
    for call in (model.voltages, model.jacobian, model.bound):
        stacked = call(batch)
        for i in range(2):
            for j in range(4):
                single = call(batch[i, j])
                assert np.allclose(stacked[i, j], single, rtol=1e-10, atol=1e-18)
    assert model.bound(BOX.centre).shape == (3,)


def test_selected_pairs_and_first_snapshots(model, points):
    chosen = model.select(["E7", "E1"])
    assert chosen.sources == ("E7", "E1")
    assert np.allclose(chosen.voltages(points), model.voltages(points)[:, [2, 0]], rtol=1e-13)
    cut = dataclasses.replace(model, pairs=tuple(pair.first(5) for pair in model.pairs))
    assert np.array_equal(cut.bound(points), model.bound(points, snapshots=5))
    assert np.all(model.bound(points, snapshots=5) > model.bound(points))
    with pytest.raises(InputError, match="'E2'"):
        model.select(["E2"])
    with pytest.raises(InputError, match="snapshots=0"):
        model.voltages(points, snapshots=0)


def test_relative_bound_is_rigorous_and_absolute_one_certifies_the_drive_voltage(model, points):
    absolute = model.bound(points, snapshots=4)
    relative = model.bound(points, snapshots=4, relative=True)
    for p, pair in enumerate(model.pairs):
        ends = [OPERATOR.electrodes.index(pair.source), OPERATOR.electrodes.index("E0")]
        for k, sigma in enumerate(points):
            exact, found = (
                v[ends[0]] - v[ends[1]]
                for v in (full_voltages(sigma, pair.source),
                          model.voltages(sigma, snapshots=4)[p])
            )  # fmt: skip
            assert exact - found >= -1e-13 * exact
            assert exact - found <= absolute[k, p] ** 2 / model.current
            true_relative = np.sqrt(max(exact - found, 0) / exact)
            assert true_relative <= relative[k, p]


def test_points_outside_are_refused_or_flagged(model, points, caplog):
    beyond = BOX.centre.copy()
    beyond[1] = 2 * BOX.upper[1]
    for call in (model.voltages, model.jacobian, model.bound):
        with pytest.raises(InputError, match="compact_bone = 0.018, trained from 0.002 to 0.009"):
            call(beyond)
    voltages = model.voltages(beyond, outside="flag")
    assert "1 points are outside the trained box" in caplog.text
    assert np.all(np.isfinite(voltages))
    assert np.all(model.bound(beyond, outside="flag") > model.bound(points).max(axis=0))
    with pytest.raises(InputError, match="Allowed are 'refuse', 'flag'"):
        model.voltages(beyond, outside="clip")
    with pytest.raises(InputError, match="not above 0"):
        model.voltages(-beyond, outside="flag")


def test_file_round_trip(model, points, tmp_path):
    path = tmp_path / "model.h5"
    model.write(path)
    again = ReducedModel.read(path)
    assert again.sources == model.sources
    assert (again.sink, again.current, again.norm) == ("E0", 20e-6, "energy")
    assert again.electrodes == OPERATOR.electrodes
    assert dict(again.attributes) == dict(model.attributes)
    assert dict(again.box.fixed) == {"contact": CONTACT}
    for call in ("voltages", "jacobian", "bound"):
        assert np.array_equal(getattr(again, call)(points), getattr(model, call)(points))
    for first, second in zip(model.pairs, again.pairs, strict=True):
        assert first.end == second.end
        for name, values in first.history.items():
            assert np.array_equal(values, second.history[name])
    with h5py.File(path) as file:  # self-describing without headcond
        assert list(file.attrs["affine_names"]) == [*TISSUES, "fixed"]
        assert file["pairs/E1/A_N"].shape == (7, 22, 22)
        assert np.allclose(file.attrs["reference"][:6], np.sqrt(BOX.lower * BOX.upper))


def test_stability_factors_travel_with_the_model(model, points, tmp_path):
    sample = latin_hypercube(BOX, 9, np.random.default_rng(1))
    factors = Stability(sample, BOX.theta(sample), np.linspace(1, 2, 10), np.zeros(10), "concave")
    euclidean = dataclasses.replace(model, norm="euclidean", stability=factors)
    euclidean.write(tmp_path / "model.h5")
    again = ReducedModel.read(tmp_path / "model.h5")
    assert again.stability.certified
    assert np.array_equal(again.bound(points), euclidean.bound(points))
    with pytest.raises(InputError, match="needs the stability factors"):
        dataclasses.replace(model, norm="euclidean").bound(points)


def test_truncated_foreign_and_absent_files_are_refused(model, tmp_path):
    path = tmp_path / "model.h5"
    with pytest.raises(InputError, match="cannot be read as a reduced model"):
        ReducedModel.read(path)
    model.write(path)
    content = path.read_bytes()
    for part in (0.1, 0.5, 0.99):
        path.write_bytes(content[: int(part * len(content))])
        with pytest.raises(InputError, match=r"model\.h5"):
            ReducedModel.read(path)
    path.write_text("no HDF5 at all")
    with pytest.raises(InputError, match="cannot be read as a reduced model"):
        ReducedModel.read(path)
    OPERATOR.write(path)
    with pytest.raises(InputError, match="not a reduced model of format"):
        ReducedModel.read(path)
    path.write_bytes(content)
    with h5py.File(path, "r+") as file:
        del file["pairs/E4/b_N"]
        file["pairs/E4/b_N"] = np.zeros(3)
    with pytest.raises(InputError, match="pair E4, A_N must have shape"):
        ReducedModel.read(path)


def test_merge_joins_batches_of_one_training_only(model, points):
    batches = [model.select(["E1"]), model.select(["E4", "E7"])]
    whole = merge(batches)
    assert np.array_equal(whole.voltages(points), model.voltages(points))
    with pytest.raises(InputError, match="is twice"):
        merge([batches[0], batches[0]])
    for change, message in (
        ({"current": 1e-3}, "different current"),
        ({"attributes": {"digest": "other"}}, "different attributes"),
        ({"box": named_box("full", TISSUES, fixed={"contact": CONTACT})}, "different boxes"),
    ):
        with pytest.raises(InputError, match=message):
            merge([batches[0], dataclasses.replace(batches[1], **change)])


def test_a_model_of_another_operator_is_not_validated(model, points):
    other = rom_synthetic.synthetic_operator(7)
    with pytest.raises(InputError, match="trained on another operator"):
        validate(model, other, DIRECT, points)


def test_a_wrong_bound_would_be_called_a_violation(model, points):
    """Bounds cut to a tenth must be reported as violated."""
    cut = tuple(
        dataclasses.replace(pair, residual_factor=0.1 * pair.residual_factor)
        for pair in model.pairs
    )
    table = validate(dataclasses.replace(model, pairs=cut), OPERATOR, DIRECT, points, snapshots=[4])
    assert table.judged.all()
    assert table.violated.all()
    table = validate(model, OPERATOR, DIRECT, points, snapshots=[4])
    assert not table.violated.any()
