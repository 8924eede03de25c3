"""Generated heads: anatomy that holds together, a truth that differs from the labels."""

import numpy as np
import pytest
from scipy import ndimage

from headcond import tissues
from headcond.checks import InputError
from headcond.cohort import contrast, phantom
from headcond.cohort.shapes import arch, capsule, ellipsoid, open_axes, sheet, smooth_min, window

ID = {name: number for number, name in enumerate(tissues.TISSUES, start=1)}
INSIDE = [ID[name] for name in ("dura", "csf", "gm", "wm", "cerebellum")]
BONE = [ID["bone_cortical"], ID["bone_cancellous"]]


@pytest.fixture(scope="module")
def head():
    return phantom.generate_head(7, "01")


@pytest.fixture(scope="module")
def others():
    """Further heads, coarser and without sub-voxels: the same anatomy in a second each."""
    return [phantom.generate_head(seed, name, 2.5, 1) for seed, name in ((7, "02"), (11, "x"))]


def anatomy_holds_together(head, voxel_mm):
    labels = head.labels
    assert labels.dtype == np.uint8
    millilitres = np.bincount(labels.ravel(), minlength=14) * voxel_mm**3 / 1000
    low = {"skin": 200, "fat": 200, "muscle": 400, "bone_cortical": 250, "bone_cancellous": 120,
           "dura": 90, "csf": 150, "gm": 380, "wm": 350, "cerebellum": 90, "vitreous_humour": 10,
           "blood": 5, "mucous": 20}  # fmt: skip
    for name, floor in low.items():
        assert floor < millilitres[ID[name]] < 1200, name
    assert 1000 < millilitres[INSIDE[2:]].sum() < 1500

    # One piece, with air all around it.
    assert ndimage.label(labels > 0)[1] == 1
    for axis in range(3):
        assert not np.take(labels, [0, -1], axis=axis).any()
    extent = np.ptp(np.argwhere(labels > 0), axis=0) * voxel_mm
    assert (np.abs(extent - (160, 218, 226)) < (18, 18, 14)).all()

    # From the fluid around the brain no path leads out but through bone.
    regions, _ = ndimage.label(~np.isin(labels, BONE))
    within = regions == np.bincount(regions[labels == ID["csf"]]).argmax()
    assert set(np.unique(labels[within])) <= {*INSIDE, ID["blood"]}
    assert (within == np.isin(labels, INSIDE))[labels != ID["blood"]].all()

    # Skin covers the outside: what else touches outer air lies in nostril-thin corners.
    outer = ndimage.label(labels == 0)[0]
    outer = ndimage.binary_dilation(outer == outer[0, 0, 0]) & (labels > 0)
    assert (labels[outer] == ID["skin"]).mean() > 0.98


def test_head_at_the_default_grid(head):
    anatomy_holds_together(head, 2.0)
    assert head.labels.shape == (96, 120, 120)
    for image in (head.t1, head.t2, head.conductivity):
        assert image.shape == head.labels.shape
        assert image.dtype == np.float32
        assert np.isfinite(image).all() and image.min() >= 0


def test_other_seeds_and_subjects(others):
    for other in others:
        anatomy_holds_together(other, 2.5)
    assert (others[0].labels != others[1].labels).mean() > 0.02


def test_same_arguments_same_head(others):
    again = phantom.generate_head(11, "x", 2.5, 1)
    for name in ("labels", "affine", "conductivity", "lens", "t1", "t2", "t2_motion", "mni"):
        np.testing.assert_array_equal(getattr(again, name), getattr(others[1], name))


def test_anatomy_does_not_depend_on_the_grid(head):
    coarse = phantom.generate_head(7, "01", 2.5, 2)
    volumes = [
        np.bincount(h.labels.ravel(), minlength=14) * size**3 / 1000
        for h, size in ((head, 2.0), (coarse, 2.5))
    ]
    np.testing.assert_allclose(volumes[0][1:], volumes[1][1:], rtol=0.15)
    for name, point in head.fiducials.items():
        assert np.linalg.norm(point - coarse.fiducials[name]) < 3.0


def test_truth_varies_inside_tissues_and_follows_the_table(head):
    table = tissues.conductivity_table("A")
    uniform = tissues.conductivity_map(head.labels, table)
    for name in ("gm", "wm", "muscle", "fat", "cerebellum"):
        # Away from other tissues, where partial volume plays no part.
        core = ndimage.binary_erosion(head.labels == ID[name], np.ones((3, 3, 3)))
        values = head.conductivity[core] / table[name]
        # The median: some of cortex hides sulci thinner than a voxel, and so does the truth.
        assert np.median(values) == pytest.approx(1, abs=0.08), name
        low, high = np.percentile(values, (16, 84))
        assert 0.06 < (high - low) / 2 < 0.25, name
    assert (np.abs(head.conductivity - uniform) > 0.01 * uniform)[head.labels > 0].mean() > 0.8
    far = ~ndimage.binary_dilation(head.labels > 0, iterations=2)
    assert (head.conductivity[far] == 0).all()


