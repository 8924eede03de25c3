"""Label maps of two sources become anatomies."""

import nibabel
import numpy as np
import pytest

from headcond.checks import InputError
from headcond.segmentation.anatomy import DIVIDED, load_anatomy, read_anatomy, save_anatomy
from headcond.segmentation.classes import CLASSES, NAMES, NOT_JUDGED, TISSUE_OF_CLASS, class_id
from headcond.tissues import TISSUES, tissue_id

LIA = np.array([[-1.0, 0, 0, 40], [0, 0, 1, -40], [0, -1, 0, 40], [0, 0, 0, 1]])
SYNTHSEG_SHELLS = ((511, 36), (507, 34), (515, 27), (24, 24), (3, 22), (2, 16), (10, 5))


def shells(size, rings):
    axis = np.arange(size) - (size - 1) / 2
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    labels = np.zeros((size,) * 3, np.int16)
    for number, outer in rings:
        labels[radius < outer] = number
    return labels


def write(path, labels, affine):
    nibabel.Nifti1Image(labels, affine).to_filename(path)
    return path


def test_every_tissue_has_a_class_of_its_own():
    assert NAMES[0] == "air" and NAMES[1 : 1 + len(TISSUES)] == TISSUES
    assert len(set(NAMES)) == len(NAMES) < NOT_JUDGED
    assert all(TISSUE_OF_CLASS[class_id(e.name)] == tissue_id(e.tissue) for e in CLASSES)
    assert all(entry.parent in NAMES for entry in CLASSES)


def test_synthseg_ids_become_classes(tmp_path):
    labels = shells(80, SYNTHSEG_SHELLS)
    anatomy = read_anatomy(write(tmp_path / "head.nii.gz", labels, LIA), "synthseg")
    assert anatomy.voxel_size == 1 and anatomy.beyond_judged and anatomy.name == "head"
    counts = np.bincount(anatomy.classes.ravel(), minlength=len(CLASSES))
    for name, number in (("thalamus", 10), ("wm", 2), ("bone_cortical", 515), ("skin", 511)):
        assert counts[class_id(name)] == np.count_nonzero(labels == number), name
    assert counts[class_id("dura")] > 0  # the stand-in inside the skull
    soft = anatomy.depth != DIVIDED
    assert np.count_nonzero(soft) == np.count_nonzero(labels == 507)
    fat = anatomy.classes == class_id("fat")
    np.testing.assert_array_equal(fat, soft & (anatomy.depth <= 16))


def test_brainweb_guesses_are_not_judged(tmp_path):
    rings = ((6, 70), (4, 64), (7, 60), (11, 57), (10, 53), (1, 51), (2, 48), (3, 40))
    labels = shells(144, rings).astype(np.uint8)
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    anatomy = read_anatomy(write(tmp_path / "b.nii.gz", labels, affine), "brainweb20")
    judged = anatomy.classes < NOT_JUDGED
    assert not anatomy.beyond_judged and not judged[..., 0].any()
    top = anatomy.classes[72, 72]
    assert class_id("skin") in top and class_id("dura") in top
    assert class_id("muscle") + NOT_JUDGED in top  # skin or muscle: nobody knows
    assert judged[72, 72, -20:].mean() > 0.8 and not judged[72, 72, 72]


def test_an_anatomy_comes_back_from_its_file(tmp_path, anatomy):
    save_anatomy(tmp_path / "a.npz", anatomy)
    back = load_anatomy(tmp_path / "a.npz")
    assert back.name == anatomy.name and back.beyond_judged is True
    np.testing.assert_array_equal(back.classes, anatomy.classes)
    np.testing.assert_array_equal(back.affine, anatomy.affine)


@pytest.mark.parametrize(("source", "number"), [("synthseg", 999), ("brainweb20", 40)])
def test_foreign_ids_are_refused(tmp_path, source, number):
    labels = shells(40, ((number, 10),))
    with pytest.raises(InputError, match=str(number)):
        read_anatomy(write(tmp_path / "x.nii.gz", labels, np.eye(4)), source)


def test_unknown_sources_are_refused(tmp_path):
    with pytest.raises(InputError, match="Did you mean 'synthseg'"):
        read_anatomy(tmp_path / "x.nii.gz", "synthseq")
