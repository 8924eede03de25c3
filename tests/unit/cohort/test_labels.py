import nibabel
import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from headcond.checks import InputError
from headcond.cohort import labels as label_maps
from headcond.cohort.colin27 import read_colin27
from headcond.tissues import EIT_TISSUES, TISSUES, label_scheme, tissue_id, to_eit6

CORNERS = np.ones((3, 3, 3), bool)
SKIN, FAT, MUSCLE, CORTICAL, CANCELLOUS, DURA, CSF, GM, WM = range(1, 10)


def radii(shape, centre=None):
    centre = (np.array(shape) - 1) / 2 if centre is None else np.asarray(centre)
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    return np.linalg.norm(index - centre, axis=-1)


def synthseg_head(edge=64):
    """Shells with SynthSeg's ids: skin, soft tissue, bone with marrow, CSF, GM, WM."""
    r = radii((edge,) * 3)
    bounds = (9, 15, 18, 20, 21, 23, 29, 31)
    ids = (2, 3, 24, 515, 516, 515, 507, 511)
    labels = np.zeros(r.shape, np.int32)
    for bound, number in reversed(list(zip(bounds, ids, strict=True))):
        labels[r < bound] = number
    return labels


def assert_closed(labels):
    inside = labels >= 4
    assert inside.any()
    assert not (ndimage.binary_dilation(inside, CORNERS) & (labels <= 1)).any()


# --- prepare ---------------------------------------------------------------------------


def test_shells_become_the_thirteen_tissues():
    labels = synthseg_head()
    head = label_maps.prepare_labels(labels, np.eye(4), "synthseg", margin=3)
    out = head.labels13
    assert out.dtype == np.uint8
    assert out.shape == (68,) * 3  # 62 voxels of head and the margin
    assert head.cut == {}
    assert np.array_equal(head.affine[:3, 3], [-2, -2, -2])
    r = radii(out.shape)
    # Along a radius: WM, GM, CSF, dura, bone, marrow, bone, muscle, fat within 4 mm of skin.
    line = [int(v) for v in out[34:, 34, 34]]
    assert [v for i, v in enumerate(line) if i == 0 or line[i - 1] != v] == [
        WM, GM, CSF, DURA, CORTICAL, CANCELLOUS, CORTICAL, MUSCLE, FAT, SKIN, 0,
    ]  # fmt: skip
    assert np.array_equal(out > 0, r < 31)
    fat, muscle = out == FAT, out == MUSCLE
    assert np.array_equal(fat | muscle, (r < 29) & (r >= 23))
    depth = ndimage.distance_transform_edt(out != SKIN)
    assert depth[fat].max() <= label_maps.FAT_DEPTH_MM < depth[muscle].min()
    counts = head.counts
    assert counts["soft_tissue_to_fat"] == fat.sum()
    assert counts["dura_shell"] == (out == DURA).sum()


def test_dura_lies_between_bone_and_what_it_wraps():
    out = label_maps.prepare_labels(synthseg_head(), np.eye(4), "synthseg").labels13
    bone = np.isin(out, (CORTICAL, CANCELLOUS))
    inner = np.isin(out, (CSF, GM, WM))
    assert not (ndimage.binary_dilation(bone) & inner).any()
    dura = out == DURA
    assert (ndimage.binary_dilation(bone) & dura).sum() == dura.sum()


def test_dura_that_is_labelled_is_kept():
    labels = label_maps.prepare_labels(synthseg_head(), np.eye(4), "synthseg").labels13
    labels[labels == DURA] = CSF
    labels[30, 30, 50] = DURA
    again = label_maps.prepare_labels(labels, np.eye(4), "headcond13")
    assert (again.labels13 == DURA).sum() == 1
    assert "dura_shell" not in again.counts


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_orientation_does_not_matter(axes):
    labels = synthseg_head()
    labels[:, :, :20] = 0
    labels[40:, 10:12] = 0
    plain = label_maps.prepare_labels(labels, np.diag([1, 1, 1, 1.0]), "synthseg")
    turned = np.flip(np.transpose(labels, axes), 0)
    affine = np.zeros((4, 4))
    for new, old in enumerate(axes):
        affine[old, new] = 1
    affine[3, 3] = 1
    affine[:, 3] += affine[:, 0] * (labels.shape[axes[0]] - 1)
    affine[:3, 0] *= -1
    other = label_maps.prepare_labels(turned, affine, "synthseg")
    assert np.array_equal(other.labels13, plain.labels13)
    assert np.allclose(other.affine, plain.affine)
    assert other.cut == plain.cut


