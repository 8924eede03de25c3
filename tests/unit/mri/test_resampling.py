import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from headcond.checks import InputError
from headcond.mri import resampling

# Columns are where the voxel axes point: LIA, as SynthSeg's label maps have it, among others.
ORIENTATIONS = {
    "RAS": np.eye(3),
    "LIA": np.array([[-1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "PSR": np.array([[0.0, 0, 1], [-1, 0, 0], [0, 1, 0]]),
    "LPS": np.diag([-1.0, -1, 1]),
}


def grid(orientation, size, origin):
    affine = np.eye(4)
    affine[:3, :3] = ORIENTATIONS[orientation] * size
    affine[:3, 3] = origin
    return affine


def world(affine, shape):
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    return index @ affine[:3, :3].T + affine[:3, 3]


def by_world(data, affine):
    """Slow obvious version: value of every voxel, keyed by its rounded world point."""
    points = np.round(world(affine, data.shape).reshape(-1, 3), 3)
    return dict(zip(map(tuple, points.tolist()), data.ravel().tolist(), strict=True))


@pytest.mark.parametrize(
    ("orientation", "order", "edge"),
    [(name, order, 64) for name in ORIENTATIONS for order in (0, 1)] + [("LIA", 1, 256)],
)
def test_pad_and_back_is_exact(orientation, order, edge):
    rng = np.random.default_rng(2)
    data = rng.integers(0, 900, (edge, edge, edge * 11 // 16)).astype(
        np.int16 if order == 0 else np.float32
    )
    affine = grid(orientation, 1.0, [-127.3, 100.7, -88.1])
    out, out_affine = resampling.conform(data, affine, 1.0, (edge, edge, edge), order)
    assert out.shape == (edge, edge, edge)
    assert np.array_equal(out_affine[:3, :3], np.eye(3))
    assert out.sum(dtype=np.int64 if order == 0 else np.float64) == data.sum(
        dtype=np.int64 if order == 0 else np.float64
    )  # nothing was cropped
    again = resampling.resample(out, out_affine, affine, data.shape, order)
    assert again.dtype == data.dtype
    assert np.array_equal(again, data)


@settings(max_examples=40, deadline=None)
@given(
    orientation=st.sampled_from(sorted(ORIENTATIONS)),
    shape=st.tuples(*[st.integers(2, 9)] * 3),
    target=st.tuples(*[st.integers(1, 12)] * 3),
    size=st.sampled_from([0.7, 1.0, 2.0]),
    seed=st.integers(0, 2**16),
)
def test_integer_path_keeps_world_coordinates(orientation, shape, target, size, seed):
    data = np.random.default_rng(seed).integers(1, 99, shape)
    affine = grid(orientation, size, [3.1, -7.2, 11.9])
    out, out_affine = resampling.conform(data, affine, size, target, 0)
    before, after = by_world(data, affine), by_world(out, out_affine)
    for point, value in after.items():
        assert value == before.get(point, 0)
    if all(n >= max(shape) for n in target):
        assert out.sum() == data.sum()


def test_centred_on_the_field_of_view_or_the_foreground():
    data = np.zeros((40, 40, 40), np.uint8)
    data[25:35, 20:30, 2:12] = 3
    small, affine = resampling.conform(data, np.eye(4), 1.0, (16, 16, 16), 0)
    assert small.sum() == data.sum()
    centre = affine[:3, 3] + 7.5
    assert np.abs(centre - [29.5, 24.5, 6.5]).max() <= 0.5
    large, affine = resampling.conform(data, np.eye(4), 1.0, (50, 50, 50), 0)
    assert np.abs(affine[:3, 3] + 24.5 - 19.5).max() <= 0.5
    assert large.sum() == data.sum()


def test_lost_foreground_is_said(caplog):
    data = np.ones((20, 20, 20), np.uint8)
    resampling.conform(data, np.eye(4), 1.0, (20, 20, 19), 0)
    assert "400 foreground voxels" in caplog.text
    caplog.clear()
    resampling.conform(data, np.eye(4), 1.0, (20, 20, 20), 0)
    assert not caplog.records


def slow_majority(block):
    ids, counts = np.unique(block, return_counts=True)
    best = counts.max()
    tied = [i for i, c in zip(ids, counts, strict=True) if c == best]
    tissue = [i for i in tied if i != 0]
    return min(tissue) if tissue else 0


@settings(max_examples=25, deadline=None)
@given(factor=st.integers(2, 3), seed=st.integers(0, 2**16))
def test_majority_of_whole_blocks(factor, seed):
    data = np.random.default_rng(seed).integers(0, 4, (4 * factor, 3 * factor, 2 * factor))
    data = data.astype(np.uint8)
    out, affine = resampling.conform(data, np.eye(4), factor, (4, 3, 2), 0)
    assert np.allclose(affine[:3, 3], (factor - 1) / 2)
    for index in np.ndindex(4, 3, 2):
        block = data[tuple(slice(factor * i, factor * (i + 1)) for i in index)]
        assert out[index] == slow_majority(block)
    plain = resampling.majority(data, factor, zero_last=False)
    for index in np.ndindex(4, 3, 2):
        block = data[tuple(slice(factor * i, factor * (i + 1)) for i in index)]
        assert plain[index] == np.bincount(block.ravel()).argmax()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_block_mean_against_the_slow_version(dtype):
    values = np.random.default_rng(0).random((4, 6, 8)).astype(np.float32)
    slow = values.reshape(2, 2, 2, 3, 2, 4).mean(axis=(1, 3, 5))
    found = resampling.block_mean(values, (2, 3, 4), dtype)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, slow, rtol=1e-6)
    for wrong in (3, 0):
        with pytest.raises(InputError, match="blocks"):
            resampling.block_mean(values, wrong)


def test_blocks_of_an_image_are_averaged():
    data = np.random.default_rng(3).uniform(0, 1, (8, 8, 8))
    out = resampling.resample(data, np.eye(4), np.diag([2, 2, 2, 1.0]) + _shift(0.5), (4, 4, 4), 1)
    assert out.dtype == np.float32
    assert np.allclose(out, data.reshape(4, 2, 4, 2, 4, 2).mean((1, 3, 5)), atol=1e-6)


def _shift(value):
    matrix = np.zeros((4, 4))
    matrix[:3, 3] = value
    return matrix


def _oblique():
    a, b = np.radians([7.0, -5.0])
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-1.1, -1.0, 1.3])
    affine[:3, 3] = [30, 35, -28]
    return affine


def test_interpolation_keeps_a_linear_function_of_world():
    affine = _oblique()
    data = world(affine, (60, 62, 50)) @ [1.0, -0.5, 0.25] + 200
    out, out_affine = resampling.conform(data, affine, 1.0, (30, 30, 30), 1)
    inside = np.linalg.inv(affine) @ np.vstack(
        [world(out_affine, out.shape).reshape(-1, 3).T, np.ones(out.size)]
    )
    ok = ((inside[:3] > 0) & (inside[:3] < [[59], [61], [49]])).all(0).reshape(out.shape)
    assert ok.mean() > 0.9
    exact = world(out_affine, out.shape) @ [1.0, -0.5, 0.25] + 200
    assert np.abs(out - exact)[ok].max() < 2e-3


def test_a_smooth_image_survives_the_way_there_and_back():
    affine = _oblique()
    points = world(affine, (60, 62, 50))
    centre = points.reshape(-1, 3).mean(0)
    data = np.exp(-np.sum((points - centre) ** 2, -1) / (2 * 9.0**2)).astype(np.float32)
    out, out_affine = resampling.conform(data, affine, 1.0, (96, 96, 96), 3)
    again = resampling.resample(out, out_affine, affine, data.shape, 3)
    assert np.abs(again - data).max() < 2e-3


def test_labels_stay_labels_on_an_oblique_grid():
    data = np.zeros((40, 40, 40), np.uint8)
    data[8:32, 8:32, 8:32] = 7
    data[14:26, 14:26, 14:26] = 2
    out, _ = resampling.conform(data, _oblique(), 1.0, (64, 64, 64), 0)
    assert set(np.unique(out)) == {0, 2, 7}
    assert abs(np.count_nonzero(out) / (24**3 * 1.43) - 1) < 0.02


def test_coarser_grids_do_not_alias():
    data = np.zeros((60, 60, 60), np.float32)
    data[::2] = 1  # what plain sampling at 2.1 voxels would turn into false stripes
    target = np.diag([2.1, 2.1, 2.1, 1.0]) + _shift(1.0)
    out = resampling.resample(data, np.eye(4), target, (26, 26, 26), 1)
    plain = ndimage.affine_transform(data, np.full(3, 2.1), 1.0, (26, 26, 26), order=1)
    inner = slice(2, -2)
    assert out[inner, inner, inner].std() < 0.3 * plain[inner, inner, inner].std()
    assert abs(out[inner, inner, inner].mean() - 0.5) < 0.02


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_conductivity_map_comes_home_with_air_exactly_zero(orientation):
    rng = np.random.default_rng(8)
    truth = np.zeros((20, 22, 16), np.float32)
    truth[4:16, 3:18, 2:13] = rng.uniform(0.02, 2.0, (12, 15, 11))
    affine = grid(orientation, 1.0, [-7.3, 20.7, -8.1])
    out, out_affine = resampling.conform(truth, affine, 1.0, (32, 32, 32))
    home = resampling.resample_conductivity(out, out_affine, affine, truth.shape)
    assert home.dtype == np.float32 and np.array_equal(home, truth), "padded, cropped back"
    # On slices of another thickness: air stays 0, and tissue keeps the range of its values.
    other = affine @ np.diag([0.6, 0.6, 2.5, 1.0])
    home = resampling.resample_conductivity(out, out_affine, other, (33, 36, 7))
    tissue = home > 0
    volume = 12 * 15 * 11 / (33 * 0.6 * 36 * 0.6 * 7 * 2.5)
    assert np.isfinite(home).all() and abs(tissue.mean() - volume) < 0.03
    assert home[tissue].min() >= 0.02 and home[tissue].max() <= 2.0
    flat = resampling.resample_conductivity((out > 0) * 0.4, out_affine, other, (33, 36, 7))
    assert np.allclose(flat[flat > 0], 0.4, rtol=1e-5), "nothing fades at the skin"


def test_input_is_left_alone():
    data = np.random.default_rng(5).uniform(0, 1, (9, 8, 7))
    kept = data.copy()
    out, _ = resampling.conform(data, np.eye(4), 1.0, (9, 8, 7), 1)
    out += 1
    assert np.array_equal(data, kept)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": np.zeros((3, 3))}, "data"),
        ({"data": np.zeros((3, 3, 3), bool)}, "boolean"),
        ({"affine": np.zeros((4, 4))}, "affine"),
        ({"voxel_size": 0}, "voxel_size"),
        ({"shape": (3, 3)}, "shape"),
        ({"shape": (3, 3, 0)}, "shape"),
        ({"order": 7}, "order"),
    ],
)
def test_refusals(change, message):
    good = {"data": np.ones((3, 3, 3)), "affine": np.eye(4), "voxel_size": 1.0, "shape": (3, 3, 3)}
    with pytest.raises(InputError, match=message):
        resampling.conform(**(good | change))


def test_lost_foreground_counts_what_a_grid_leaves_out():
    labels = np.zeros((10, 6, 6), np.uint8)
    labels[:8, 1:5, 1:5] = 1
    assert resampling.lost_foreground(labels, np.eye(4), np.eye(4), (10, 6, 6), 0) == (0, 8 * 16)
    assert resampling.lost_foreground(labels, np.eye(4), np.eye(4), (6, 6, 6), 0) == (
        2 * 16,
        8 * 16,
    )
