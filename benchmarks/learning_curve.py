r"""Learning curve of CondNet and its spread over seeds, on the heads of a finished study.

    python -m benchmarks.learning_curve config.yaml studies/condnet-heads.yaml \
        --state build/learning --output learning

Run it in the repository's root. For every number of training heads and every seed, three networks
(one per axis) are trained and tested on the study's test heads, per tissue
(`headcond.condnet.scores`). The seed also draws the training heads from those of the study: with
fewer heads than the study has, the spread includes their choice; with all of them it is that of
weights and shuffling alone. Every network takes the same number of steps (to whole epochs), so that
the amount of data is compared and not the training time. Validation is by slices, so that every
head can train. Networks of fewer steps than the study's are worse than the study's; the number of
steps is in the figure and the tables. The study's files stay unchanged. On heads of 128^3 voxels
the default 27 networks of 1500 steps take about half an hour of processor time, by the time of a
step in docs/explanation/performance-condnet.md.

A second call continues an interrupted one: finished networks are in the folder `--state` (about
4 MB each, with the state of the one in training). It writes OUTPUT.tsv (per seed, test
head and tissue), OUTPUT.md (means and spreads) and OUTPUT_curve.png.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from headcond.checks import InputError
from headcond.condnet import fusion
from headcond.condnet.checkpoint import check_as_trained, load_checkpoint
from headcond.condnet.prediction import predict_axis
from headcond.condnet.scores import head_scores, tissue_scores
from headcond.condnet.slices import SliceDataset, describe_grid
from headcond.condnet.training import TrainingSettings, train_axis
from headcond.figures.style import COLOURS, new_figure, save
from headcond.files import results
from headcond.random import generator
from headcond.study import config, paths
from headcond.tissues import conductivity_map, conductivity_table

NOTES = {"phantom": "generated heads, simulated images", "bids": "real scans",
         "labels": "real label maps, simulated T1w and T2w"}  # fmt: skip
MEASURES = {
    "median_percent": "median relative error (%)", "log10_mae": "mean absolute log10(map / table)",
    "dice": "Dice of the nearest tissue",
}  # fmt: skip
IMAGES = ("T1w", "T2w")


class Heads:
    """The study's preprocessed heads, read when they are asked for and then kept."""

    def __init__(self, settings: dict) -> None:
        self.folder, condnet = paths.folder(settings), settings["condnet"]
        self.name, self.tau = condnet["tables"][0], condnet["tau"]
        self.table = conductivity_table(self.name, condnet["frequency"])
        self.normalisation = {"method": settings["mri"]["normalisation"], "images": list(IMAGES)}
        self.grid: dict = {}
        self._kept: dict = {}

    def read(self, subject: str) -> tuple[np.ndarray, np.ndarray]:
        """Images (2, nx, ny, nz) and labels of a subject."""
        if subject not in self._kept:
            start = self.folder / subject / "anat" / f"{subject}_space-grid"
            images = [f"{start}_desc-normalised_{name}.nii.gz" for name in IMAGES]
            pairs = [results.read_volume(path) for path in images]
            labels, _ = results.read_volume(f"{start}_dseg.nii.gz", dtype="uint8")
            self.grid = describe_grid(labels.shape, pairs[0][1])
            self._kept[subject] = np.stack([image for image, _ in pairs]), labels
        return self._kept[subject]

    def training(self, subjects: list[str]) -> tuple[dict, dict]:
        """Images and targets of subjects."""
        images = {subject: self.read(subject)[0] for subject in subjects}
        maps = {s: conductivity_map(self.read(s)[1], self.table)[None] for s in subjects}
        largest = [max(self.table.values())]
        return images, {s: fusion.targets(map_, largest, self.tau) for s, map_ in maps.items()}

    def mask(self, subject: str) -> np.ndarray:
        """Mask of the head, from its images."""
        if ("mask", subject) not in self._kept:
            mask = fusion.head_mask(*self.read(subject)[0], self.grid["voxel_size"][0])
            self._kept["mask", subject] = mask
        return self._kept["mask", subject]


