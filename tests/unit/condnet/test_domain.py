"""The training domain: heads of one kind lie inside, blurred, noisy or swapped images outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage, stats

from headcond.checks import InputError
from headcond.cohort.phantom import generate_head
from headcond.condnet.domain import BINS, STATISTICS, compare_head, fit_domain, image_statistics
from headcond.condnet.fusion import head_mask
from headcond.files import results
from headcond.mri.normalise import normalise
from headcond.reporting.conductivity import domain_section
from scripts.condnet import judge_domain, measure_domain

ROOT = Path(__file__).resolve().parents[3]
VOXEL = 4.0


def ball(seed):
    """Two images of a ball of three tissues, a little different each time."""
    rng = np.random.default_rng(seed)
    grid = (
        np.stack(np.meshgrid(*[np.arange(40)] * 3, indexing="ij"))
        - rng.normal(19.5, 0.3, 3)[:, None, None, None]
    )
    radius = np.sqrt((grid**2).sum(axis=0)) / rng.normal(1, 0.02)
    folds = ndimage.gaussian_filter(rng.standard_normal(radius.shape), 2)
    tissue = np.digitize(radius + 12 * folds, [8, 13, 17])
    images = []
    for values in ((0.9, 0.6, 0.3, 0.0), (0.3, 0.5, 0.9, 0.0)):
        clean = ndimage.gaussian_filter(np.array(values)[tissue], 0.5)
        images.append(np.abs(clean + rng.normal(0, 0.02, clean.shape)).clip(0, 1))
    return [image.astype(np.float32) for image in images]


def thick_slices(t1, t2):
    return [ndimage.uniform_filter1d(image, 3, axis=2) for image in (t1, t2)]


def noisy(t1, t2):
    rng = np.random.default_rng(99)
    return [np.abs(i + rng.normal(0, 0.1, i.shape)).clip(0, 1).astype(np.float32) for i in (t1, t2)]


CORRUPTIONS = {
    "thick slices": (thick_slices, "detail"),
    "noise": (noisy, "detail"),
    "T1w and T2w exchanged": (lambda t1, t2: [t2, t1], "intensity"),
    "another contrast": (lambda t1, t2: [t1**2, t2**0.5], "intensity"),
}


@pytest.fixture(scope="module")
def described():
    return {f"sub-{seed:02d}": image_statistics(*ball(seed), VOXEL) for seed in range(8)}


def test_description_by_hand(described):
    t1, t2 = ball(0)
    head = head_mask(t1, t2, VOXEL)
    bins = [np.minimum((image[head] * BINS).astype(int), BINS - 1) for image in (t1, t2)]
    counts = np.zeros((BINS, BINS))
    np.add.at(counts, tuple(bins), 1)
    found = described["sub-00"]
    np.testing.assert_allclose(
        np.square(found["intensity"]), counts.ravel() / head.sum(), atol=1e-4
    )
    first, second = [], []
    for i, j, k in np.add(np.argwhere(head[:, 1:-1]), [0, 1, 0]):
        first.append(abs(t2[i, j + 1, k] - t2[i, j - 1, k]))
        second.append(abs(t2[i, j + 1, k] - 2 * t2[i, j, k] + t2[i, j - 1, k]))
    assert found["detail"][4] == pytest.approx(np.log(np.mean(second) / np.mean(first)), abs=1e-5)


def test_distances_and_limits_by_hand(described):
    domain = fit_domain({name: described[name] for name in list(described)[:4]}, level=0.95)
    names = sorted(domain["heads"])
    roots = {name: np.array(described[name]["intensity"]) for name in names}
    for name in names:
        middle = np.mean([roots[other] for other in names if other != name], axis=0)
        expected = np.sqrt(((roots[name] - middle) ** 2).sum() / 2)
        assert domain["distances"]["intensity"][name] == pytest.approx(expected)
    square = np.mean(np.square(list(domain["distances"]["detail"].values())))
    # F(1, n) is Student's t squared
    assert domain["limits"]["detail"] ** 2 / square == pytest.approx(stats.t.ppf(0.975, 4) ** 2)


def test_heads_of_the_same_kind_lie_inside_each_left_out_in_turn(described):
    for subject, head in described.items():
        others = {name: described[name] for name in described if name != subject}
        found = compare_head(fit_domain(others), head)
        assert found["outside"] is False and found["reasons"] == [], subject
        assert all(entry["ratio"] < 1 for entry in found["statistics"].values())


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corrupted_heads_lie_outside_by_the_statistic_that_sees_it(described, name):
    corrupt, reason = CORRUPTIONS[name]
    domain = fit_domain({name: described[name] for name in list(described)[:5]})
    found = compare_head(domain, image_statistics(*corrupt(*ball(7)), VOXEL))
    assert found["outside"] is True and reason in found["reasons"]
    entry = found["statistics"][reason]
    assert entry["ratio"] == pytest.approx(entry["distance"] / entry["limit"])


def test_two_training_heads_judge_nobody(described):
    domain = fit_domain({name: described[name] for name in list(described)[:2]})
    found = compare_head(domain, described["sub-05"])
    assert found["outside"] is None and not domain["limits"]
    assert set(found["statistics"]["intensity"]) == {"distance"}


def test_unusable_input_is_refused(described):
    head = described["sub-00"]
    with pytest.raises(InputError, match="at least one training head"):
        fit_domain({})
    with pytest.raises(InputError, match="level must be between"):
        fit_domain(described, level=1.0)
    with pytest.raises(InputError, match="all the same"):
        fit_domain(dict.fromkeys(("sub-01", "sub-02", "sub-03"), head))
    with pytest.raises(InputError, match="fitted with 7 bins"):
        compare_head(fit_domain(described) | {"bins": 7}, head)
    t1, t2 = ball(0)
    with pytest.raises(InputError, match="constant"):
        image_statistics(np.ones_like(t1), np.ones_like(t2), VOXEL)


PREPARED = {"method": "percentile", "bias_shrink": 3, "images": ["T1w", "T2w"]}


@pytest.fixture
def scripts():
    return {"measure_domain": measure_domain.main, "judge_domain": judge_domain.main}


def test_scripts_and_report_carry_the_mark(scripts, tmp_path):
    affine = np.diag([VOXEL, VOXEL, VOXEL, 1.0])
    heads = {f"sub-{seed:02d}": ball(seed) for seed in range(5)}
    heads["sub-77"] = thick_slices(*ball(6))
    paths = {}
    for subject, images in heads.items():
        paths[subject] = [str(tmp_path / f"{subject}_{c}.nii") for c in ("T1w", "T2w")]
        for path, image in zip(paths[subject], images, strict=True):
            results.write_volume(path, image, affine)
    spread = str(tmp_path / "spread.nii")
    results.write_volume(spread, np.full((*heads["sub-77"][0].shape, 2), 0.03, np.float32), affine)
    trained = [f"sub-{seed:02d}" for seed in range(4)]
    domain = str(tmp_path / "domain.json")
    scripts["measure_domain"](
        *zip(*[paths[name] for name in trained], strict=True), domain, trained, PREPARED, {}
    )
    for subject in ("sub-04", "sub-77"):
        out = str(tmp_path / f"{subject}_domain.json")
        scripts["judge_domain"](domain, *paths[subject], spread, out, PREPARED, {})
    other = PREPARED | {"method": "minmax"}
    with pytest.raises(InputError, match="method is 'minmax', in training it"):
        scripts["judge_domain"](domain, *paths["sub-04"], spread, "no.json", other, {})
    found = {s: results.read_json(tmp_path / f"{s}_domain.json") for s in ("sub-04", "sub-77")}
    assert [found[s]["outside"] for s in found] == [False, True]
    assert found["sub-77"]["axis_spread"] == pytest.approx(0.03)
    section = domain_section(found, 0.99)
    table = section.parts[0].table.set_index("subject")
    assert table["training domain"].to_dict() == {"sub-04": "inside", "sub-77": "OUTSIDE"}
    assert section.parts[0].texts[0] == "WARNING: outside the training domain: sub-77."
    found["sub-04"] |= {"outside": None}
    assert "fewer than 3 training heads" in domain_section(found, 0.99).parts[0].texts[-1]


@pytest.mark.slow
def test_generated_heads_lie_inside_and_corrupted_ones_outside():
    """Heads of the generator itself, on their own grid; each statistic with room to spare."""
    described = {}
    for subject in ("sub-01", "sub-02", "sub-03", "sub-04", "sub-05"):
        head = generate_head(2024, subject, 2.5)
        # T2w is simulated on a moved grid: its plain copy of T1w's contrast serves as well here
        t1 = normalise(head.t1)[0]
        described[subject] = image_statistics(t1, t1, 2.5), t1
    train = {name: described[name][0] for name in ("sub-01", "sub-02", "sub-03", "sub-04")}
    domain, (last, t1) = fit_domain(train), described["sub-05"]
    found = compare_head(domain, last)
    assert found["outside"] is False
    assert max(found["statistics"][name]["ratio"] for name in STATISTICS) < 0.8
    blurred = ndimage.uniform_filter1d(t1, 3, axis=2)
    assert compare_head(domain, image_statistics(blurred, blurred, 2.5))["outside"] is True
