import nibabel
import numpy as np
import pytest

from headcond.checks import InputError
from headcond.cohort.colin27 import read_colin27
from headcond.mri import _sitk, register

SUBJECT = np.array([[1.8, 0, 0, -112], [0, 0, -1.8, 122], [0, 1.8, 0, -112], [0, 0, 0, 1.0]])
SHAPE = (124, 124, 134)


@pytest.fixture(scope="module")
def mni():
    return register._mni152()


def warp(template, seed):
    """A known map MNI -> subject: turned, scaled, sheared and shifted."""
    rng = np.random.default_rng(seed)
    a, b, c = np.radians(rng.uniform([2, -10, -10], [22, 10, 10]))
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = x @ y @ z @ np.diag([0.92, 1.05, 0.97]) + 0.02 * rng.standard_normal((3, 3))
    matrix[:3, 3] = [10, -18, 14]
    data, affine = template
    inverse = np.linalg.inv(matrix)
    image = _sitk.resample(data, affine, SHAPE, SUBJECT, inverse)
    brain = (data > 1e-3 * data.max()).astype(np.float32)
    mask = _sitk.resample(brain, affine, SHAPE, SUBJECT, inverse) > 0.5
    # Another contrast and noise: the same tissue, another scanner.
    image = np.abs(900 * image**1.3 + rng.normal(0, 15, SHAPE))
    return matrix, image, mask


def brain_points(template):
    data, affine = template
    voxels = np.argwhere(data > 1e-3 * data.max())[::50]
    return voxels @ affine[:3, :3].T + affine[:3, 3]


def errors(found, matrix, points):
    there = points @ matrix[:3, :3].T + matrix[:3, 3]
    return np.linalg.norm(there @ found[:3, :3].T + found[:3, 3] - points, axis=1)


def test_a_warped_template_is_brought_back(mni):
    matrix, image, mask = warp(mni, 0)
    points = brain_points(mni)
    assert errors(np.eye(4), matrix, points).mean() > 15  # there is something to do
    found, quality = register.to_mni(image, SUBJECT, mask)
    assert errors(found, matrix, points).mean() < 0.5
    assert errors(found, matrix, points).max() < 1.5
    assert quality["dice"] > 0.95 and quality["warnings"] == []
    assert quality["mutual_information"] > quality["mutual_information_before"] + 0.5


def test_template_may_be_given_in_any_orientation(mni, monkeypatch):
    coarse = nibabel.Nifti1Image(mni[0], mni[1]).slicer[::2, ::2, ::2]
    coarse = coarse.as_reoriented([[1, -1], [2, 1], [0, -1]])
    matrix, image, mask = warp(mni, 1)
    template = (coarse.get_fdata(), coarse.affine)
    found, quality = register.to_mni(image, SUBJECT, mask, template=template)
    assert errors(found, matrix, brain_points(mni)).mean() < 1.5
    assert quality["dice"] > 0.9
    monkeypatch.setitem(register.LIKENESS, "correlation", 0.9999)
    again, unlike = register.to_mni(image, SUBJECT, mask, template=template)
    assert np.array_equal(found, again)
    (warning,) = unlike["warnings"]  # a brain that is less like MNI's than is asked for
    assert "correlation with MNI's brain is" in warning and "below 0.9999" in warning


def test_a_brain_that_does_not_fit_is_an_error():
    rng = np.random.default_rng(0)
    with pytest.raises(register.RegistrationError, match="Dice"):
        register.to_mni(rng.uniform(0, 1, SHAPE), SUBJECT, _two_balls())


def _two_balls():
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)
    balls = [np.sum((index - c) ** 2, -1) < 20**2 for c in ((25, 25, 25), (98, 98, 108))]
    return balls[0] | balls[1]


def test_refusals(mni):
    _, image, mask = warp(mni, 3)
    with pytest.raises(InputError, match="too little for a brain"):
        register.to_mni(image, SUBJECT, np.zeros(SHAPE, bool))
    with pytest.raises(InputError, match="brain_mask"):
        register.to_mni(image, SUBJECT, mask[1:])
    with pytest.raises(InputError, match="t1"):
        register.to_mni(image * 0, SUBJECT, mask)


def test_colin27_lies_where_mni_space_has_it(data_dir):
    """Colin27 was brought to MNI space by others: the map found must be near the identity."""
    labels, affine, details = read_colin27(data_dir / "colin27")
    brain = labels >= 5
    found, quality = register.to_mni(details["t1"], affine, brain)
    points = np.argwhere(brain)[::500] @ affine[:3, :3].T + affine[:3, 3]
    assert errors(found, np.eye(4), points).mean() < 3
    assert quality["correlation"] > 0.5
