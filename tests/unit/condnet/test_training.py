"""Training and prediction of one axis: loss, repeatability, resuming, checkpoints, refusals."""

from __future__ import annotations

import dataclasses
import logging
import signal
import time

import numpy as np
import pytest
import torch
from scipy import ndimage

from headcond.checks import InputError
from headcond.condnet import fusion, lightning
from headcond.condnet.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from headcond.condnet.prediction import predict_axis
from headcond.condnet.slices import SliceDataset, describe_grid
from headcond.condnet.training import STATE_FILE, TrainingSettings, entropy_floor, train_axis
from tests.helpers.damages import DAMAGES

TABLES = {"A": {"skin": 0.1, "csf": 2.0, "wm": 0.07}, "B": {"skin": 0.456, "csf": 1.654}}
TAU = 0.1
SHAPE = (8, 16, 24)
FACTS = {
    "grid": describe_grid(SHAPE, np.diag([4.0, 4.0, 4.0, 1.0])),
    "normalisation": {"method": "percentile", "range": (0.5, 99.5), "images": ["t1", "t2"]},
}
SETTINGS = TrainingSettings(epochs=4, depth=2, seed=11)


def heads(subjects=("1", "2", "3")):
    """Smooth blobs, no two axes alike, each with two images and two maps."""
    images, targets = {}, {}
    for number, subject in enumerate(subjects):
        rng = np.random.default_rng(number)
        field = ndimage.gaussian_filter(rng.standard_normal(SHAPE), (1, 2, 3))
        field /= field.std()
        sigma = np.stack([2.0 / (1 + np.exp(-2 * field)), 1.654 / (1 + np.exp(2 * field))])
        sigma[:, :2] = 0  # sagittal slices without a head
        images[subject] = np.stack([field, -field]) + rng.normal(0, 0.05, (2, *SHAPE))
        images[subject] = np.clip(images[subject] / 8 + 0.5, 0, 1).astype(np.float32)
        targets[subject] = fusion.targets(sigma, [2.0, 1.654], TAU)
    return images, targets


def train(folder, settings=SETTINGS, axis="sagittal", data=None, name="network.pt", **changes):
    images, targets = heads() if data is None else data
    arguments = {"tables": TABLES, "tau": TAU, **FACTS} | changes
    history = train_axis(images, targets, axis, settings, checkpoint=folder / name,
                         folder=folder / "state", **arguments)  # fmt: skip
    return history, load_checkpoint(folder / name)


def assert_same_weights(one: Checkpoint, other: Checkpoint):
    for (name, a), b in zip(one.network.state_dict().items(), other.network.state_dict().values(),
                            strict=True):  # fmt: skip
        assert torch.equal(a, b), name


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return folder, *train(folder)


def test_history_has_both_losses_and_their_floors(trained):
    _, history, checkpoint = trained
    assert list(history["epoch"]) == [1, 2, 3, 4]
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    assert (history["train_loss"] > history["train_floor"]).all()
    assert (history["validation_loss"] > history["validation_floor"]).all()
    assert checkpoint.training["history"] == history.to_dict("records")
    assert checkpoint.training["training_slices"] == 2 * 6
    assert checkpoint.training["validation_slices"] == 6
    assert len(checkpoint.training["validation_subjects"]) == 1


def test_validation_loss_is_the_cross_entropy_of_the_prediction(trained):
    """The reported number, once more by hand: prediction, volume order and held-out subject."""
    _, history, checkpoint = trained
    images, targets = heads()
    (subject,) = checkpoint.training["validation_subjects"]
    predicted = predict_axis(checkpoint, images[subject], **FACTS)[:, 2:].astype(float)
    target = targets[subject][:, 2:].astype(float)
    loss = -(target * np.log(predicted) + (1 - target) * np.log(1 - predicted)).mean()
    assert history["validation_loss"].iloc[-1] == pytest.approx(loss, rel=1e-5)
    floor = -(target * np.log(target) + (1 - target) * np.log(1 - target)).mean()
    assert history["validation_floor"].iloc[-1] == pytest.approx(floor, rel=1e-6)


