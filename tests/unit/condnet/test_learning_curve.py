"""The learning curve's program on tiny heads: nested choices, going on, scores, table, figure."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmarks import learning_curve
from headcond.checks import InputError
from headcond.condnet.checkpoint import load_checkpoint
from headcond.files import results
from headcond.tissues import conductivity_map

ROOT = Path(__file__).resolve().parents[3]
SHAPE, AFFINE = (16, 24, 20), np.diag([8.0, 8.0, 8.0, 1.0])


@pytest.fixture(scope="module")
def program():
    return learning_curve


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A finished study of four tiny heads, balls of two tissues."""
    chosen = yaml.safe_load((ROOT / "config.yaml").read_text())
    chosen["results"] = str(tmp_path_factory.mktemp("results"))
    chosen["condnet"] |= {"depth": 2, "learning_rate": 0.01}
    places = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij")).astype(float)
    for number in range(4):
        subject = f"sub-{number + 1:02d}"
        centre = np.array([7.5, 11.5, 9.5])[:, None, None, None]
        radius = np.sqrt(((places - centre) ** 2).sum(axis=0)) - 0.3 * number
        labels = np.select([radius < 4, radius < 7], [8, 1], 0).astype(np.uint8)
        start = Path(chosen["results"], "default", subject, "anat", f"{subject}_space-grid")
        rng = np.random.default_rng(number)
        for name, values in (("T1w", [0.0, 0.9, 0.5]), ("T2w", [0.0, 0.4, 0.8])):
            image = np.array(values)[np.select([labels == 8, labels == 1], [1, 2], 0)]
            image = (image + rng.uniform(0, 0.05, SHAPE)).clip(0, 1).astype(np.float32)
            results.write_volume(f"{start}_desc-normalised_{name}.nii.gz", image, AFFINE)
        results.write_volume(f"{start}_dseg.nii.gz", labels, AFFINE)
    return chosen


def test_smaller_sets_of_a_seed_lie_in_larger_ones(program):
    train = [f"sub-{number:02d}" for number in range(1, 11)]
    three, five, ten = (program.chosen_heads(train, count, 4) for count in (3, 5, 10))
    assert len(three) == 3 and set(three) < set(five) < set(ten) == set(train)
    assert three != program.chosen_heads(train, 3, 5)


def test_networks_take_the_same_steps_and_are_judged(program, settings, tmp_path):
    heads, condnet = program.Heads(settings), settings["condnet"]
    networks = []
    for axis in condnet["axes"]:
        subjects = ["sub-01", "sub-02"]
        for subject in subjects:
            heads.read(subject)
        networks.append(program.train(heads, subjects, axis, 1, 40, condnet, tmp_path))
    kept = load_checkpoint(networks[2]).training
    steps = -(-kept["training_slices"] // 4) * kept["settings"]["epochs"]
    assert steps == pytest.approx(40, rel=0.2)
    before = networks[0].stat().st_mtime_ns
    again = program.train(heads, ["sub-01", "sub-02"], "sagittal", 1, 40, condnet, tmp_path)
    assert again.stat().st_mtime_ns == before, "a finished network is not trained again"
    with pytest.raises(InputError, match="is another network: give another --state"):
        program.train(heads, ["sub-01", "sub-03"], "sagittal", 1, 40, condnet, tmp_path)
    with pytest.raises(InputError, match="--steps: 2 are less than one epoch of 2 heads"):
        program.train(heads, ["sub-01", "sub-02"], "axial", 2, 2, condnet, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in networks}

    scores = program.judge(heads, networks, ["sub-04"])
    assert scores["tissue"].tolist() == ["skin", "gm"]
    wanted = conductivity_map(heads.read("sub-04")[1], heads.table)
    assert wanted.shape == SHAPE and scores["dice"].between(0.3, 1).all()


def test_table_and_figure_tell_means_and_spreads(program, tmp_path):
    rows = [
        {"heads": count, "seed": seed, "subject": "sub-04", "tissue": tissue, "dice": 0.5,
         "dice_tissues": tissue, "log10_mae": 0.1, "median_percent": 10.0 * seed + extra + count}
        for count in (3, 5) for seed in (1, 2) for tissue, extra in (("gm", 0.0), ("wm", 4.0))
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    summary = program.summarise(table)
    assert summary["median_percent"].tolist() == [15.0, 25.0, 17.0, 27.0]
    text = program.markdown(table, summary, "About.")
    assert "| 3 | 2 | 20 (7.1) | 0.1 (0) | 0.5 (0) |" in text
    assert "| wm | 22 (7.1) | 24 (7.1) |" in text
    figure = program.draw(summary)
    assert [panel.get_xlabel() for panel in figure.axes] == ["training heads"] * 3
    assert all(panel.get_ylim()[0] == 0 for panel in figure.axes), "no difference is magnified"
    program.write(tmp_path / "learning.tsv", table, "About.", "simulated", {"steps": 7})
    assert (tmp_path / "learning.md").read_text() == text
    assert (tmp_path / "learning_curve.png").stat().st_size > 10_000
    kept = results.read_table(tmp_path / "learning.tsv")  # its sidecar is not the figure's
    pd.testing.assert_frame_equal(kept, table, check_dtype=False)
