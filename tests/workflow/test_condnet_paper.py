"""The paper's study on a folder laid out as its header says: planned in full, one head imported."""

import nibabel
import numpy as np
import pytest
import yaml

from headcond.files import results
from headcond.study import config
from headcond.study.paths import REPOSITORY

STUDY = yaml.safe_load((REPOSITORY / "studies" / "condnet-paper.yaml").read_text())
SUFFIXES = ("T1w", "T2w", "desc-headcond13_dseg")
# Split of the paper, by the numbers of NAMIC's cases.
TRAIN = ["01015", "01018", "01020", "01026", "01029", "01035", "01041", "01044", "01073", "01104"]
TEST = ["01017", "01019", "01025", "01028", "01034", "01039", "01042", "01045"]


def head(shape=(64, 64, 44), edge=4.0):
    """A ball of skin, bone and brain, and two contrasts of it, in the paper's proportions."""
    centre = (np.array(shape) - 1) / 2
    radius = np.linalg.norm((np.indices(shape).T - centre).T * edge, axis=0)
    labels = np.select([radius < 50, radius < 60, radius < 70], [8, 4, 1], 0).astype(np.uint8)
    rng = np.random.default_rng(0)
    contrasts = (
        np.array([2, 120, 0, 0, 30, 0, 0, 0, 200.0]),
        np.array([2, 80, 0, 0, 20, 0, 0, 0, 140.0]),
    )
    return labels, [
        np.abs(c[labels] + rng.normal(0, 2, shape)).astype(np.float32) for c in contrasts
    ]


def lay_out(root):
    """The documented layout, with the same head for every case."""
    labels, images = head()
    affine = np.diag([-4.0, -4.0, 4.0, 1.0])
    affine[:3, 3] = [126, 126, -86]
    for suffix, data in zip(SUFFIXES, (*images, labels), strict=True):
        nibabel.save(nibabel.Nifti1Image(data, affine), root / f"{suffix}.nii.gz")
        for case in (*TRAIN, *TEST):
            path = root / f"sub-case{case}" / "anat" / f"sub-case{case}_{suffix}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(root / f"{suffix}.nii.gz")
    return labels, affine


def test_the_study_is_the_papers():
    cohort = STUDY["cohort"]
    assert cohort["train"] == [f"sub-case{case}" for case in TRAIN]
    assert cohort["test"] == [f"sub-case{case}" for case in TEST]
    assert cohort["voxel_size_mm"] == 1.0 and STUDY["mri"]["shape"] == [256] * 3
    assert STUDY["mri"]["normalisation"] == "minmax"
    assert STUDY["condnet"] == {"epochs": 50, "validation": "slice"}
    settled = config.merge(yaml.safe_load((REPOSITORY / "config.yaml").read_text()), STUDY)
    assert settled["condnet"]["tau"] == 0.1 and settled["condnet"]["batch_size"] == 4
    assert settled["condnet"]["tables"][0] == "A"


@pytest.fixture(scope="module")
def namic(tmp_path_factory):
    root = tmp_path_factory.mktemp("namic")
    return root, *lay_out(root)


def test_it_is_planned_and_names_a_missing_file(namic, make_checkout):
    root = namic[0]
    checkout = make_checkout("paper")
    variables = {"HEADCOND_NAMIC": str(root)}
    arguments = ("--cores", 2, "--configfile", "studies/condnet-paper.yaml")
    output = checkout.run("-n", *arguments, environment=variables)
    for rule, jobs in (("import_subject", 18), ("train_axis", 3), ("predict_axis", 24)):
        assert f"{rule} {jobs}" in " ".join(output.split()), rule

    # The head's own voxels are 4 mm, so a grid of 64^3 stands for the paper's 256^3.
    tiny = checkout.study("tiny", "cohort: {voxel_size_mm: 4.0}\nmri: {shape: [64, 64, 64]}\n")
    target = "results/tiny/sub-case01015/anat/sub-case01015_dseg.nii.gz"
    checkout.run(*arguments, tiny, "--", target, environment=variables)
    labels, affine = results.read_volume(checkout.folder / target, dtype="uint8")
    facts = results.read_json(checkout.folder / target.replace("dseg.nii.gz", "head.json"))
    assert facts["origin"] == "real scans and labels"
    volume_ml = abs(np.linalg.det(affine[:3, :3])) / 1e3
    for name, number in (("skin", 1), ("bone_cortical", 4), ("gm", 8)):
        here = np.count_nonzero(labels == number) * volume_ml
        there = np.count_nonzero(namic[1] == number) * 64 / 1e3
        assert facts["tissue_ml"][name] == pytest.approx(here)
        if name == "skin":
            assert here == pytest.approx(there, rel=0.02)
    assert facts["changed_voxels"]["dura_shell"] > 0, "the ball has none"

    lost = root / "sub-case01045" / "anat" / "sub-case01045_T2w.nii.gz"
    lost.rename(root / "elsewhere")
    output = checkout.run("-n", *arguments, environment=variables, fails=True)
    assert "cohort.folder (for sub-case01045)" in output and "_T2w.nii.gz is missing" in output