def test_unseen_heads_are_judged_after_every_epoch_and_change_nothing(trained, tmp_path):
    images, targets = heads(subjects=("7", "9"))
    history, checkpoint = train(tmp_path, unseen=(images, targets))
    assert_same_weights(trained[2], checkpoint)
    assert checkpoint.training["unseen_subjects"] == ["7", "9"]
    losses, floors = [], []
    for subject in ("7", "9"):
        predicted = predict_axis(checkpoint, images[subject], **FACTS)[:, 2:].astype(float)
        target = targets[subject][:, 2:].astype(float)
        for found, values in ((predicted, losses), (target, floors)):
            values.append(-(target * np.log(found) + (1 - target) * np.log(1 - found)).mean())
    assert history["unseen_loss"].iloc[-1] == pytest.approx(np.mean(losses), rel=1e-5)
    assert history["unseen_floor"].iloc[-1] == pytest.approx(np.mean(floors), rel=1e-6)
    assert history["train_loss"].equals(trained[1]["train_loss"])
    with pytest.raises(InputError, match="unseen head 2 is one of the training heads"):
        train(tmp_path / "other", unseen=heads(subjects=("2",)))


def test_half_precision_learns_about_the_same(trained, tmp_path):
    _, history, checkpoint = trained
    settings = dataclasses.replace(SETTINGS, precision="bfloat16")
    short, half = train(tmp_path, settings)
    weight = next(iter(half.network.parameters()))
    assert weight.dtype == torch.float32
    assert not torch.equal(weight, next(iter(checkpoint.network.parameters())))
    loss, other = history["train_loss"].iloc[-1], short["train_loss"].iloc[-1]
    assert other == pytest.approx(loss, rel=0.02)
    _, again = train(tmp_path / "again", settings)
    assert_same_weights(half, again)


def test_time_between_steps_is_part_of_the_epochs(trained, tmp_path, monkeypatch):
    _, history, _ = trained
    assert (history["loading_seconds"] > 0).all()
    assert (history["loading_seconds"] < history["seconds"]).all()
    cut = SliceDataset.__getitem__

    def slowly(self, item):
        time.sleep(0.01)
        return cut(self, item)

    monkeypatch.setattr(SliceDataset, "__getitem__", slowly)
    history, _ = train(tmp_path, dataclasses.replace(SETTINGS, epochs=1))
    # twelve training slices; the six of validation are not counted
    assert 0.12 <= history["loading_seconds"].iloc[0] < history["seconds"].iloc[0] - 0.06


def test_the_entropy_floor_is_the_least_loss():
    images, targets = heads()
    dataset = SliceDataset(images, targets, "axial", empty="keep")
    floor = entropy_floor(dataset, np.arange(len(dataset)))
    stack = torch.from_numpy(np.stack([targets[s] for s in sorted(targets)]).astype(float))
    least = torch.nn.functional.binary_cross_entropy(stack, stack).item()
    assert floor == pytest.approx(least, rel=1e-6)
    binary = {s: (t > 0.4).astype(np.float32) for s, t in targets.items()}
    dataset = SliceDataset(images, binary, "axial")
    assert entropy_floor(dataset, np.arange(len(dataset))) == 0


def test_overfits_a_few_slices_close_to_the_entropy_floor(tmp_path):
    images, targets = heads(subjects=("1",))
    few = np.zeros_like(targets["1"])
    few[:, 3:8] = targets["1"][:, 3:8]
    settings = TrainingSettings(epochs=60, depth=3, learning_rate=1e-2, validation="slice")
    history, _ = train(tmp_path, settings, data=(images, {"1": few}))
    above = history["train_loss"] - history["train_floor"]
    assert above.iloc[-1] < 0.005 < 0.1 < above.iloc[0]
    assert (above > 0).all()