def test_specks_and_bubbles():
    labels = synthseg_head()
    labels[1:3, 1:3, 1:3] = 24
    labels[32, 32, 44:46] = 0
    clean = label_maps.prepare_labels(synthseg_head(), np.eye(4), "synthseg")
    head = label_maps.prepare_labels(labels, np.eye(4), "synthseg")
    assert head.counts["specks_removed"] == 8
    assert head.counts["bubbles_filled"] == 2
    assert head.labels13.shape == clean.labels13.shape
    assert np.array_equal(head.labels13 > 0, clean.labels13 > 0)


def test_large_cavities_stay_air():
    labels = synthseg_head(80)
    labels = np.where(radii(labels.shape) < 6, 0, labels)
    head = label_maps.prepare_labels(labels, np.eye(4), "synthseg")
    assert head.counts["bubbles_filled"] == 0
    middle = tuple(n // 2 for n in head.labels13.shape)
    assert head.labels13[middle] == 0


def test_majority_downsampling_keeps_world_and_volume():
    labels = synthseg_head()
    fine = label_maps.prepare_labels(labels, np.eye(4), "synthseg")
    coarse = label_maps.prepare_labels(labels, np.eye(4), "synthseg", voxel_size=2.0, margin=2)
    centre = [np.array([np.mean(i) for i in np.nonzero(p.labels13)]) @ p.affine[:3, :3]
              + p.affine[:3, 3] for p in (fine, coarse)]  # fmt: skip
    assert np.allclose(centre[0], 31.5, atol=1e-6)
    assert np.allclose(centre[1], 31.5, atol=0.1)
    volumes = [np.count_nonzero(p.labels13) * n for p, n in ((fine, 1), (coarse, 8))]
    assert volumes[1] == pytest.approx(volumes[0], rel=0.02)
    assert not coarse.labels13[:2].any()
    assert coarse.labels13[2].any()


def test_cut_faces():
    labels = synthseg_head()
    low = labels.copy()
    low[:, :, :12] = 0  # ends flat, but away from the image's border
    disc = int(np.count_nonzero(low[:, :, 12]))
    assert disc > 1.2 * label_maps.FLAT_FACE_MM2
    head = label_maps.prepare_labels(low, np.eye(4), "synthseg")
    assert set(head.cut) == {"inferior"}
    assert head.cut["inferior"] == np.count_nonzero(low[:, :, 13])
    assert not head.labels13[:, :, :4].any()
    border = labels[:, 3:, :]
    head = label_maps.prepare_labels(border, np.eye(4), "synthseg")
    assert head.cut == {"posterior": np.count_nonzero(border[:, :2], axis=(0, 2)).max()}


def test_the_region_to_be_judged_begins_above_the_cut_and_ends_with_the_images():
    labels = np.zeros((12, 14, 30), np.uint8)
    labels[2:10, 2:12, 4:27] = GM
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-11, -13, -29]
    everything = label_maps.labelled_region(labels, affine, {"superior": 9, "left": 3})
    assert everything.all(), "only the neck is left out"
    region = label_maps.labelled_region(labels, affine, ["inferior"])
    assert not region[..., :9].any() and region[..., 9:].all(), "10 mm of 2 mm voxels"
    assert label_maps.labelled_region(labels, affine, ["inferior"], margin=3.0)[..., 6:].all()
    # An image in another orientation that ends in the world at z = -10 and x = 5 mm.
    image = np.array([[0, -1.0, 0, 5], [1, 0, 0, -40], [0, 0, 1, -10], [0, 0, 0, 1]])
    region = label_maps.labelled_region(labels, affine, (), [((90, 60, 60), image)])
    x, y, z = (np.arange(n) * 2.0 + affine[i, 3] for i, n in enumerate(labels.shape))
    expected = (x <= 5.5)[:, None, None] & (y >= -40.5)[:, None] & (z >= -10.5)
    assert np.array_equal(region, expected) and not region.all()
    with pytest.raises(InputError, match="only air"):
        label_maps.labelled_region(0 * labels, affine, [])
    with pytest.raises(InputError, match="upwards"):
        label_maps.labelled_region(labels, np.diag([2.0, 2.0, -2.0, 1.0]), [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.zeros((9, 9, 9), int)}, "only air"),
        ({"labels": np.full((9, 9, 9), 999)}, "999"),
        ({"labels": np.ones((9, 9), int)}, "labels"),
        ({"scheme": "synthsge"}, "synthseg"),
        ({"margin": 0}, "margin"),
        ({"voxel_size": -1}, "voxel_size"),
    ],
)  # fmt: skip
def test_prepare_refuses(change, message):
    good = {"labels": synthseg_head(), "affine": np.eye(4), "scheme": "synthseg"}
    with pytest.raises(InputError, match=message):
        label_maps.prepare_labels(**(good | change))


