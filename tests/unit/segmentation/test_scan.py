"""From a scan on any grid to results on that grid; bad scans are refused."""

import nibabel
import numpy as np
import pytest

from headcond.checks import InputError
from headcond.segmentation.scan import head_box, segment


def ball(size=2.0, radius=60.0, cells=70):
    axis = (np.arange(cells) - (cells - 1) / 2) * size
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    data = np.where(distance < radius, 400 + 2 * distance, 0).astype(np.float32)
    affine = np.diag([size, size, size, 1.0])
    affine[:3, 3] = axis[0]
    return data, affine


@pytest.fixture
def scan():
    data, affine = ball()
    return nibabel.Nifti1Image(data, affine)


@pytest.fixture
def small_windows(monkeypatch):
    from headcond.segmentation import scan as module

    predict = module.predict
    monkeypatch.setattr(module, "predict", lambda *a, **k: predict(*a, window=(144, 144, 144), **k))


def test_results_are_on_the_scans_grid(scan, tiny, tmp_path, small_windows):
    # any order and direction of axes
    turned = scan.as_reoriented(nibabel.orientations.axcodes2ornt("PIR"))
    path = tmp_path / "t1.nii.gz"
    turned.to_filename(path)
    head = segment(path, network=tiny)
    labels, sigma = head.labels, head.conductivity("A")
    for image in (labels, sigma, head.confidence):
        assert image.shape == turned.shape
        np.testing.assert_allclose(image.affine, turned.affine, atol=1e-4)
    probabilities = head.probabilities.get_fdata(dtype=np.float32)
    assert probabilities.shape == (*turned.shape, 14)
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=5e-3)
    assert labels.get_data_dtype() == np.uint8
    outside = turned.get_fdata() == 0
    corner = (0, 0, 0)
    assert outside[corner] and labels.get_fdata()[corner] == 0
    lower, upper = head.conductivity_interval("A")
    assert (lower.get_fdata() <= upper.get_fdata()).all()


def test_a_t2_scan_alone_will_do(scan, tiny, small_windows):
    assert segment(None, scan, network=tiny).labels.shape == scan.shape


def test_the_box_holds_the_head():
    data, affine = ball(radius=80.0, cells=128)
    shape, target = head_box("T1", data, affine)
    assert np.allclose(target[:3, :3], np.eye(3))
    corner, end = target[:3, 3], target[:3, 3] + np.array(shape)
    assert (corner < -80).all() and (end > 80).all()
    assert (corner > -100).all() and (end < 100).all()
    same = (corner - affine[:3, 3]) % 1
    np.testing.assert_allclose(np.minimum(same, 1 - same), 0, atol=1e-6)


def changed(scan, change):
    data, affine = scan.get_fdata(dtype=np.float32).copy(), scan.affine.copy()
    return nibabel.Nifti1Image(*change(data, affine))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, a: (d * np.nan, a), "not finite"),
        (lambda d, a: (d * 0, a), "hardly a voxel"),
        (lambda d, a: (d - 1000, a), "CT"),
        (lambda d, a: (np.stack([d, d], -1), a), "shape"),
        (lambda d, a: (d, a @ np.diag([10, 10, 10, 1])), "voxels measure"),
        (lambda d, a: (d, a @ np.diag([0.7, 0.7, 0.7, 1])), "not a whole head"),
    ],
)
def test_what_is_no_head_is_refused(scan, tiny, change, message):
    with pytest.raises(InputError, match=message):
        segment(changed(scan, change), network=tiny)


def test_no_scan_is_refused(tiny):
    with pytest.raises(InputError, match="Neither"):
        segment(None, network=tiny)
    with pytest.raises(InputError, match="file or a nibabel image"):
        segment(np.zeros((3, 3, 3)), network=tiny)


def test_an_unknown_orientation_is_refused(scan, tiny):
    bare = nibabel.Nifti1Image(scan.get_fdata(dtype=np.float32), None)
    with pytest.raises(InputError, match="left and right"):
        segment(bare, network=tiny)


def test_labels_in_other_schemes(scan, tiny, small_windows):
    head = segment(scan, network=tiny)
    assert head.labels_as("simnibs").shape == scan.shape
    with pytest.raises(InputError, match="Did you mean 'simnibs'"):
        head.labels_as("simnib")
    assert set(head.volumes) and isinstance(head.remarks, list)
