"""Patches are homogeneous, deep in their tissue and in one slice near the middle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headcond.checks import InputError
from headcond.condnet.patches import PATCH_TISSUES, find_patches, sample_patches
from headcond.tissues import TISSUES

ID = {name: number for number, name in enumerate(TISSUES, 1)}
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def layers(size=40):
    """Head of nested boxes: skin around fat, cortical bone, CSF and white matter."""
    labels = np.zeros((size, size, size), np.uint8)
    for margin, name in ((2, "skin"), (4, "fat"), (8, "bone_cortical"), (10, "csf"), (13, "wm")):
        inner = slice(margin, size - margin)
        labels[inner, inner, inner] = ID[name]
    return labels


def test_a_patch_lies_deepest_in_its_tissue():
    labels = layers()
    found = {patch.tissue: patch for patch in find_patches(labels, AFFINE)}
    assert list(found) == ["wm", "fat", "bone_cortical", "csf"], "in the order of the paper"
    for patch in found.values():
        assert len(np.unique(patch.voxels[:, 2])) == 1 and patch.voxels[0, 2] in (19, 20)
        assert len(patch.voxels) >= 25, "100 mm2 of voxels of 4 mm2"
        assert np.all(labels[tuple(patch.voxels.T)] == ID[patch.tissue])
    # White matter reaches from 13 to 26: its middle is 7 voxels from the nearest other tissue.
    assert found["wm"].depth == pytest.approx(14.0)
    assert np.all(np.abs(found["wm"].voxels[:, :2] - 19.5) < 5)
    # A layer of two voxels is deepest in its corners, where the next tissue is a diagonal away.
    assert found["bone_cortical"].depth == pytest.approx(2 * np.sqrt(2))
    assert found["fat"].depth > found["csf"].depth > found["bone_cortical"].depth


def test_the_nearest_slice_that_has_all_tissues_is_taken():
    labels = layers()
    labels[18:24, 18:24, 24:27] = ID["gm"]  # 36 voxels in three slices above the middle
    assert {patch.voxels[0, 2] for patch in find_patches(labels, AFFINE)} == {24}
    labels[18:24, 18:24, 24:27] = ID["wm"]
    labels[18:22, 18:24, 24:27] = ID["gm"]  # 24 voxels: no room for a patch of 25
    found = find_patches(labels, AFFINE)
    assert "gm" not in [patch.tissue for patch in found]
    assert found[0].voxels[0, 2] in (19, 20), "back to the middle"


def test_a_patch_does_not_jump_over_a_fold():
    """Two parallel sheets of grey matter, one voxel apart: the patch keeps to one of them."""
    labels = np.full((40, 40, 9), ID["wm"], np.uint8)
    labels[18:20], labels[21:23] = ID["gm"], ID["gm"]
    (patch,) = (p for p in find_patches(labels, AFFINE) if p.tissue == "gm")
    columns = set(patch.voxels[:, 0].tolist())
    assert columns <= {18, 19} or columns <= {21, 22}
    assert patch.depth == pytest.approx(2.0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.sampled_from([1.0, 2.0, 2.5]))
def test_patches_of_random_labels_are_of_one_label_and_connected(seed, size):
    from scipy import ndimage

    rough = np.random.default_rng(seed).integers(0, 14, (6, 6, 6)).astype(np.uint8)
    labels = rough.repeat(5, 0).repeat(5, 1).repeat(5, 2)
    affine = np.diag([size, size, size, 1.0])
    before = labels.copy()
    found = find_patches(labels, affine, area=20.0)
    assert np.array_equal(labels, before)
    assert len({patch.tissue for patch in found}) == len(found)
    for patch in found:
        assert np.all(labels[tuple(patch.voxels.T)] == ID[patch.tissue])
        assert len(patch.voxels) >= max(9, 20 / size**2)
        plane = np.zeros(labels.shape[:2], bool)
        plane[tuple(patch.voxels[:, :2].T)] = True
        assert ndimage.label(plane)[1] == 1 and patch.depth > 0


def test_a_head_without_room_for_a_patch_is_refused():
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[2:4, 2:4, 2:4] = ID["wm"]
    with pytest.raises(InputError, match="25 connected voxels"):
        find_patches(labels, AFFINE)
    with pytest.raises(InputError, match="no tissue"):
        find_patches(np.zeros_like(labels), AFFINE)
    with pytest.raises(InputError, match="'gm'"):
        find_patches(labels, AFFINE, ["gmm"])


def test_samples_hold_the_values_of_every_map():
    labels = layers()
    patches = find_patches(labels, AFFINE)
    index = np.arange(labels.size, dtype=float).reshape(labels.shape)
    table = sample_patches(patches, {"uniform": labels.astype(float), "condnet": index})
    assert list(table["tissue"].unique()) == [patch.tissue for patch in patches]
    assert set(table["tissue"]) <= set(PATCH_TISSUES)
    at = np.ravel_multi_index((table["i"], table["j"], table["k"]), labels.shape)
    assert np.array_equal(table["condnet"], at)
    assert np.array_equal(table["uniform"], [ID[name] for name in table["tissue"]])
    assert table.groupby("patch")["depth_mm"].nunique().eq(1).all()
