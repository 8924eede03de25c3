from __future__ import annotations

import numpy as np
import pytest

from headcond import metrics
from headcond.checks import InputError

NAMES = {1: "skin", 2: "fat", 3: "muscle"}


@pytest.fixture
def fields():
    rng = np.random.default_rng(0)
    shape = (5, 6, 4, 3)
    head = np.ones(shape[:3], bool)
    head[0] = False
    region = np.zeros(shape[:3], bool)
    region[2:4, 1:3] = True
    first = np.where(head[..., None], rng.standard_normal(shape), 0)
    second = np.where(head[..., None], first + 0.1 * rng.standard_normal(shape), 0)
    return first, second, region, head


@pytest.mark.parametrize("kind", ["magnitude", "vector"])
@pytest.mark.parametrize("denominator", ["region", "head"])
def test_global_error_against_a_loop(fields, kind, denominator):
    first, second, region, head = fields
    where = region if denominator == "region" else head
    largest, errors = 0.0, []
    for i in np.ndindex(region.shape):
        e, f = np.linalg.norm(first[i]), np.linalg.norm(second[i])
        if where[i]:
            largest = max(largest, e, f)
        if region[i]:
            errors.append(
                abs(e - f) if kind == "magnitude" else np.linalg.norm(first[i] - second[i])
            )
    expected = 100 * np.array(errors) / largest
    found = metrics.global_error(first, second, region, kind=kind, denominator=denominator,
                                 head=head)  # fmt: skip
    assert found.mean == pytest.approx(expected.mean(), rel=1e-12)
    assert found.std == pytest.approx(expected.std(), rel=1e-12)


def test_global_error_of_magnitudes_equals_that_of_vectors_of_one_component(fields):
    first, second, region, _ = fields
    scalar = metrics.global_error(first[..., 0], second[..., 0], region)
    zero = np.zeros_like(first[..., 0])
    vector = [np.stack([f[..., 0], zero, zero], axis=-1) for f in (first, second)]
    assert metrics.global_error(*vector, region) == pytest.approx(scalar)


def test_global_error_table_holds_every_variant(fields):
    first, second, region, head = fields
    table = metrics.global_error_table(
        {"uniform": first, "condnet": second}, {"brain": region}, head,
        subject="01", coil="fig8", comparisons=[("uniform", "condnet")],
    )  # fmt: skip
    assert tuple(table.columns) == metrics.GLOBAL_ERROR_COLUMNS
    assert len(table) == 2 * 2 * 2 * 2
    assert len(table.drop_duplicates(["region", "kind", "denominator", "head_mask"])) == len(table)
    chosen = table.query("region == 'head' and kind == 'magnitude' and denominator == 'head'")
    mean = chosen.set_index("head_mask")["mean_percent"]
    # Air holds no field, so it dilutes the mean by the share of voxels.
    assert mean["grid"] == pytest.approx(mean["conductive"] * head.mean(), rel=1e-12)
    row = table.query("region == 'brain' and kind == 'vector' and denominator == 'region'").iloc[0]
    assert row["mean_percent"] == pytest.approx(
        metrics.global_error(first, second, region, kind="vector").mean
    )
    assert row["voxels"] == region.sum()


def test_global_error_refusals(fields):
    first, second, region, head = fields
    with pytest.raises(InputError, match="Did you mean 'vector'"):
        metrics.global_error(first, second, region, kind="vectors")
    with pytest.raises(InputError, match="mask `head`"):
        metrics.global_error(first, second, region, denominator="head")
    with pytest.raises(InputError, match="empty"):
        metrics.global_error(first, second, np.zeros_like(region))
    with pytest.raises(InputError, match="must both be"):
        metrics.global_error(first, second[..., 0], region)
    with pytest.raises(InputError, match="'vector' needs"):
        metrics.global_error(first[..., 0], second[..., 0], region, kind="vector")
    with pytest.raises(InputError, match="maximum over"):
        metrics.global_error(0 * first, 0 * second, region)
    broken = first.copy()
    broken[2, 1, 0] = np.nan
    with pytest.raises(InputError):
        metrics.global_error(broken, second, region)
    with pytest.raises(InputError, match="leave it out"):
        metrics.global_error_table({}, {"head": head}, head, subject="1", coil="c", comparisons=[])


def test_peaks_are_percentiles_of_the_magnitude(fields):
    first, _, _, head = fields
    expected = np.percentile(np.linalg.norm(first, axis=-1)[head], [99, 99.9])
    np.testing.assert_allclose(metrics.peak_percentiles(first, head), expected)
    np.testing.assert_allclose(
        metrics.peak_percentiles(np.linalg.norm(first, axis=-1), head), expected
    )


def test_relative_error_is_in_percent():
    np.testing.assert_allclose(metrics.relative_error([0.3, 0.011], [0.2, 0.01]), [50, 10])
    with pytest.raises(InputError, match="above 0"):
        metrics.relative_error([1.0], [0.0])