def test_truth_rises_with_water_by_the_stated_formula():
    classes = np.full((3, 1, 1), ID["gm"], np.uint8)
    water = np.array([0.83, 0.85, 0.87], np.float32).reshape(3, 1, 1)
    sigma = phantom.true_conductivity(classes, water).ravel()
    odds = np.array([0.83 / 0.17, 0.85 / 0.15, 0.87 / 0.13])
    np.testing.assert_allclose(sigma, 0.1 * odds / odds[1], rtol=1e-4)


def test_images_carry_the_truth(head):
    # Inside white matter T2 contrast and true conductivity vary together: more water, longer
    # T2, brighter. (T1 contrast hardly moves: proton density and T1 act against each other.)
    core = ndimage.binary_erosion(head.labels == ID["wm"], np.ones((3, 3, 3)))
    to_t2 = np.linalg.inv(head.t2_affine) @ head.t2_motion @ head.affine
    t2 = ndimage.affine_transform(head.t2, to_t2[:3, :3], to_t2[:3, 3], order=1)
    index = np.argwhere(core)
    # Take out a bias field of second order before correlating.
    p = (index - index.mean(axis=0)) / index.std(axis=0)
    terms = [np.ones(len(p)), *p.T, *(p[:, i] * p[:, j] for i in range(3) for j in range(i, 3))]
    basis = np.stack(terms, axis=1)
    log = [np.log(t2[core]), np.log(head.conductivity[core])]
    rest = [v - basis @ np.linalg.lstsq(basis, v, rcond=None)[0] for v in log]
    assert np.corrcoef(*rest)[0, 1] > 0.5


def test_lens_has_its_own_truth_but_no_label(head):
    assert 40 < head.lens.sum() < 110
    assert (head.labels[head.lens] == ID["vitreous_humour"]).mean() > 0.9
    cores = ndimage.binary_erosion(head.lens)
    assert cores.any()
    assert head.conductivity[cores].mean() == pytest.approx(0.35, abs=0.06)
    vitreous = ndimage.binary_erosion(
        (head.labels == ID["vitreous_humour"]) & ~ndimage.binary_dilation(head.lens, iterations=2),
        iterations=2,
    )
    assert head.conductivity[vitreous].mean() == pytest.approx(1.5, abs=0.1)
    assert head.t1[cores].mean() > head.t1[vitreous].mean()


def test_contrasts(head):
    def cores(name):
        mask = ndimage.binary_erosion(head.labels == ID[name])
        assert mask.sum() > 50
        return mask

    t1 = {name: head.t1[cores(name)].mean() for name in ("csf", "gm", "wm", "fat")}
    assert t1["fat"] > t1["wm"] > 1.1 * t1["gm"] > 1.1 * t1["csf"]
    # The T2 grid lies elsewhere: bring the labels there by the known motion.
    to_labels = np.linalg.inv(head.t2_motion @ head.affine) @ head.t2_affine
    t2 = {}
    for name in ("csf", "gm", "wm", "muscle", "fat", "cerebellum"):
        moved = ndimage.affine_transform(
            cores(name).astype(np.float32), to_labels[:3, :3], to_labels[:3, 3], order=1
        )
        t2[name] = head.t2[moved > 0.9].mean()
    assert max(t2, key=t2.get) == "csf"
    assert t2["csf"] > t2["gm"] > t2["wm"] > t2["muscle"]
    air = ~ndimage.binary_dilation(head.labels > 0, iterations=4)
    white = contrast.RELAXATION["wm"]
    level = contrast.spin_echo(white.pd, white.t1, white.t2, *contrast.T1W)
    assert head.t1[air].mean() == pytest.approx(
        phantom.NOISE * level * np.sqrt(np.pi / 2), rel=0.02
    )


def test_known_motion_aligns_the_images(head):
    """Resampling T2 by the motion matches T1's head better than by the headers alone."""
    inside = ndimage.binary_dilation(head.labels > 0, iterations=3)

    def overlap(motion):
        index = np.linalg.inv(head.t2_affine) @ motion @ head.affine
        t2 = ndimage.affine_transform(head.t2, index[:3, :3], index[:3, 3], order=1)
        joint, _, _ = np.histogram2d(head.t1[inside], t2[inside], bins=48)
        p = joint / joint.sum()
        independent = p.sum(axis=1, keepdims=True) * p.sum(axis=0)
        return (p[p > 0] * np.log(p[p > 0] / independent[p > 0])).sum()

    right = overlap(head.t2_motion)
    assert right > 1.15 * overlap(np.eye(4))
    assert right > 1.3 * overlap(np.linalg.inv(head.t2_motion))