def test_oblique_voxels_are_laid_along_the_world():
    """Turned by 12 degrees about the head's axis, a head keeps its place and its volumes."""
    labels = synthseg_head()
    turn, angle = np.eye(4), np.deg2rad(12)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    centre = np.eye(4)
    centre[:3, 3] = -(np.array(labels.shape) - 1) / 2
    straight = label_maps.prepare_labels(labels, centre, "synthseg")
    oblique = label_maps.prepare_labels(labels, turn @ centre, "synthseg")
    for one, other in ((straight, oblique), (oblique, straight)):
        assert np.allclose(one.affine[:3, :3], np.eye(3))
        assert np.array_equal(np.unique(one.labels13), np.unique(other.labels13))

    def middle(head):
        inside = np.argwhere(head.labels13 > 0).mean(axis=0)
        return head.affine[:3, :3] @ inside + head.affine[:3, 3]

    straight_middle = turn[:3, :3] @ middle(straight)
    np.testing.assert_allclose(middle(oblique), straight_middle, atol=0.5)
    sizes = [np.count_nonzero(head.labels13) for head in (straight, oblique)]
    assert abs(sizes[1] / sizes[0] - 1) < 0.03


# --- read_labels -----------------------------------------------------------------------


def test_read_labels(tmp_path):
    path = tmp_path / "labels.nii.gz"
    labels = synthseg_head(64)
    nibabel.save(nibabel.Nifti1Image(labels.astype(np.float32), np.diag([-1, 1, 1, 1])), path)
    out, affine = label_maps.read_labels(path, "synthseg")
    assert np.array_equal(out, labels)
    assert out.dtype == np.int16
    assert affine[0, 0] == -1
    with pytest.raises(InputError, match=r"labels\.nii\.gz.*507"):
        label_maps.read_labels(path, "headcond13")
    nibabel.save(nibabel.Nifti1Image(labels * np.float32(0.5), np.eye(4)), path)
    with pytest.raises(InputError, match="whole numbers"):
        label_maps.read_labels(path, "synthseg")


# --- close_skull -----------------------------------------------------------------------


def eit_head(edge=48):
    r = radii((edge,) * 3)
    return np.select([r < 8, r < 12, r < 15, r < 18, r < 21], [6, 5, 4, 2, 1], 0).astype(np.uint8)


def test_a_closed_skull_is_left_alone():
    labels = eit_head()
    out, filled = label_maps.close_skull(labels)
    assert filled == 0
    assert np.array_equal(out, labels)
    assert out is not labels


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    holes=st.integers(1, 6),
    radius=st.integers(1, 5),
    air=st.booleans(),
)
def test_holes_are_closed_wherever_they_are(seed, holes, radius, air):
    rng = np.random.default_rng(seed)
    labels = eit_head()
    for _ in range(holes):
        direction = rng.normal(size=3)
        middle = 23.5 + 16.5 * direction / np.linalg.norm(direction)
        hole = radii(labels.shape, middle) < radius
        labels[hole & (labels == 2)] = 0 if air else rng.choice([1, 4])
    before = labels.copy()
    out, filled = label_maps.close_skull(labels)
    assert np.array_equal(labels, before)
    assert_closed(out)
    # A stray piece of CSF may turn into scalp and then into bone.
    new = (out == 2) & (before != 2)
    assert np.count_nonzero(new & (before <= 1)) <= filled <= np.count_nonzero(new)
    inner = label_maps.largest_component(before >= 4)
    assert np.array_equal(out[inner], before[inner])
    assert label_maps.close_skull(out)[1] == 0


def test_a_corner_is_a_leak():
    labels = np.full((7, 7, 7), 2, np.uint8)
    labels[3, 3, 3] = 4
    labels[4, 4, 4] = 1
    out, filled = label_maps.close_skull(labels)
    assert filled == 1
    assert out[4, 4, 4] == 2