def chosen_heads(train: list[str], count: int, seed: int) -> list[str]:
    """Training heads of a seed: the first `count` of its order, so that sets are nested."""
    order = generator(seed, "learning curve").permutation(len(train))
    return sorted(train[i] for i in order[:count])


def train(heads: Heads, subjects: list[str], axis: str, seed: int, steps: int,
          condnet: dict, folder: Path) -> Path:  # fmt: skip
    """Train the network of one axis, or find it finished; returns its file."""
    path = folder / f"heads-{len(subjects)}_seed-{seed}_axis-{axis}.ckpt"
    images, targets = heads.training(subjects)
    kernels = {f"{name}_kernels": size for name, size in condnet["kernels"].items()}
    settings = TrainingSettings(
        validation="slice", empty=condnet["empty_slices"], seed=seed, **kernels,
        **{key: condnet[key] for key in ("batch_size", "learning_rate", "depth", "precision")},
    )  # fmt: skip
    dataset = SliceDataset(images, targets, axis, settings.empty)
    slices = len(dataset.split("slice", seed, axis)[0])
    if steps * settings.batch_size < slices:
        raise InputError(
            f"--steps: {steps} are less than one epoch of {len(subjects)} heads along the {axis} "
            f"axis; give at least {-(-slices // settings.batch_size)}."
        )
    epochs = round(steps * settings.batch_size / slices)
    settings = dataclasses.replace(settings, epochs=epochs)
    if path.exists():
        found = load_checkpoint(path).training
        mend = f"{path} is another network: give another --state."
        wanted = {"subjects": subjects, "settings": dataclasses.asdict(settings)}
        check_as_trained("network", {key: found[key] for key in wanted}, wanted, mend)
        return path
    state = folder / f"{path.stem}_state"
    train_axis(
        images, targets, axis, settings, tables={heads.name: heads.table}, tau=heads.tau,
        normalisation=heads.normalisation, grid=heads.grid, checkpoint=path, folder=state,
    )  # fmt: skip
    shutil.rmtree(state)
    return path


