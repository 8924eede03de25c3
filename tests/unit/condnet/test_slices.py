"""Slices: spatial order, empty slices, splits and shuffles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headcond.checks import InputError
from headcond.condnet.slices import (
    AXES,
    EpochShuffle,
    SliceDataset,
    describe_grid,
    slices_to_volume,
    volume_to_slices,
)


@given(st.sampled_from(AXES), st.tuples(*[st.integers(1, 5)] * 4))
def test_volume_to_slices_and_back_is_the_identity(axis, shape):
    volume = np.arange(np.prod(shape)).reshape(shape)
    slices = volume_to_slices(volume, axis)
    assert slices.shape[0] == shape[1 + AXES.index(axis)]
    np.testing.assert_array_equal(slices_to_volume(slices, axis), volume)


def test_slices_are_planes_of_the_named_axis():
    volume = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(volume_to_slices(volume, "sagittal")[1], volume[:, 1, :, :])
    np.testing.assert_array_equal(volume_to_slices(volume, "coronal")[2], volume[:, :, 2, :])
    np.testing.assert_array_equal(volume_to_slices(volume, "axial")[4], volume[:, :, :, 4])


def test_an_unknown_axis_is_refused():
    with pytest.raises(InputError, match="Did you mean 'axial'"):
        volume_to_slices(np.zeros((1, 2, 2, 2)), "axal")


def heads(subjects=("b", "a", "c"), shape=(8, 10, 12)):
    rng = np.random.default_rng(1)
    images = {s: rng.random((2, *shape), dtype=np.float32) for s in subjects}
    targets = {s: np.zeros((1, *shape), np.float32) for s in subjects}
    for target in targets.values():
        target[:, 2:6, 1:8, 3:11] = 0.5
    return images, targets


@pytest.mark.parametrize("axis", AXES)
def test_dataset_holds_every_slice_of_the_head(axis):
    images, targets = heads()
    kept = SliceDataset(images, targets, axis, empty="keep")
    dropped = SliceDataset(images, targets, axis, empty="drop")
    length, used = {"sagittal": (8, 4), "coronal": (10, 7), "axial": (12, 8)}[axis]
    assert (len(kept), len(dropped)) == (3 * length, 3 * used)
    assert kept.subjects == ["a", "b", "c"]
    for dataset in (kept, dropped):
        for item in range(len(dataset)):
            subject, k = dataset.index[item]
            name = dataset.subjects[subject]
            image, target = dataset[item]
            assert image.dtype == target.dtype == torch.float32
            np.testing.assert_array_equal(image, volume_to_slices(images[name], axis)[k])
            np.testing.assert_array_equal(target, volume_to_slices(targets[name], axis)[k])


def test_split_by_subject_holds_out_one_subject_on_every_axis():
    images, targets = heads()
    held = set()
    for axis in AXES:
        dataset = SliceDataset(images, targets, axis)
        training, validation = dataset.split("subject", 7, axis)
        assert sorted([*training, *validation]) == list(range(len(dataset)))
        out = set(dataset.index[validation, 0])
        assert len(out) == 1 and not out & set(dataset.index[training, 0])
        held |= out
    assert len(held) == 1


def test_split_by_subject_depends_on_the_seed_alone():
    images, targets = heads()
    again = {name: images[name] for name in reversed(images)}
    drawn = set()
    for seed in range(20):
        split = SliceDataset(images, targets, "axial").split("subject", seed, "axial")
        other = SliceDataset(again, targets, "axial").split("subject", seed, "axial")
        np.testing.assert_array_equal(split[1], other[1])
        drawn.add(split[1][0])
    assert len(drawn) == 3


def test_split_by_slice_is_nine_to_one_and_mixes_subjects():
    images, targets = heads(shape=(64, 8, 12))
    dataset = SliceDataset(images, targets, "sagittal", empty="keep")
    training, validation = dataset.split("slice", 7, "sagittal")
    assert len(validation) == round(len(dataset) / 10)
    assert sorted([*training, *validation]) == list(range(len(dataset)))
    assert len(set(dataset.index[validation, 0])) == 3


def test_one_subject_cannot_be_held_out():
    images, targets = heads(subjects=("only",))
    dataset = SliceDataset(images, targets, "axial")
    with pytest.raises(InputError, match="use validation: slice"):
        dataset.split("subject", 0, "axial")
    assert len(dataset.split("slice", 0, "axial")[1]) == 1


def test_each_epoch_has_its_own_order_whatever_came_before():
    items = np.arange(5, 45)
    shuffle = EpochShuffle(items, seed=3, axis="coronal")
    orders = []
    for epoch in range(3):
        shuffle.set_epoch(epoch)
        orders.append(list(shuffle))
        assert sorted(orders[-1]) == list(items)
    assert orders[0] != orders[1] != orders[2] != orders[0]
    fresh = EpochShuffle(items, seed=3, axis="coronal")
    fresh.set_epoch(2)
    assert list(fresh) == orders[2]
    assert list(EpochShuffle(items, seed=3, axis="axial")) != orders[0]


def test_grid_facts_state_the_grid_and_want_ras():
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -128
    assert describe_grid((128, 64, 128), affine) == {
        "shape": [128, 64, 128], "voxel_size": [2.0, 2.0, 2.0], "orientation": "RAS",
    }  # fmt: skip
    with pytest.raises(InputError, match="run LAS, not RAS"):
        describe_grid((128, 64, 128), np.diag([-2.0, 2.0, 2.0, 1.0]))


def test_data_that_does_not_fit_is_named():
    images, targets = heads()
    with pytest.raises(InputError, match="same subjects"):
        SliceDataset(images, {"a": targets["a"]}, "axial")
    with pytest.raises(InputError, match=r"images of subject a must be in \[0, 1\]"):
        SliceDataset(images | {"a": images["a"] * 3}, targets, "axial")
    with pytest.raises(InputError, match="subject b must be"):
        SliceDataset(images | {"b": images["b"] * np.float32(np.nan)}, targets, "axial")
    with pytest.raises(InputError, match=r"Subject b: images .* different grids"):
        SliceDataset(images | {"b": images["b"][:, :, :4]}, targets, "axial")
    with pytest.raises(InputError, match="Subject c: its volumes' shapes differ"):
        SliceDataset(images | {"c": images["c"][:1]}, targets, "axial")
    with pytest.raises(InputError, match="Subject c: every target slice is empty"):
        SliceDataset(images, targets | {"c": targets["c"] * 0}, "axial")
    with pytest.raises(InputError, match="4 axes"):
        SliceDataset(images | {"a": images["a"][0]}, targets, "axial")
