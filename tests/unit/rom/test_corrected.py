"""Primal-dual corrected readings: nearer to the truth, symmetric, and certified by a product."""

import dataclasses
import gc
import tracemalloc
from functools import partial

import h5py
import numpy as np
import pytest

from headcond.checks import InputError
from headcond.fem.solvers import make_solver
from headcond.inverse.reduced import ReducedForward
from headcond.rom import corrected
from headcond.rom.basis import load_basis
from headcond.rom.corrected import form_cross
from headcond.rom.model import ReducedModel, merge
from headcond.rom.pair_training import pair_folder
from headcond.rom.parameters import named_box
from headcond.rom.settings import Settings
from headcond.rom.training import train_pairs
from headcond.rom.validation import validate
from tests.helpers import rom_synthetic

TISSUES, CONTACT = rom_synthetic.TISSUES, rom_synthetic.CONTACT
OPERATOR = rom_synthetic.synthetic_operator(9, electrodes=6)
DIRECT = partial(make_solver, backend="direct")
BOX = named_box("quartile", TISSUES, fixed={"contact": CONTACT})
SOURCES = [f"E{k}" for k in range(1, 6)]
PAIRS = [(source, "E0") for source in SOURCES]
RULE = Settings(max_snapshots=9, training=100)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model with cross blocks, and the folders of its bases."""
    state = tmp_path_factory.mktemp("state")
    plain = train_pairs(OPERATOR, PAIRS, BOX, RULE, solver_factory=DIRECT, state=state,
                        keep_bases=True)  # fmt: skip
    folders = {source: state / pair_folder(OPERATOR, source) for source in SOURCES}
    cross = form_cross(OPERATOR, BOX, SOURCES, folders, memory=4e6)
    return dataclasses.replace(plain, cross=cross), folders


def true_potentials(box, points):
    """Potentials (S, pairs, L) of full solutions against the sink, V."""
    loads = np.stack([OPERATOR.load(*pair, RULE.current) for pair in PAIRS], axis=1)
    found = []
    for sigma in points:
        solver = DIRECT(OPERATOR.combine(box.coefficients(OPERATOR, sigma)))
        potentials = solver.solve(loads, tolerance=1e-13).x[OPERATOR.nodes :].T
        found.append(potentials - potentials[:, :1])
        solver.close()
    return np.array(found)


@pytest.fixture(scope="module")
def truths():
    """Points (25, P) of the box and true potentials (25, pairs, L) against the sink, V."""
    points = np.random.default_rng(3).uniform(BOX.lower, BOX.upper, (25, 6))
    return points, true_potentials(BOX, points)


def test_cross_blocks_are_the_projections(trained):
    model, folders = trained
    bases = {source: load_basis(folder) for source, folder in folders.items()}
    for i, m in ((0, 1), (1, 4), (4, 2)):
        for q, block in enumerate(BOX.blocks(OPERATOR)):
            expected = bases[SOURCES[i]].T @ (block @ bases[SOURCES[m]])
            found = model.cross.block(i, m)[q]
            assert np.abs(found - expected).max() <= 1e-12 * np.abs(expected).max()


@pytest.mark.parametrize("snapshots", [3, 6, None])
def test_product_bound_holds_and_the_correction_helps(trained, truths, snapshots):
    model, _ = trained
    points, true = truths
    plain = model.voltages(points, snapshots)
    plain = plain - plain[..., :1]
    corrected = model.voltages(points, snapshots, corrected=True)
    bound = model.reading_bound(points, snapshots)
    error = np.abs(corrected - true)
    round_off = 1e-12 * np.abs(true).max()
    assert np.all(error <= bound + round_off)
    assert np.all(bound[..., 0] == 0)
    delta = model.bound(points, snapshots)
    assert np.allclose(bound[:, 1, 3], delta[:, 1] * delta[:, 2] / RULE.current, rtol=1e-12)
    # A reading between passive electrodes, by the sum of both products.
    gap = np.abs((corrected - true)[:, 0, 2] - (corrected - true)[:, 0, 5])
    assert np.all(gap <= bound[:, 0, 2] + bound[:, 0, 5] + round_off)
    passive = ~np.eye(5, 6, 1, dtype=bool)  # the drive is Galerkin's in either case
    passive[:, 0] = False
    mean = [np.sqrt(np.mean((v - true)[:, passive] ** 2)) for v in (plain, corrected)]
    assert mean[0] / mean[1] > {3: 5, 6: 30, None: 60}[snapshots]


def test_product_bound_holds_on_the_full_box(tmp_path):
    box = named_box("full", TISSUES, fixed={"contact": CONTACT})
    rule = dataclasses.replace(RULE, max_snapshots=4)
    plain = train_pairs(OPERATOR, PAIRS, box, rule, solver_factory=DIRECT, state=tmp_path,
                        keep_bases=True)  # fmt: skip
    folders = {source: tmp_path / pair_folder(OPERATOR, source) for source in SOURCES}
    model = dataclasses.replace(plain, cross=form_cross(OPERATOR, box, SOURCES, folders))
    points = np.random.default_rng(8).uniform(box.lower, box.upper, (15, 6))
    error = np.abs(model.voltages(points, corrected=True) - true_potentials(box, points))
    bound = model.reading_bound(points)
    assert np.all(error <= bound + 1e-12)
    assert bound.max() < 1e3 * error.max()  # and says something


def test_corrected_potentials_are_symmetric_and_one_with_galerkin_at_the_drive(trained, truths):
    model, _ = trained
    points, _ = truths
    found = model.voltages(points, corrected=True)[:, :, 1:]
    assert np.abs(found - found.transpose(0, 2, 1)).max() <= 1e-13 * np.abs(found).max()
    plain = model.voltages(points)
    for i in range(5):
        assert np.allclose(found[:, i, i], plain[:, i, i + 1] - plain[:, i, 0], rtol=1e-11)


def test_jacobian_is_the_derivative(trained, truths):
    """The Taylor remainder falls as the square of the step."""
    model, _ = trained
    sigma = BOX.centre
    step = np.random.default_rng(0).standard_normal(6) * 0.2 * (BOX.upper - BOX.lower)
    slope = model.jacobian(sigma, corrected=True) @ step
    at = model.voltages(sigma, corrected=True)
    rest = [np.abs(model.voltages(sigma + t * step, corrected=True) - at - t * slope).max()
            for t in (1e-1, 1e-2, 1e-3)]  # fmt: skip
    assert np.log10(rest[0] / rest[1]) > 1.8 and np.log10(rest[1] / rest[2]) > 1.8
    many = model.jacobian(np.stack([sigma, truths[0][0]]), corrected=True, snapshots=4)
    assert many.shape == (2, 5, 6, 6)
    assert np.all(many[:, :, 0] == 0)


def test_one_pair_at_its_own_points_is_as_all_together(trained, truths):
    """What the estimators use: rows of the corrected potentials and their derivatives."""
    model, _ = trained
    points = truths[0][:4]
    forward = ReducedForward(model)
    assert np.allclose(forward.voltages(points), model.voltages(points, corrected=True), rtol=1e-11)
    slope = model.jacobian(points, corrected=True)
    scale = np.abs(slope).max(axis=(0, 1, 2))
    assert np.all(np.abs(forward.jacobian(points) - slope) <= 1e-11 * scale)
    chosen = forward.voltages_each(points, [3, 0, 3, 1])
    expected = model.voltages(points, corrected=True)[range(4), [3, 0, 3, 1]]
    assert np.allclose(chosen, expected, rtol=1e-11)
    first = ReducedForward(model, snapshots=4).voltages(points)
    assert np.allclose(first, model.voltages(points, 4, corrected=True), rtol=1e-11)
    plain = ReducedForward(model, corrected=False).voltages(points)
    assert np.allclose(plain, model.voltages(points), rtol=1e-13)
    with pytest.raises(InputError, match="not trained"):
        ReducedForward(model.select(["E1", "E2"]))


@pytest.mark.parametrize("counts", [(9, 9, 9, 9, 9), (9, 4, 7, 1, 5)])
@pytest.mark.parametrize("portion", [2, 100])
def test_rows_are_those_of_the_whole(trained, truths, monkeypatch, counts, portion):
    """Patterns of one and two pairs, each at its own point, and their derivatives."""
    model, _ = trained
    model = dataclasses.replace(
        model,
        pairs=tuple(pair.first(n) for pair, n in zip(model.pairs, counts, strict=True)),
        cross=model.cross._rebuilt(range(5), counts),
    )

    def slices(points, size):
        return [slice(n, min(n + portion, points)) for n in range(0, points, portion)]

    monkeypatch.setattr(corrected, "chunks", slices)
    patterns = [("E3", "E0"), ("E0", "E1"), ("E5", "E2"), ("E1", "E4")]
    forward = ReducedForward(model, patterns)
    points, which = truths[0][:9], np.array([2, 0, 3, 3, 1, 2, 0, 2, 1])
    rows = np.arange(9)
    whole = model.voltages(points, corrected=True)
    slope = model.jacobian(points, corrected=True)
    made = {0: [(2, 1)], 1: [(0, -1)], 2: [(4, 1), (1, -1)], 3: [(0, 1), (3, -1)]}
    expected = [sum(s * whole[n, k] for k, s in made[m]) for n, m in zip(rows, which, strict=True)]
    found = forward.voltages_each(points, which)
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(whole).max())
    expected = [sum(s * slope[n, k] for k, s in made[m]) for n, m in zip(rows, which, strict=True)]
    found = forward.jacobian_each(points, which)
    error = np.abs(found - np.array(expected)).max(axis=(0, 1))
    assert np.all(error <= 1e-11 * np.abs(slope).max(axis=(0, 1, 2)))
    np.testing.assert_allclose(
        forward.jacobian(points)[rows, which], found, atol=1e-11 * np.abs(slope).max()
    )
    assert forward.voltages_each(points[:0], []).shape == (0, 6)
    with pytest.raises(InputError, match="Pattern 4"):
        forward.voltages_each(points[:1], [4])


def test_validation_judges_the_readings(trained):
    model, folders = trained
    points = np.random.default_rng(6).uniform(BOX.lower, BOX.upper, (3, 6))
    bases = {source: load_basis(folder) for source, folder in folders.items()}
    table = validate(model, OPERATOR, DIRECT, points, bases=bases, snapshots=[4, 7])
    assert not table["reading_violated"].any()
    assert (table["corrected_passive_error"] <= 2 * table["reading_bound"] + 1e-12).all()
    late = table[table["snapshots"] == 7]
    assert late["corrected_passive_error"].max() < 0.1 * late["passive_error"].max()
    # Blocks that are wrong are found out.
    rows = tuple(1.01 * row for row in model.cross.rows)
    wrong = dataclasses.replace(model, cross=dataclasses.replace(model.cross, rows=rows))
    assert validate(wrong, OPERATOR, DIRECT, points[:1])["reading_violated"].any()


def test_selecting_reordering_and_the_file_keep_the_readings(trained, truths, tmp_path):
    model, _ = trained
    points, _ = truths
    model.write(tmp_path / "rom.h5")
    again = ReducedModel.read(tmp_path / "rom.h5")
    expected = model.voltages(points, corrected=True)
    assert np.array_equal(again.voltages(points, corrected=True), expected)
    order = ["E4", "E1", "E5", "E2", "E3"]
    turned = again.select(order).voltages(points, corrected=True)
    assert np.allclose(turned, expected[:, [3, 0, 4, 1, 2]], rtol=1e-12, atol=0)


def test_a_lighter_model_reads_the_same_and_refuses_what_it_lacks(trained, truths, tmp_path):
    model, _ = trained
    points = truths[0]
    whole = tmp_path / "whole.h5"
    model.write(whole)
    sizes = [whole.stat().st_size]
    for cross, bounds in ((True, True), (False, True), (False, False)):
        path = tmp_path / f"{cross}-{bounds}.h5"
        model.lighter(5, cross=cross, bounds=bounds).write(path)
        sizes.append(path.stat().st_size)
        light = ReducedModel.read(path)
        assert np.array_equal(light.voltages(points), model.voltages(points, 5))
        if bounds:
            assert light.bound(points) == pytest.approx(model.bound(points, 5), rel=1e-12)
        else:
            with pytest.raises(InputError, match="without bounds"):
                light.bound(points)
        if cross:
            assert light.reading_bound(points) == pytest.approx(
                model.reading_bound(points, 5), rel=1e-12
            )
        else:
            with pytest.raises(InputError, match="cross blocks"):
                light.reading_bound(points)
    assert sizes == sorted(sizes, reverse=True)


def test_files_of_the_first_format_are_read(trained, tmp_path):
    model, _ = trained
    path = tmp_path / "rom.h5"
    dataclasses.replace(model, cross=None).write(path)
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = "headcond-rom-1"
    assert ReducedModel.read(path).cross is None
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = "headcond-rom-3"
    with pytest.raises(InputError, match="not a reduced model"):
        ReducedModel.read(path)


def test_memory_stays_within_what_was_given(tmp_path):
    """Bases of 4.8 MB through 2 MB of work space, and the same blocks as with plenty."""
    operator = rom_synthetic.synthetic_operator(20, electrodes=6)
    size, rng = operator.size, np.random.default_rng(1)
    folders = {}
    for source in SOURCES:
        folders[source] = tmp_path / source
        folders[source].mkdir()
        for number in range(15):
            np.save(folders[source] / f"basis-{number:03d}.npy", rng.standard_normal(size))
    plenty = form_cross(operator, BOX, SOURCES, folders, memory=1e9)
    gc.collect()
    tracemalloc.start()
    blocks = BOX.blocks(operator)
    own = tracemalloc.get_traced_memory()[0]
    del blocks
    tracemalloc.reset_peak()
    little = form_cross(operator, BOX, SOURCES, folders, memory=2e6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    held = sum(row.nbytes for row in little.rows)
    assert peak - own - held <= 2e6
    for one, other in zip(plenty.rows, little.rows, strict=True):
        assert np.allclose(one, other, rtol=1e-12, atol=1e-12 * max(np.abs(one).max(initial=0), 1))


def test_bad_input_is_refused(trained, tmp_path):
    model, folders = trained
    point = BOX.centre
    with pytest.raises(InputError, match="cross blocks"):
        dataclasses.replace(model, cross=None).voltages(point, corrected=True)
    with pytest.raises(InputError, match="not trained: E1, E3, E5"):
        model.select(["E2", "E4"]).reading_bound(point)
    with pytest.raises(InputError, match="other pairs"):
        dataclasses.replace(model, pairs=model.pairs[:2])
    with pytest.raises(InputError, match="Merge the batches first"):
        merge([model])
    with pytest.raises(InputError, match="another mesh"):
        form_cross(rom_synthetic.synthetic_operator(7, electrodes=6), BOX, SOURCES, folders)
    with pytest.raises(InputError, match="keep_bases"):
        form_cross(OPERATOR, BOX, SOURCES, dict.fromkeys(SOURCES, tmp_path))
    with pytest.raises(InputError, match="No folder"):
        form_cross(OPERATOR, BOX, [*SOURCES, "E9"], folders)
    with pytest.raises(InputError, match="alone take"):
        form_cross(OPERATOR, BOX, SOURCES, folders, memory=1e4)
