import numpy as np
import pytest

from headcond.checks import InputError
from headcond.mri import bias

AFFINE = np.diag([-2.5, -2.5, 2.5, 1.0])
AFFINE[:3, 3] = [100, 110, -95]


@pytest.fixture(scope="module")
def case():
    """A head of three tissues under a field that varies by a factor of two, with noise."""
    shape = (72, 84, 76)
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    points = (index - (np.array(shape) - 1) / 2) * 2.5
    radius = np.linalg.norm(points / [74, 92, 80], axis=-1)
    wave = np.sin(points[..., 0] / 7) * np.sin(points[..., 1] / 8) * np.sin(points[..., 2] / 9)
    labels = np.select([radius > 1, radius > 0.88, wave > 0.1], [0, 1, 2], 3)
    clean = np.array([0, 300, 500, 800.0])[labels]
    scaled = points / [74, 92, 80]
    log_field = 0.3 * scaled[..., 0] - 0.2 * scaled[..., 1] * scaled[..., 2]
    log_field += 0.25 * np.cos(1.5 * scaled[..., 2]) - 0.15 * scaled[..., 1] ** 2
    rng = np.random.default_rng(11)
    noise = rng.normal(0, 8, (2, *shape))
    data = np.hypot(clean * np.exp(log_field) + noise[0], noise[1])
    return labels, log_field, data


def variation(data, labels):
    return [data[labels == k].std() / data[labels == k].mean() for k in (1, 2, 3)]


@pytest.fixture(scope="module")
def result(case):
    return bias.correct(case[2], AFFINE)


def test_known_field_is_removed(case, result):
    labels, log_field, data = case
    corrected, field = result
    inside = labels > 0
    found = np.log(field[inside])
    assert np.corrcoef(found, log_field[inside])[0, 1] > 0.95
    for before, after in zip(variation(data, labels), variation(corrected, labels), strict=True):
        assert after < before / 2.5
    assert abs(np.std(found) / np.std(log_field[inside]) - 1) < 0.2


def test_field_is_what_was_divided_out(case, result):
    corrected, field = result
    assert corrected.dtype == field.dtype == np.float32
    assert field.min() > 0
    assert np.allclose(corrected * field, case[2], rtol=1e-4, atol=1e-3)


def test_repeats_bit_by_bit_whatever_the_units(case, result):
    again = bias.correct(case[2], AFFINE)
    assert np.array_equal(again[1], result[1])
    scaled = bias.correct(case[2] / 4096, AFFINE)
    assert np.allclose(scaled[1], result[1], rtol=1e-3)


def test_mask_decides_what_is_fitted(case):
    labels, log_field, data = case
    spoilt = data.copy()
    spoilt[labels == 1] *= np.where(np.arange(72) > 36, 3, 1)[np.nonzero(labels == 1)[0]]
    inner = labels > 1
    _, field = bias.correct(spoilt, AFFINE, mask=inner)
    assert np.corrcoef(np.log(field[inner]), log_field[inner])[0, 1] > 0.95
    assert np.log(field[inner]).mean() == pytest.approx(0, abs=1e-4)


def test_a_flat_image_gets_a_flat_field(case):
    labels = case[0]
    clean = np.array([0, 300, 500, 800.0])[labels]
    _, field = bias.correct(clean, AFFINE)
    assert np.log(field[labels > 0]).std() < 0.03


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": np.zeros((9, 9, 9))}, "constant"),
        ({"mask": np.zeros((72, 84, 76), bool)}, "0 voxels"),
        ({"mask": np.ones((2, 2, 2), bool)}, "mask"),
        ({"shrink": 0}, "shrink"),
        ({"iterations": ()}, "iterations"),
    ],
)
def test_refusals(case, arguments, message):
    with pytest.raises(InputError, match=message):
        bias.correct(**({"data": case[2], "affine": AFFINE} | arguments))


def test_negative_values_are_refused(case):
    with pytest.raises(InputError, match="negative"):
        bias.correct(case[2] - 50, AFFINE)