def test_motion_is_rigid_and_small(head, others):
    for one in (head, *others):
        rotation = one.t2_motion[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
        angle = np.rad2deg(np.arccos((np.trace(rotation) - 1) / 2))
        assert 0.9 < angle < 2.01
        middle = (one.affine @ [*(np.array(one.labels.shape) / 2), 1])[:3]
        assert 1.0 < np.linalg.norm((one.t2_motion @ [*middle, 1])[:3] - middle) < 3.2
        assert not np.allclose(one.t2_affine, one.affine, atol=0.2)


def test_fiducials_lie_on_the_skin(head, others):
    for one, size in ((head, 2.0), *((other, 2.5) for other in others)):
        skin = np.argwhere(one.labels == ID["skin"]) @ one.affine[:3, :3].T + one.affine[:3, 3]
        air = np.argwhere(one.labels == 0) @ one.affine[:3, :3].T + one.affine[:3, 3]
        for point in one.fiducials.values():
            assert np.linalg.norm(skin - point, axis=1).min() < 2 * size
            assert np.linalg.norm(air - point, axis=1).min() < 2 * size
        assert one.fiducials["nasion"][1] > 70 and one.fiducials["inion"][1] < -100
        assert one.fiducials["lpa"][0] < -60 and one.fiducials["rpa"][0] > 60


def test_mni_maps_brain_box_to_brain_box(head):
    brain = np.argwhere(np.isin(head.labels, [ID["gm"], ID["wm"], ID["cerebellum"]]))
    corners = np.stack([brain.min(axis=0) - 0.5, brain.max(axis=0) + 0.5])
    world = corners @ head.affine[:3, :3].T + head.affine[:3, 3]
    mni = world @ head.mni[:3, :3].T + head.mni[:3, 3]
    np.testing.assert_allclose(mni, [[-72, -106, -64], [72, 72, 80]], atol=1e-9)
    assert (np.abs(np.diag(head.mni)[:3] - 1.08) < 0.12).all()
    # The world origin lies where the anterior commissure should.
    assert np.linalg.norm(head.mni[:3, 3]) < 12


def test_blood_goes_to_the_right_side_in_six_tissues(head):
    merged = tissues.to_eit6(head.labels)
    blood = np.argwhere(head.labels == ID["blood"])
    height = (blood @ head.affine[:3, :3].T + head.affine[:3, 3])[:, 2]
    found = merged[tuple(blood.T)]
    assert (found[height > -40] == 4).all()  # sagittal sinus
    assert (found[height < -40] == 1).all()  # carotid arteries
    assert (height > 0).any() and (height < -60).any()


def test_refusals():
    with pytest.raises(InputError, match="2.5 mm"):
        phantom.generate_head(1, "a", 4.0)
    with pytest.raises(InputError, match="subdivisions"):
        phantom.generate_head(1, "a", 2.0, 0)
    with pytest.raises(InputError, match="no brain"):
        phantom.brain_to_mni(np.zeros((3, 3, 3), np.uint8), np.eye(4))


def test_shapes_against_exact_distances():
    axis = np.linspace(-30, 30, 31)
    axes = open_axes(axis, axis, axis)
    x, y, z = np.broadcast_arrays(*axes)
    radius = np.sqrt(x**2 + y**2 + z**2)
    ball = ellipsoid(axes, (0, 0, 0), (12, 12, 12))
    away = radius > 0
    np.testing.assert_allclose(ball[away], (radius - 12)[away], atol=1e-4)
    rod = capsule(axes, (0, 0, -10), (0, 0, 10), 5)
    expected = np.hypot(np.hypot(x, y), np.maximum(np.abs(z) - 10, 0)) - 5
    np.testing.assert_allclose(rod, expected, atol=1e-4)
    assert (smooth_min(ball, rod, 4.0) <= np.minimum(ball, rod) + 1e-6).all()
    np.testing.assert_array_equal(smooth_min(ball, ball + 10, 4.0), ball)
    disc = sheet(np.abs(z) - 1, np.hypot(x, y) - 8)
    assert disc[15, 15, 15] == pytest.approx(-1)
    assert disc[20, 15, 17] == pytest.approx(np.hypot(2, 3))  # edge at 8 mm, face at 1 mm
    horseshoe = arch(axes, (0, 0, 0), (20, 20), 4)
    assert horseshoe[25, 15, 15] == pytest.approx(-4, abs=1e-3)
    assert horseshoe[15, 5, 15] > 0 > horseshoe[15, 25, 15]
    cuts, part = window(axes, (-10, -30, 0), (10, 0, 30))
    assert [cut.stop - cut.start for cut in cuts] == [10, 15, 15]
    assert part[0].min() == -10 and part[0].max() == 8