def test_stray_brain_in_the_scalp_becomes_scalp():
    labels = eit_head()
    labels[23, 23, 43] = 4
    out, filled = label_maps.close_skull(labels)
    assert filled == 0
    assert out[23, 23, 43] == 1


def test_bone_grown_into_air_is_covered():
    labels = eit_head()
    labels[:, :, 30:][labels[:, :, 30:] <= 2] = 0  # the crown's skull and scalp are gone
    out, filled = label_maps.close_skull(labels)
    assert filled > 0
    assert_closed(out)
    new = (out == 2) & (labels == 0)
    assert not (ndimage.binary_dilation(new, CORNERS) & (out == 0)).any()


def test_close_skull_refuses():
    with pytest.raises(InputError, match="eit6"):
        label_maps.close_skull(np.full((4, 4, 4), 9))
    with pytest.raises(InputError, match="no bone"):
        label_maps.close_skull(np.ones((4, 4, 4), int))


@pytest.mark.parametrize("thickness", [1.0, 1.5, 2.5])
def test_spongy_bone_keeps_its_tables(thickness):
    r = radii((60,) * 3)
    skull = (r < 26) & (r >= 17)
    spongy = label_maps.spongy_bone(skull, np.ones(3), thickness)
    assert spongy.any()
    depth = np.minimum(26 - r, r - 17)
    assert depth[spongy].min() > thickness - 0.6
    assert depth[skull & ~spongy].max() < thickness + 1.1


# --- real heads ------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["01", "09"])
def test_real_synthseg_heads(data_dir, number):
    labels, affine = label_maps.read_labels(
        data_dir / "head_labels" / f"training_seg_{number}.nii.gz", "synthseg"
    )
    head = label_maps.prepare_labels(labels, affine, "synthseg", voxel_size=2.0)
    out = head.labels13
    assert "inferior" in head.cut  # both end in a flat cut through neck or jaw
    assert "superior" not in head.cut
    assert np.array_equal(head.affine[:3, :3], 2 * np.eye(3))
    volumes = np.bincount(out.ravel(), minlength=14) * 8e-3
    names = dict(zip(TISSUES, volumes[1:], strict=True))
    assert 1000 < names["gm"] + names["wm"] + names["cerebellum"] < 1600  # ml, adults
    assert all(volume > 0 for volume in names.values())
    # World coordinates are kept: the brain's centre is where the source has it.
    names = label_scheme("synthseg")
    brain = np.isin(labels, [i for i, name in names.items() if name in ("gm", "wm")])
    points = [
        np.array([np.mean(i) for i in np.nonzero(mask)]) @ a[:3, :3].T + a[:3, 3]
        for mask, a in (
            (brain, affine),
            (np.isin(out, (tissue_id("gm"), tissue_id("wm"))), head.affine),
        )
    ]
    assert np.linalg.norm(points[0] - points[1]) < 0.5
    closed, filled = label_maps.close_skull(to_eit6(out))
    assert filled > 0
    assert_closed(closed)
    assert set(np.unique(closed)) == set(range(7))


def test_soft_tissue_gets_the_skin_and_fat_that_a_map_lacks():
    r = radii((64,) * 3)
    labels = np.zeros(r.shape, np.int32)
    for bound, number in ((31, 6), (18, 7), (16, 10), (15, 1), (13, 2), (9, 3)):
        labels[r < bound] = number
    labels[:, :, :20] = 0  # a cut is no surface that skin covers
    fatless = label_maps.prepare_labels(labels, np.eye(4), "brainweb20")
    assert set(fatless.cut) == {"inferior"}
    out = fatless.labels13
    assert out[34, 34 + 18, 3] == 0 and out[34, 34 + 18, 4] == MUSCLE  # on the cut
    ring = [int(v) for v in out[34:, 34, 20]]
    assert [v for i, v in enumerate(ring) if i == 0 or ring[i - 1] != v][-5:] == [
        CORTICAL, MUSCLE, FAT, SKIN, 0,
    ]  # fmt: skip
    labels[32, 32 + 20, 32] = 4
    fat = label_maps.prepare_labels(labels, np.eye(4), "brainweb20")
    assert np.count_nonzero(fat.labels13 == FAT) == 1
    assert "soft_tissue_to_fat" not in fat.counts and fat.counts["soft_tissue_to_skin"] > 0