def judge(heads: Heads, networks: list[Path], test: list[str]) -> pd.DataFrame:
    """Scores per tissue of the maps that three networks predict of the test heads."""
    loaded = [load_checkpoint(path) for path in networks]
    rows = []
    for subject in test:
        images, labels = heads.read(subject)
        parts = [predict_axis(network, images, grid=heads.grid, normalisation=heads.normalisation)
                 for network in loaded]  # fmt: skip
        sigma = fusion.rescale(fusion.average_axes(parts), loaded[0].maxima, heads.tau)
        sigma = fusion.mask_air(sigma, heads.mask(subject), loaded[0].minima)[0]
        scores = tissue_scores(sigma, labels, heads.table)
        scores.insert(0, "subject", subject)
        rows.append(scores)
    return pd.concat(rows, ignore_index=True)


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Means over test heads and tissues (`head_scores`), a row per number of heads and seed."""
    rows = []
    for (count, seed), group in table.groupby(["heads", "seed"]):
        parts = [head_scores(scores) for _, scores in group.groupby("subject")]
        rows.append({"heads": count, "seed": seed, **pd.DataFrame(parts).mean().to_dict()})
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame, summary: pd.DataFrame, about: str) -> str:
    """Mean and spread over the seeds, of whole heads and per tissue."""
    lines = [about, "", "Mean over test heads and tissues; mean over the seeds (standard "
             "deviation over them).", "",
             "| training heads | seeds | " + " | ".join(MEASURES.values()) + " |",
             "|---" * (2 + len(MEASURES)) + "|"]  # fmt: skip
    for count, group in summary.groupby("heads"):
        cells = [f"{group[key].mean():.4g} ({group[key].std():.2g})" for key in MEASURES]
        lines.append(f"| {count} | {len(group)} | " + " | ".join(cells) + " |")
    counts = sorted(table["heads"].unique())
    lines += ["", "Median relative error (%) per tissue, mean over test heads and seeds "
              "(standard deviation over the seeds of the mean over test heads).", "",
              "| tissue | " + " | ".join(f"{count} heads" for count in counts) + " |",
              "|---" * (1 + len(counts)) + "|"]  # fmt: skip
    means = table.groupby(["tissue", "heads", "seed"])["median_percent"].mean()
    for tissue in table["tissue"].unique():
        cells = [f"{means[tissue, count].mean():.3g} ({means[tissue, count].std():.2g})"
                 for count in counts]  # fmt: skip
        lines.append(f"| {tissue.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def draw(summary: pd.DataFrame) -> object:
    """Draw each measure from 0 against the number of training heads, a dot per seed."""
    figure, axes = new_figure(9.6, 3.2, 1, len(MEASURES))
    for panel, (key, label) in zip(axes[0], MEASURES.items(), strict=True):
        for colour, (seed, group) in zip(COLOURS[1:], summary.groupby("seed"), strict=False):
            panel.plot(group["heads"], group[key], "o", color=colour, label=f"seed {seed}")
        mean = summary.groupby("heads")[key].mean()
        panel.plot(mean.index, mean, "-", color=COLOURS[0], label="mean")
        panel.set_xlabel("training heads")
        panel.set_ylabel(label)
        panel.set_xticks(list(mean.index))
        panel.set_ylim(0, 1.15 * summary[key].max())
    marks = axes[0, 0].get_legend_handles_labels()
    figure.legend(*marks, ncols=len(marks[1]), loc="outside upper center")
    return figure


def write(output: Path, table: pd.DataFrame, about: str, note: str, record: dict) -> None:
    """Write the table, the page and the figure; table and figure each have a sidecar."""
    summary = summarise(table)
    results.write_table(output.with_suffix(".tsv"), table, provenance=record)
    output.with_suffix(".md").write_text(markdown(table, summary, about))
    picture = output.with_name(f"{output.stem}_curve.png")
    save(draw(summary), picture, note, provenance=record)


def main() -> None:
    """Train what is missing, judge it, and write the tables and the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", nargs="+", help="study files, as for Snakemake")
    parser.add_argument("--heads", type=int, nargs="+", default=[3, 5, 10])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=1500, help="optimiser steps per network")
    parser.add_argument("--state", type=Path, required=True, help="folder of the networks")
    parser.add_argument("--output", type=Path, default=Path("learning"), help="stem of the files")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    settings = config.read(*options.study)
    cohort, axes = settings["cohort"], settings["condnet"]["axes"]
    if max(options.heads) > len(cohort["train"]):
        parser.error(f"--heads: the study has {len(cohort['train'])} training heads only.")
    heads, rows = Heads(settings), []
    options.state.mkdir(parents=True, exist_ok=True)
    for count in options.heads:
        for seed in options.seeds:
            subjects = chosen_heads(cohort["train"], count, seed)
            for subject in subjects:
                heads.read(subject)
            networks = [train(heads, subjects, axis, seed, options.steps, settings["condnet"],
                              options.state) for axis in axes]  # fmt: skip
            scores = judge(heads, networks, cohort["test"])
            scores.insert(0, "seed", seed)
            scores.insert(0, "heads", count)
            rows.append(scores)
            whole = summarise(scores).iloc[0].round(4).to_dict()
            logging.info("%d heads, seed %d (%s): %s", count, seed, ", ".join(subjects), whole)
    table = pd.concat(rows, ignore_index=True)
    note = f"{NOTES[cohort['source']]}, {options.steps} steps per network"
    about = (
        f"Study {settings['study']} ({note}), {len(cohort['test'])} test heads, "
        f"table {heads.name}, voxels of {heads.grid['voxel_size'][0]:g} mm, seeds {options.seeds}."
    )
    record = {"program": "benchmarks/learning_curve.py", "study": settings["study"],
              "steps": options.steps, "seeds": options.seeds}  # fmt: skip
    write(options.output, table, about, note, record)
    print(options.output.with_suffix(".md").read_text())


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(str(error))