def test_nearest_tissue_dice():
    table = {"skin": 0.1, "fat": 0.1, "muscle": 0.4}
    labels = np.zeros((6, 1, 1), np.uint8)
    labels[:, 0, 0] = [0, 1, 2, 3, 3, 3]
    estimate = np.array([9.0, 0.09, 0.199, 0.21, 0.5, 0.11]).reshape(6, 1, 1)  # threshold 0.2
    found = metrics.nearest_tissue_dice(estimate, labels, table, NAMES)
    assert found == pytest.approx({"skin+fat": 2 * 2 / (3 + 2), "muscle": 2 * 2 / (2 + 3)})
    with pytest.raises(InputError, match="id 7"):
        metrics.nearest_tissue_dice(estimate, np.full_like(labels, 7), table, NAMES)
    with pytest.raises(InputError, match="lacks a tissue"):
        metrics.nearest_tissue_dice(estimate, labels, {"skin": 0.1, "fat": 0.2}, NAMES)


def test_nearest_tissue_dice_is_one_for_the_uniform_map_of_the_shipped_table():
    from headcond.tissues import conductivity_table, label_scheme

    names = {number: name for number, name in label_scheme("headcond13").items() if number}
    table = conductivity_table("A")
    labels = np.arange(14).reshape(14, 1, 1).astype(np.uint8)
    lookup = np.array([0.0] + [table[names[number]] for number in range(1, 14)])
    found = metrics.nearest_tissue_dice(lookup[labels], labels, table, names)
    assert set(found.values()) == {1.0}
    assert sorted("+".join(found).split("+")) == sorted(names.values())


def test_blur_against_a_direct_sum_and_without_air_bleeding_in():
    rng = np.random.default_rng(1)
    mask = rng.random((7, 6, 5)) < 0.7
    uniform = np.where(mask, rng.uniform(0.1, 2, mask.shape), 7.0)
    width = 0.9
    reach = int(4 * width + 0.5)  # where a sampled Gaussian is cut off
    points = np.argwhere(mask)
    expected = np.zeros(mask.shape)
    for p in points:
        apart = np.abs(points - p)
        near = np.all(apart <= reach, axis=1)
        weight = np.exp(-0.5 * np.sum(apart[near] ** 2, axis=1) / width**2)
        expected[tuple(p)] = np.average(uniform[mask][near], weights=weight)
    np.testing.assert_allclose(metrics.blur_inside(uniform, width, mask), expected, rtol=1e-9)
    constant = metrics.blur_inside(np.full(mask.shape, 0.3), 2.0, mask)
    np.testing.assert_allclose(constant[mask], 0.3)
    assert np.all(constant[~mask] == 0)


@pytest.mark.parametrize("width", [0.8, 1.7])
def test_fit_blur_finds_the_width(width):
    rng = np.random.default_rng(2)
    mask = np.zeros((16, 15, 14), bool)
    mask[2:14, 2:13, 2:12] = True
    uniform = np.where(mask, rng.choice([0.02, 0.3, 2.0], mask.shape), 0)
    noisy = metrics.blur_inside(uniform, width, mask) + 0.01 * rng.standard_normal(mask.shape)
    assert metrics.fit_blur(uniform, noisy, mask) == pytest.approx(width, rel=0.02)
    with pytest.raises(InputError, match="No Gaussian"):
        metrics.fit_blur(uniform, np.where(mask, uniform[mask].mean(), 0), mask, largest=2.0)


def test_average_over_heads_is_that_of_their_rows(fields):
    first, second, region, head = fields
    tables = []
    for subject, factor in (("sub-1", 1.0), ("sub-2", 1.5)):
        maps = {"uniform": first, "condnet": first + factor * (second - first)}
        tables.append(
            metrics.global_error_table(
                maps, {"brain": region}, head, subject=subject, coil="C3",
                comparisons=[("uniform", "condnet")],
            )
        )  # fmt: skip
    both = metrics.pd.concat(tables)
    average = metrics.average_errors(both)
    assert len(average) == len(tables[0])
    assert set(average["subject"]) == {"average"} and set(average["subjects"]) == {2}
    for row in average.itertuples():
        mine = both[(both["region"] == row.region) & (both["kind"] == row.kind)
                    & (both["denominator"] == row.denominator)
                    & (both["head_mask"] == row.head_mask)]  # fmt: skip
        assert row.mean_percent == pytest.approx(mine["mean_percent"].mean(), rel=1e-12)
        assert row.std_percent == pytest.approx(mine["std_percent"].mean(), rel=1e-12)
        gap = np.ptp(mine["mean_percent"]) / np.sqrt(2)  # n - 1 of two values
        assert row.between_percent == pytest.approx(gap, rel=1e-12)
