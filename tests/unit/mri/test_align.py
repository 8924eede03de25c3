import numpy as np
import pytest
from scipy import ndimage

from headcond.checks import InputError
from headcond.files.results import read_volume
from headcond.mri import _sitk, align


def head(shape, affine, move=None):
    """A head of ellipsoids with two contrasts, sampled analytically after a motion of the world."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    points = index @ affine[:3, :3].T + affine[:3, 3]
    if move is not None:
        points = points @ move[:3, :3].T + move[:3, 3]
    labels = np.zeros(shape, int)
    for number, (centre, radii) in enumerate(
        [((0, 0, 0), (38, 46, 40)), ((0, 2, 0), (33, 41, 35)), ((0, 1, 2), (30, 38, 31)),
         ((9, 12, 6), (6, 13, 7)), ((-11, -9, -4), (8, 6, 10)), ((13, -20, 9), (5, 7, 6)),
         ((-8, 22, -14), (9, 5, 4))], start=1,
    ):  # fmt: skip
        inside = (((points - centre) / radii) ** 2).sum(-1) < 1
        labels[inside] = number
    first = np.array([0, 240, 20, 150, 60, 200, 110, 80.0])
    second = np.array([0, 60, 10, 90, 250, 70, 140, 190.0])
    return [ndimage.gaussian_filter(table[labels], 0.6) for table in (first, second)]


def motion(angles, shift):
    a, b, c = np.radians(angles)
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = x @ y @ z
    matrix[:3, 3] = shift
    return matrix


FIXED = np.diag([2.0, 2, 2, 1])
FIXED[:3, 3] = [-50, -58, -52]
MOVING = np.array([[-2.2, 0, 0, 52], [0, 0, 2.0, -60], [0, -1.9, 0, 55], [0, 0, 0, 1]])


def pair(move):
    rng = np.random.default_rng(8)
    t1 = head((51, 59, 53), FIXED)[0]
    t2 = head((48, 58, 60), MOVING, np.linalg.inv(move))[1]
    return [np.abs(x + rng.normal(0, 4, x.shape)) for x in (t2, t1)]


def distance(first, second, points):
    moved = [points @ m[:3, :3].T + m[:3, 3] for m in (first, second)]
    return np.linalg.norm(moved[0] - moved[1], axis=1)


POINTS = np.random.default_rng(0).uniform(-1, 1, (400, 3)) * [36, 44, 38]


@pytest.mark.parametrize(
    ("angles", "shift"), [((4, -3, 5), (3, -5, 4)), ((-8, 5, -10), (30, -20, 25))]
)
def test_known_motion_is_recovered(angles, shift):
    move = motion(angles, shift)
    t2, t1 = pair(move)
    found = align.rigid(t2, MOVING, t1, FIXED)
    assert distance(found.transform, move, POINTS).mean() < 0.5
    linear = found.transform[:3, :3]
    assert np.allclose(linear @ linear.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(linear) > 0
    assert found.resampled.shape == t1.shape
    assert found.resampled.dtype == np.float32
    target = head((51, 59, 53), FIXED)[1]
    seen = found.resampled > 0  # the second motion leaves part of the head out of the field
    assert seen.mean() > 0.4
    assert np.corrcoef(found.resampled[seen], target[seen])[0, 1] > 0.97
    quality = found.quality
    assert quality["mutual_information_after"] > quality["mutual_information_before"] + 0.1
    assert quality["rotation_degrees"] == pytest.approx(
        np.degrees(np.arccos((np.trace(move[:3, :3]) - 1) / 2)), abs=0.7
    )


def test_repeats_bit_by_bit():
    t2, t1 = (part[::2, ::2, ::2] for part in pair(motion((4, -3, 5), (3, -5, 4))))
    every = np.diag([2, 2, 2, 1])
    first, second = (align.rigid(t2, MOVING @ every, t1, FIXED @ every, seed=3) for _ in range(2))
    assert np.array_equal(first.transform, second.transform)
    assert np.array_equal(first.resampled, second.resampled)


def test_an_iteration_limit_is_warned_of(monkeypatch, caplog):
    t2, t1 = (part[::2, ::2, ::2] for part in pair(motion((4, -3, 5), (3, -5, 4))))
    every = np.diag([2, 2, 2, 1])
    assert align.rigid(t2, MOVING @ every, t1, FIXED @ every).quality["warnings"] == []
    monkeypatch.setattr(align, "MAXIMUM_ITERATIONS", 5)
    found = align.rigid(t2, MOVING @ every, t1, FIXED @ every)
    assert found.quality["warnings"] == ["alignment stopped at its limit of 5 iterations"]
    (record,) = [r for r in caplog.records if r.levelname == "WARNING"]
    assert "limit of 5 iterations" in record.getMessage()


def test_aligned_scans_stay_where_they_are():
    first, second = head((51, 59, 53), FIXED)
    found = align.rigid(second, FIXED, first, FIXED)
    assert distance(found.transform, np.eye(4), POINTS).max() < 0.3


def test_implausible_results_are_errors(monkeypatch):
    t2, t1 = pair(motion((0, 0, 12), (0, 0, 0)))
    monkeypatch.setattr(align, "MAXIMUM_ROTATION_DEGREES", 5.0)
    with pytest.raises(align.AlignmentError, match="plausible"):
        align.rigid(t2, MOVING, t1, FIXED)
    worse = {"mutual_information_before": 0.6, "mutual_information_after": 0.5,
             "translation_mm": 4.0, "rotation_degrees": 1.0}  # fmt: skip
    with pytest.raises(align.AlignmentError, match="fell"):
        align._check_plausible(worse)


def test_scans_with_nothing_in_common_are_an_error():
    lost = {"mutual_information_before": 0.01, "mutual_information_after": 0.02,
            "translation_mm": 4.0, "rotation_degrees": 1.0}  # fmt: skip
    with pytest.raises(align.AlignmentError, match="nothing in common"):
        align._check_plausible(lost)
    # Independent values of as many voxels as a scan has, with the histogram's own bias.
    noise = np.random.default_rng(3).rayleigh(50, (2, 500_000))
    assert _sitk.mutual_information(*noise) < align.LEAST_INFORMATION / 5


def test_a_shift_beyond_the_limit_is_an_error():
    t2, t1 = (part[::2, ::2, ::2] for part in pair(np.eye(4)))
    every = np.diag([2, 2, 2, 1])
    far = MOVING @ every
    far[:3, 3] += [0, 0, 150]
    with pytest.raises(align.AlignmentError, match="mm"):
        align.rigid(t2, far, t1, FIXED @ every)


@pytest.mark.parametrize("spoil", [lambda d: d * 0, lambda d: np.where(d > 100, np.nan, d),
                                   lambda d: d[0]])  # fmt: skip
def test_refusals(spoil):
    image = head((20, 20, 20), FIXED)[0]
    with pytest.raises(InputError, match="moving"):
        align.rigid(spoil(image), FIXED, image, FIXED)


def test_mutual_information_of_known_cases():
    rng = np.random.default_rng(4)
    x = rng.permutation(np.repeat(np.arange(8), 4000))
    assert _sitk.mutual_information(x, (x - 4) ** 3) == pytest.approx(np.log(8), rel=1e-9)
    # Independent values: only the plug-in estimate's bias (63^2 / 2n) is left.
    a, b = rng.normal(size=(2, 400_000))
    assert _sitk.mutual_information(a, b) == pytest.approx(63**2 / 8e5, rel=0.1)


def test_sitk_round_trip_of_worlds():
    data = np.random.default_rng(6).uniform(0, 1, (5, 6, 7)).astype(np.float32)
    image = _sitk.image_from_array(data, MOVING)
    assert np.array_equal(_sitk.array_from_image(image), data)
    point = image.TransformIndexToPhysicalPoint((2, 3, 1))
    assert np.allclose(np.diag([-1, -1, 1]) @ point, (MOVING @ [2, 3, 1, 1])[:3])
    matrix = motion((10, 20, 30), (1, 2, 3)) @ np.diag([1.1, 0.9, 1, 1])
    assert np.allclose(_sitk.matrix_from_transform(_sitk.transform_from_matrix(matrix)), matrix)


def published(path):
    """RAS matrix of an ITK affine text file: y = M (x - c) + c + t in LPS."""
    lines = dict(line.split(": ", 1) for line in path.read_text().splitlines() if ": " in line)
    values = np.array(lines["Parameters"].split(), float)
    centre = np.array(lines["FixedParameters"].split(), float)
    lps = np.eye(4)
    lps[:3, :3] = values[:9].reshape(3, 3)
    lps[:3, 3] = values[9:] + centre - lps[:3, :3] @ centre
    flip = np.diag([-1.0, -1, 1, 1])
    return flip @ lps @ flip


@pytest.mark.slow
def test_a_real_patient_agrees_with_the_published_transforms(data_dir):
    """ITK's text transforms lead from FLAIR points to points of T1 and of T2."""
    folder = data_dir / "mri_patient"
    t1, t1_affine = read_volume(folder / "study1_T1W.nii.gz")
    t2, t2_affine = read_volume(folder / "study1_T2W.nii.gz")
    to_t1, to_t2 = (
        published(folder / f"study1_{name}W_intrastudy_to_FLAIR.txt") for name in ("T1", "T2")
    )
    expected = to_t2 @ np.linalg.inv(to_t1)
    points = np.argwhere(_sitk.otsu(t1))[::40] @ t1_affine[:3, :3].T + t1_affine[:3, 3]
    assert distance(np.eye(4), expected, points).mean() > 2.5  # there is something to do
    found = align.rigid(t2, t2_affine, t1, t1_affine)
    assert distance(found.transform, expected, points).mean() < 1.0
    quality = found.quality
    assert quality["mutual_information_after"] > quality["mutual_information_before"] + 0.03
