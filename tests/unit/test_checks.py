import numpy as np
import pytest

from headcond.checks import (
    InputError,
    check_affine,
    check_finite,
    check_option,
    check_positive,
    check_shape,
    voxel_sizes,
)


def test_option_names_key_allowed_values_and_nearest():
    assert check_option("axis", "axial", ("axial", "coronal")) == "axial"
    with pytest.raises(InputError, match=r"axis: 'axail'.*'axial', 'coronal'.*mean 'axial'"):
        check_option("axis", "axail", ("axial", "coronal"))


@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf])
def test_positive_refuses(value):
    with pytest.raises(InputError, match="voxel_size must be a finite number above 0"):
        check_positive("voxel_size", value)


def test_finite_counts_what_is_bad():
    with pytest.raises(InputError, match="image holds 2 values"):
        check_finite("image", [1.0, np.nan, np.inf])


def test_shape_accepts_any_length_where_none():
    assert check_shape("points", np.zeros((5, 3)), (None, 3)).shape == (5, 3)
    with pytest.raises(InputError, match=r"points must have shape \('any', 3\), got \(5, 2\)"):
        check_shape("points", np.zeros((5, 2)), (None, 3))


def test_affine_refuses_singular_and_projective_matrices():
    check_affine("affine", np.eye(4))
    with pytest.raises(InputError, match="singular"):
        check_affine("affine", np.diag([1.0, 0.0, 1.0, 1.0]))
    projective = np.eye(4)
    projective[3, 0] = 0.1
    with pytest.raises(InputError, match="not an affine"):
        check_affine("affine", projective)


def test_voxel_sizes_of_a_rotated_affine():
    angle = 0.3
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([1.0, 2.0, 3.0])
    np.testing.assert_allclose(voxel_sizes(affine), [1, 2, 3])