def test_same_seed_same_network_another_seed_another(trained, tmp_path):
    _, history, checkpoint = trained
    again, repeated = train(tmp_path / "again")
    assert_same_weights(checkpoint, repeated)
    columns = ["train_loss", "validation_loss"]
    assert again[columns].equals(history[columns])
    _, other = train(tmp_path / "other", dataclasses.replace(SETTINGS, seed=12, epochs=1))
    first = next(iter(other.network.parameters()))
    assert not torch.equal(first, next(iter(checkpoint.network.parameters())))


def test_the_callers_random_state_and_threads_are_left_alone(tmp_path):
    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        train(tmp_path, dataclasses.replace(SETTINGS, epochs=1), threads=1)
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_slurm_variables_and_leftovers_do_not_matter(trained, tmp_path, monkeypatch):
    """Four tasks announced by Slurm: still one process, and the same weights."""
    for name, value in (("NTASKS", "4"), ("JOB_ID", "7"), ("PROCID", "1"), ("LOCALID", "1"),
                        ("NODEID", "0"), ("JOB_NAME", "train"), ("NODELIST", "n1")):  # fmt: skip
        monkeypatch.setenv(f"SLURM_{name}", value)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    _, checkpoint = train(tmp_path)
    assert_same_weights(trained[2], checkpoint)
    assert not list((tmp_path / "elsewhere").iterdir())
    assert [path.name for path in (tmp_path / "state").iterdir()] == [STATE_FILE]


def record_batches(monkeypatch, fail_in_step=None):
    """Note the first voxels of every training batch; break down in step `fail_in_step`."""
    seen = []
    step = lightning.AxisTraining.training_step

    def recorded(self, batch, number):
        if len(seen) == fail_in_step:
            raise ConnectionError("the power went")
        seen.append(batch[0][:, 0].mean(dim=(1, 2)).tolist())
        return step(self, batch, number)

    monkeypatch.setattr(lightning.AxisTraining, "training_step", recorded)
    return seen


def test_an_interrupted_run_ends_with_the_same_weights(trained, tmp_path, monkeypatch):
    _, history, uninterrupted = trained
    with monkeypatch.context() as patch:
        record_batches(patch, fail_in_step=2 * 3 + 1)  # three steps an epoch: in epoch 3
        with pytest.raises(ConnectionError):
            train(tmp_path)
    assert not (tmp_path / "network.pt").exists()
    with monkeypatch.context() as patch:
        seen = record_batches(patch)
        resumed, checkpoint = train(tmp_path)
    assert len(seen) == 2 * 3  # epochs 3 and 4 alone
    assert_same_weights(uninterrupted, checkpoint)
    columns = ["epoch", "train_loss", "validation_loss", "train_floor", "validation_floor"]
    assert resumed[columns].equals(history[columns])


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_state_is_moved_aside_and_the_training_begins_again(
    trained, tmp_path, caplog, monkeypatch, damage
):
    train(tmp_path, dataclasses.replace(SETTINGS, epochs=2))
    state = tmp_path / "state" / STATE_FILE
    damaged = damage(state.read_bytes())
    state.write_bytes(damaged)
    seen = record_batches(monkeypatch)
    _, checkpoint = train(tmp_path)
    assert len(seen) == 4 * 3
    assert_same_weights(trained[2], checkpoint)
    assert f"{state} is damaged (" in caplog.text and "the training begins again" in caplog.text
    assert state.with_suffix(".damaged").read_bytes() == damaged


def test_a_terminated_run_is_an_error_and_goes_on_later(trained, tmp_path, monkeypatch):
    """Lightning's own way ends the program with status 0, as if all were done."""
    step = lightning.AxisTraining.training_step
    with monkeypatch.context() as patch:

        def terminated(self, batch, number):
            if self.current_epoch == 2:
                signal.raise_signal(signal.SIGTERM)
            return step(self, batch, number)

        patch.setattr(lightning.AxisTraining, "training_step", terminated)
        with pytest.raises(InterruptedError, match="was stopped"):
            train(tmp_path)
    assert not (tmp_path / "network.pt").exists()
    _, checkpoint = train(tmp_path)
    assert_same_weights(trained[2], checkpoint)


