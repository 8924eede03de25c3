"""Scans, label maps and pairs that nobody could use are refused by name, in the first step."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from headcond.checks import InputError
from headcond.cohort import bids
from headcond.cohort.labels import read_labels
from headcond.files import results
from headcond.mri.bias import correct
from headcond.mri.normalise import normalise
from scripts.cohort import import_scan, import_subject

ROOT = Path(__file__).resolve().parents[3]

AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])


def scan(seed=0, shape=(24, 28, 26)):
    """Magnitudes of a ball in noise."""
    rng = np.random.default_rng(seed)
    index = np.indices(shape).T - (np.array(shape) - 1) / 2
    inside = ((index / (np.array(shape) * 0.4)) ** 2).sum(-1).T < 1
    return (rng.rayleigh(4, shape) + inside * rng.uniform(80, 120, shape)).astype(np.float32)


def write(path, data, affine=AFFINE, codes=None):
    """Write an image; with `codes`, sform's and qform's, the header stands as it is."""
    image = nibabel.Nifti1Image(np.asarray(data), affine)
    if codes is not None:
        header = image.header.copy()
        header.set_sform(affine, codes[0])
        header.set_qform(AFFINE, codes[1])
        image = nibabel.Nifti1Image(np.asarray(data), None, header)
    nibabel.save(image, path)
    return path


def turned(scale):
    affine = AFFINE.copy()
    affine[:3, :3] *= scale
    return affine


# What is wrong with the scan: (data, affine, form codes) and what the message says.
SCANS = {
    "missing affine": (scan(), AFFINE, (0, 0), "no orientation is stated"),
    "NaN": (np.where(scan() > 100, np.nan, scan()), AFFINE, None, r"voxels are NaN"),
    "infinite": (np.where(scan() > 100, np.inf, scan()), AFFINE, None, r"NaN or infinite"),
    "all zero": (np.zeros((20, 20, 20), np.float32), AFFINE, None, "every voxel is 0"),
    "constant": (np.full((20, 20, 20), 7, np.int16), AFFINE, None, "every voxel is 7"),
    "4-D": (np.stack([scan(), scan(1)], -1), AFFINE, None, "3-D volume.*one volume of a series"),
    "2-D": (scan()[..., 0], AFFINE, None, "3-D volume"),
    "negative": (scan() - 20, AFFINE, None, r"voxels are negative \(lowest -"),
    "6 mm slices": (scan(), np.diag([3.0, 3, 6, 1]), None, "too long: at most 5 mm"),
    "thin pixels": (scan(), np.diag([0.4, 0.4, 4.0, 1]), None, "8 times longer than wide"),
}


@pytest.mark.parametrize("case", SCANS)
def test_a_bad_scan_is_refused_by_name_before_anything_is_written(tmp_path, case):
    data, affine, codes, message = SCANS[case]
    bad = write(tmp_path / "bad.nii.gz", data, affine, codes)
    good = write(tmp_path / "good.nii.gz", scan())
    for t1, t2 in ((bad, good), (good, bad)):
        with pytest.raises(InputError, match=rf"bad\.nii\.gz: .*{message}"):
            import_scan.main(t1, t2, tmp_path / "t1.nii.gz", tmp_path / "t2.nii.gz", {})
    assert not list(tmp_path.glob("t?.*")), "nothing is written of a pair that is refused"


def test_voxels_without_volume_are_refused(tmp_path):
    path = write(tmp_path / "a.nii", scan())
    content = bytearray(path.read_bytes())
    content[312:328] = bytes(16)  # srow_z, which no program writes on purpose
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.nii: .*singular"):
        bids.read_scan(path)


def test_one_form_code_is_enough_and_analyze_states_no_orientation(tmp_path):
    for codes in ((1, 0), (0, 1)):
        bids.read_scan(write(tmp_path / "a.nii.gz", scan(), AFFINE, codes))
    nibabel.save(nibabel.AnalyzeImage(scan(), AFFINE), tmp_path / "old.img")
    with pytest.raises(InputError, match=r"old\.img: headcond reads NIfTI.*Convert it"):
        bids.read_scan(tmp_path / "old.img")


def test_a_trailing_axis_of_one_is_dropped_and_thick_slices_come_with_a_warning(tmp_path):
    assert bids.read_scan(write(tmp_path / "a.nii.gz", scan()[..., None])).data.ndim == 3
    thick = bids.read_scan(write(tmp_path / "b.nii.gz", scan(), np.diag([0.6, 0.6, 3.3, 1])))
    assert len(thick.warnings) == 1 and "5.5 times longer than wide" in thick.warnings[0]


def test_the_patients_three_millimetre_slices_are_accepted(data_dir):
    t1, t2 = bids.read_pair(
        *(data_dir / "mri_patient" / f"study1_{name}W.nii.gz" for name in ("T1", "T2"))
    )
    assert t1.warnings and t2.warnings


def test_scans_of_different_places_are_refused(tmp_path):
    far = AFFINE.copy()
    far[:3, 3] = [0, 0, 400.0]
    t1 = write(tmp_path / "t1.nii.gz", scan())
    t2 = write(tmp_path / "t2.nii.gz", scan(1), far)
    with pytest.raises(InputError, match=r"t2\.nii\.gz: only 0 % .*t1\.nii\.gz overlap"):
        bids.read_pair(t1, t2)
    assert bids.field_of_view_overlap((10, 10, 10), np.eye(4), (10, 10, 10), np.eye(4)) == 1.0
    shifted = np.eye(4)
    shifted[0, 3] = 5.0
    assert bids.field_of_view_overlap((10, 10, 10), np.eye(4), (10, 10, 10), shifted) == 0.5
    small = turned(0.25)  # a 1 mm field inside a 4 mm one
    assert bids.field_of_view_overlap((24, 24, 24), AFFINE, (24, 24, 24), small) > 0.95


LABELS = {
    "headcond13": (14, 99), "simnibs": (13, 100, 500), "brainweb": (10,),
    "synthseg": (27, 505, 4035), "charm": (25, 505, 1001), "brainweb20": (12,),
}  # fmt: skip


@pytest.mark.parametrize("scheme", LABELS)
def test_labels_outside_a_scheme_are_listed_with_their_voxels(tmp_path, scheme):
    labels = np.ones((10, 10, 10), np.int16)
    if scheme in ("synthseg", "charm"):
        labels[:] = 2
    for number, unknown in enumerate(LABELS[scheme]):
        labels[number, : number + 1, 0] = unknown
    listed = ", ".join(f"{unknown} ({n} voxels)" for n, unknown in enumerate(LABELS[scheme], 1))
    with pytest.raises(InputError) as caught:
        read_labels(write(tmp_path / "seg.nii.gz", labels), scheme)
    text = str(caught.value)
    assert "seg.nii.gz" in text and f"ids {listed} are not in" in text and scheme in text


def test_other_bad_labels_are_refused(tmp_path):
    with pytest.raises(InputError, match="no whole numbers.*was the map interpolated"):
        read_labels(write(tmp_path / "a.nii.gz", np.full((5, 5, 5), 1.5)), "simnibs")
    with pytest.raises(InputError, match="the label map is empty"):
        read_labels(write(tmp_path / "b.nii.gz", np.zeros((5, 5, 5), np.int16)), "simnibs")
    with pytest.raises(InputError, match="no orientation"):
        read_labels(write(tmp_path / "c.nii.gz", np.ones((5, 5, 5)), AFFINE, (0, 0)), "simnibs")


def test_labels_in_another_world_than_the_scans_are_refused(tmp_path):
    t1, t2 = (write(tmp_path / f"{name}.nii.gz", scan(n)) for n, name in enumerate("ab"))
    labels = np.where(scan() > 40, 5, 0).astype(np.int16)
    labels[8:16, 8:20, 8:18] = 1
    paths = [tmp_path / name for name in ("1.nii.gz", "2.nii.gz", "seg.nii.gz", "head.json")]
    here = write(tmp_path / "here.nii.gz", labels)
    import_subject.main(t1, t2, here, *paths, "sub-01", "simnibs", {})
    assert results.read_json(paths[3])["tissue_ml"]["wm"] > 0
    far = AFFINE.copy()
    far[:3, 3] = [70, 0, 0]
    there = write(tmp_path / "there.nii.gz", labels, far)
    with pytest.raises(
        InputError, match=r"there\.nii\.gz: \d+ % of the labels are outside.*a\.nii"
    ):
        import_subject.main(t1, t2, there, *paths, "sub-01", "simnibs", {})


@pytest.mark.parametrize("call", [lambda d: correct(d, AFFINE), normalise])
@pytest.mark.parametrize(
    "spoil", [lambda d: d - 50, lambda d: np.where(d > 90, np.nan, d), np.zeros_like,
              lambda d: np.stack([d, d], -1)],
)  # fmt: skip
def test_arrays_are_refused_by_the_package_too(call, spoil):
    with pytest.raises(InputError):
        call(spoil(scan()))