def test_real_charm_map(data_dir):
    labels, affine = label_maps.read_labels(data_dir / "ernie" / "ernie_charm_ids.nii.gz", "charm")
    head = label_maps.prepare_labels(labels, affine, "charm", voxel_size=2.0)
    volumes = np.bincount(head.labels13.ravel(), minlength=14) * 8e-3
    assert (volumes > 0).all()
    assert "soft_tissue_to_fat" not in head.counts  # charm labels fat itself
    assert 1000 < volumes[[GM, WM, 10]].sum() < 1600  # ml, an adult


def test_real_brainweb20_model(data_dir):
    labels, affine = label_maps.read_labels(
        data_dir / "brainweb20" / "brainweb_04_crisp.nii.gz", "brainweb20"
    )
    every = np.diag([4, 4, 4, 1.0])
    head = label_maps.prepare_labels(
        labels[::4, ::4, ::4], affine @ every, "brainweb20", voxel_size=2.0
    )
    volumes = np.bincount(head.labels13.ravel(), minlength=14) * 8e-3
    assert {TISSUES[i - 1] for i in np.flatnonzero(volumes[1:] == 0) + 1} == {
        "cerebellum", "vitreous_humour", "mucous",
    }  # fmt: skip
    assert "inferior" in head.cut and "superior" not in head.cut
    assert "dura_shell" not in head.counts and head.counts["soft_tissue_to_skin"] > 0
    assert 1300 < volumes[[GM, WM]].sum() < 1800  # ml


@pytest.mark.slow
def test_all_fifteen_heads_import(data_dir):
    paths = sorted((data_dir / "head_labels").glob("training_seg_*.nii.gz"))
    assert len(paths) == 15
    for path in paths:
        labels, affine = label_maps.read_labels(path, "synthseg")
        head = label_maps.prepare_labels(labels, affine, "synthseg", voxel_size=2.0)
        assert set(np.unique(head.labels13)) == set(range(14)), path.name
        assert "inferior" in head.cut
        assert_closed(label_maps.close_skull(to_eit6(head.labels13))[0])


def test_colin27(data_dir):
    labels, affine, details = read_colin27(data_dir / "colin27")
    assert labels.shape == (181, 217, 181)
    assert labels.dtype == np.uint8
    assert np.array_equal(affine[:3, 3], [-90, -126, -72])
    assert details["mri_offset_mm"] == [0, 1, 0]
    assert set(np.unique(labels)) == set(range(7))
    assert_closed(labels)
    skull = np.isin(labels, (2, 3))
    assert not (ndimage.binary_dilation(skull, CORNERS) & (labels == 0)).any()
    spongy = labels == 3
    outside = ~skull
    assert not (ndimage.binary_dilation(spongy) & outside).any()
    assert set(details["cut"]) == {"left", "right", "anterior", "inferior"}
    volumes = details["volumes_ml"]
    assert list(volumes) == list(EIT_TISSUES)
    assert 1400 < volumes["gm"] + volumes["wm"] < 1800
    assert 300 < volumes["compact_bone"] + volumes["spongy_bone"] < 700
    # Tissue and T1 lie on the same voxels: white matter is brighter than grey, grey than CSF.
    means = [details["t1"][labels == i].mean() for i in (4, 5, 6)]
    assert means[0] < means[1] - 20 < means[2] - 40
    # The voxel grids coincide: shifting the T1 by a voxel along y loosens the fit.
    white = labels == 6
    fit = [np.corrcoef(np.roll(details["t1"], k, 1)[::3, ::3, ::3].ravel(),
                       white[::3, ::3, ::3].ravel())[0, 1] for k in (-1, 0, 1)]  # fmt: skip
    assert fit[1] == max(fit)


def test_colin27_names_what_is_missing(tmp_path):
    with pytest.raises(InputError, match=r"standard_seg\.mat"):
        read_colin27(tmp_path)
    scipy.io.savemat(tmp_path / "standard_seg.mat", {"mri": {"transform": np.eye(4)}})
    with pytest.raises(InputError, match="seg"):
        read_colin27(tmp_path)


def test_a_cut_that_nobody_declared_is_refused():
    cut = {"inferior": 812, "left": 40}
    with pytest.raises(
        InputError, match=r"head\.cut: .*left \(40 voxels\), inferior \(812 voxels\)"
    ):
        label_maps.check_cut(cut, [])
    with pytest.raises(InputError, match=r"at its inferior \(812 voxels\) end"):
        label_maps.check_cut(cut, ["left"])
    label_maps.check_cut(cut, ["inferior", "left", "right"])
    label_maps.check_cut({}, [])