def test_a_finished_run_trains_no_more_and_can_be_prolonged(trained, tmp_path, monkeypatch):
    _, history, four = trained
    short = dataclasses.replace(SETTINGS, epochs=2)
    train(tmp_path, short)
    seen = record_batches(monkeypatch)
    again, _ = train(tmp_path, short, name="again.pt")
    assert len(again) == 2 and not seen
    prolonged, checkpoint = train(tmp_path)
    assert len(seen) == 2 * 3
    assert_same_weights(four, checkpoint)
    assert prolonged["train_loss"].equals(history["train_loss"])
    with pytest.raises(InputError, match="finished 4 epochs already, but epochs is 2"):
        train(tmp_path, short)


def test_every_epoch_sees_every_training_slice_once_in_a_new_order(tmp_path, monkeypatch):
    seen = record_batches(monkeypatch)
    train(tmp_path, dataclasses.replace(SETTINGS, epochs=3))
    epochs = [[*seen[i], *seen[i + 1], *seen[i + 2]] for i in (0, 3, 6)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(epochs[2])
    assert len(set(epochs[0])) == 12
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_the_state_of_another_training_is_refused(trained):
    folder, _, _ = trained
    images, targets = heads()
    with pytest.raises(InputError, match=r"learning_rate is 0\.5, in training it was 0\.001"):
        train(folder, dataclasses.replace(SETTINGS, learning_rate=0.5))
    with pytest.raises(InputError, match=r"axis is 'coronal'.* use another folder"):
        train(folder, axis="coronal")
    images["2"][0, 4, 4, 4] += 0.01
    with pytest.raises(InputError, match="data is"):
        train(folder, data=(images, targets))


def test_progress_is_logged_with_the_time_left(tmp_path, caplog, capfd):
    with caplog.at_level(logging.INFO, logger="headcond"):
        train(tmp_path, dataclasses.replace(SETTINGS, epochs=2))
    lines = [r.getMessage() for r in caplog.records if r.name.startswith("headcond")]
    assert len(lines) == 2
    assert lines[0].startswith("sagittal network: epoch 1 of 2, loss ") and "left" in lines[0]
    assert capfd.readouterr().out == ""


def test_a_diverging_loss_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(
        lightning, "binary_cross_entropy_with_logits", lambda logits, targets: logits.sum() / 0
    )
    with pytest.raises(RuntimeError, match=r"sagittal network's train loss is .* in epoch 1"):
        train(tmp_path)


@pytest.mark.parametrize("axis", ["coronal", "axial"])
def test_checkpoint_round_trip_on_the_other_axes(tmp_path, axis):
    """What is read back predicts as what was trained, and plain values survive."""
    _, checkpoint = train(tmp_path, dataclasses.replace(SETTINGS, epochs=1), axis=axis)
    content = torch.load(tmp_path / "network.pt", weights_only=True)
    assert content["format"] == "headcond CondNet 1"
    save_checkpoint(tmp_path / "copy.pt", checkpoint)
    copy = load_checkpoint(tmp_path / "copy.pt")
    images, _ = heads()
    predicted = predict_axis(checkpoint, images["1"], **FACTS)
    assert predicted.shape == (2, *SHAPE) and predicted.dtype == np.float32
    np.testing.assert_array_equal(predict_axis(copy, images["1"], **FACTS), predicted)
    np.testing.assert_array_equal(
        predict_axis(tmp_path / "network.pt", images["1"], **FACTS), predicted
    )
    small = predict_axis(copy, images["1"], **FACTS, batch_size=3)
    np.testing.assert_allclose(small, predicted, atol=1e-6)
    assert (copy.axis, copy.tables, copy.tau) == (axis, TABLES, TAU)
    assert copy.maxima.tolist() == [2.0, 1.654] and copy.minima.tolist() == [0.07, 0.456]
    assert copy.versions["torch"] and copy.training["settings"]["epochs"] == 1
    # slices stand where they were cut: by hand, one slice alone
    k = 5
    plane = (slice(None), slice(None), k) if axis == "coronal" else (..., k)
    with torch.inference_mode():
        alone = copy.network(torch.from_numpy(images["1"][plane])[None])[0].numpy()
    np.testing.assert_allclose(predicted[plane], alone, atol=1e-6)


def test_prediction_refuses_images_prepared_otherwise(trained):
    _, _, checkpoint = trained
    images = heads()[0]["1"]
    with pytest.raises(InputError, match=r"grid does not match: voxel_size is \[1.0, 1.0, 1.0\]"):
        predict_axis(checkpoint, images, grid=describe_grid(SHAPE, np.eye(4)),
                     normalisation=FACTS["normalisation"])  # fmt: skip
    with pytest.raises(InputError, match="method is 'minmax', in training it was 'percentile'"):
        predict_axis(checkpoint, images, grid=FACTS["grid"],
                     normalisation=FACTS["normalisation"] | {"method": "minmax"})  # fmt: skip
    with pytest.raises(InputError, match="images is 'absent'"):
        predict_axis(checkpoint, images, grid=FACTS["grid"],
                     normalisation={"method": "percentile", "range": [0.5, 99.5]})  # fmt: skip
    with pytest.raises(InputError, match=r"must have shape \(2, 8, 16, 24\)"):
        predict_axis(checkpoint, images[:1], **FACTS)
    with pytest.raises(InputError, match=r"images must be in \[0, 1\]"):
        predict_axis(checkpoint, images + 1, **FACTS)


def test_files_that_are_no_checkpoints_are_refused(tmp_path, trained):
    with pytest.raises(InputError, match=r"absent\.pt: cannot be read"):
        load_checkpoint(tmp_path / "absent.pt")
    (tmp_path / "text.pt").write_text("no network")
    with pytest.raises(InputError, match=r"text\.pt: cannot be read"):
        load_checkpoint(tmp_path / "text.pt")
    whole = (trained[0] / "network.pt").read_bytes()
    (tmp_path / "half.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"half\.pt: cannot be read"):
        load_checkpoint(tmp_path / "half.pt")
    with pytest.raises(InputError, match="expected a checkpoint of format"):
        load_checkpoint(trained[0] / "state" / STATE_FILE)
    with pytest.raises(InputError, match="normalisation: method holds a type"):
        save_checkpoint(tmp_path / "x.pt",
                        dataclasses.replace(trained[2], normalisation={"method": int}))  # fmt: skip


def test_training_refuses_what_does_not_fit(tmp_path):
    images, targets = heads()
    with pytest.raises(InputError, match=r"the grid has \(8, 16, 32\)"):
        train(tmp_path, grid=FACTS["grid"] | {"shape": [8, 16, 32]})
    with pytest.raises(InputError, match="hold 2 maps, but there are 1 conductivity tables"):
        train(tmp_path, tables={"A": TABLES["A"]})
    with pytest.raises(InputError, match=r"above 1 - tau = 0\.5"):
        train(tmp_path, tau=0.5)
    with pytest.raises(InputError, match="multiples of 32"):
        train(tmp_path, dataclasses.replace(SETTINGS, depth=5))
    with pytest.raises(InputError, match="use validation: slice"):
        train(tmp_path, data=({"1": images["1"]}, {"1": targets["1"]}))
    for wrong in ({"epochs": 0}, {"batch_size": 0}, {"learning_rate": -1.0}, {"empty": "no"},
                  {"validation": "slices"}, {"accelerator": "tpu"},
                  {"precision": "half"}):  # fmt: skip
        with pytest.raises(InputError, match=next(iter(wrong))):
            TrainingSettings(**wrong)
