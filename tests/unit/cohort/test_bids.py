import nibabel
import numpy as np
import pytest

from headcond.checks import InputError
from headcond.cohort import bids
from headcond.files.results import write_volume


def study(folder, files=()):
    folder.mkdir(exist_ok=True)
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def volume(rng):
    return rng.uniform(0, 100, (6, 7, 8)).astype(np.float32)


@pytest.mark.parametrize(
    "name", ["", "..", "../02", "sub-../x", "a/b", "a\\b", "01\n", "sub-sub-1"]
)
def test_names_cannot_leave_the_folder(tmp_path, name):
    with pytest.raises(InputError, match="participant id"):
        bids.find_image(tmp_path, name, "T1w")


@pytest.mark.parametrize("suffix", ["../T1w", "T1w.nii", "a/b", "", "desc-_dseg"])
def test_suffix_cannot_leave_the_folder(tmp_path, suffix):
    with pytest.raises(InputError, match="suffix"):
        bids.find_image(tmp_path, "01", suffix)


def test_find(tmp_path):
    files = [
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/sub-01_T2w.nii",
        "sub-01/anat/sub-01_desc-synthseg_dseg.nii.gz",
    ]
    folder = study(tmp_path, files)
    assert bids.find_image(folder, "01", "T1w") == folder / files[0]
    assert bids.find_image(folder, "sub-01", "T2w") == folder / files[1]
    assert bids.find_image(folder, "01", "desc-synthseg_dseg") == folder / files[2]
    with pytest.raises(InputError, match=r"sub-01_FLAIR\.nii\.gz is missing.*sub-01_T1w"):
        bids.find_image(folder, "01", "FLAIR")
    with pytest.raises(InputError, match=r"sub-09_T1w\.nii\.gz is missing; no image"):
        bids.find_image(folder, "09", "T1w")


def test_find_refuses_a_link_that_leaves_the_folder(tmp_path):
    secret = tmp_path / "elsewhere.nii.gz"
    secret.write_bytes(b"x")
    folder = study(tmp_path / "study")
    anat = folder / "sub-01" / "anat"
    anat.mkdir(parents=True)
    (anat / "sub-01_T1w.nii.gz").symlink_to(secret)
    with pytest.raises(InputError, match="outside"):
        bids.find_image(folder, "01", "T1w")


def test_read_scan(tmp_path):
    data = volume(np.random.default_rng(0))
    write_volume(tmp_path / "a.nii.gz", data, np.diag([1, 1, 1.5, 1]))
    scan = bids.read_scan(tmp_path / "a.nii.gz")
    assert np.array_equal(scan.data, data)
    assert scan.warnings == ()
    write_volume(tmp_path / "b.nii.gz", data, np.diag([1, 1, 3.3, 1]))
    scan = bids.read_scan(tmp_path / "b.nii.gz")
    assert len(scan.warnings) == 1
    assert "3.3 times" in scan.warnings[0]


@pytest.mark.parametrize("edges", [(0.7, 0.7, 1.4), (0.9, 1.8, 0.9), (0.5, 0.5, 4), (5, 2.5, 2.5)])
@pytest.mark.parametrize("degrees", [0, 10, 25, 33])
def test_scans_exactly_at_a_limit_pass(tmp_path, edges, degrees):
    """A header's float32 affine of an oblique scan has edges that are off by round-off."""
    turn = np.radians(degrees)
    affine = np.diag([*edges, 1.0])
    affine[:3, :3] = [
        [np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]
    ] @ affine[:3, :3]  # fmt: skip
    tilt = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    affine[:3, :3] = tilt @ affine[:3, :3]
    write_volume(tmp_path / "a.nii.gz", volume(np.random.default_rng(0)), affine)
    scan = bids.read_scan(tmp_path / "a.nii.gz")
    assert len(scan.warnings) == (max(edges) / min(edges) > 2.5)
    affine[:3, 2] *= 1.01 * max(edges) / np.linalg.norm(affine[:3, 2])
    write_volume(tmp_path / "b.nii.gz", volume(np.random.default_rng(0)), affine)
    if max(edges) >= 4:
        with pytest.raises(InputError, match="too long"):
            bids.read_scan(tmp_path / "b.nii.gz")
    else:
        assert bids.read_scan(tmp_path / "b.nii.gz").warnings


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: np.where(d > 90, np.nan, d), "NaN"),
        (lambda d: d * 0, "empty"),
        (lambda d: d - 50, "negative"),
        (lambda d: np.stack([d, d], -1), "3-D"),
    ],
)
def test_read_scan_refuses(tmp_path, spoil, message):
    data = spoil(volume(np.random.default_rng(1))).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match=message):
        bids.read_scan(tmp_path / "a.nii.gz")


def test_read_scan_refuses_what_is_no_image(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"a\.nii\.gz"):
        bids.read_scan(tmp_path / "a.nii.gz")


@pytest.mark.parametrize(("thick", "warnings"), [(1.0, 0), (1.01, 1), (4.0, 1), (4.01, None)])
def test_a_voxel_exactly_at_a_limit_is_within_it(tmp_path, thick, warnings):
    """Rotation and float32 headers round the edges of voxels."""
    turn = nibabel.eulerangles.euler2mat(0.4, -0.2, 0.1)
    affine = nibabel.affines.from_matvec(turn * [0.5, 0.5, thick])
    write_volume(tmp_path / "a.nii.gz", volume(np.random.default_rng(0)), affine, units="arbitrary")
    if warnings is None:
        with pytest.raises(InputError, match="too long"):
            bids.read_scan(tmp_path / "a.nii.gz")
    else:
        assert len(bids.read_scan(tmp_path / "a.nii.gz").warnings) == warnings
