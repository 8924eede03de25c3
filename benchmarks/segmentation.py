"""Accuracy of the segmentation network on heads that it was never trained on.

Scans are simulated (spin echo, a bias field, noise of 2 % of white matter) from the label maps of
SynthSeg 09 and 12 to 15 and of BrainWeb 46, 49, 50, 52 and 53, at 1 or 2 mm. Labels are the
likeliest tissues. Judged are the voxels whose tissue the label map tells: for SynthSeg from 10 mm
above its lower end on, for BrainWeb above the skull base.

    python benchmarks/segmentation.py --data ../shared/data --cache build/anatomies
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import ndimage

from headcond.cohort.contrast import T1W, T2W, acquire, signal
from headcond.cohort.labels import labelled_region
from headcond.condnet.scores import head_scores, tissue_scores
from headcond.mri.resampling import block_mean, majority, resample
from headcond.random import generator
from headcond.segmentation.anatomy import Anatomy, load_anatomy, read_anatomy, save_anatomy
from headcond.segmentation.classes import NOT_JUDGED, TISSUE_OF_CLASS, UNKNOWN
from headcond.segmentation.conductivity import METHODS, conductivity_of
from headcond.segmentation.prediction import predict
from headcond.segmentation.scores import calibration_error, dice_scores, hausdorff95
from headcond.segmentation.weights import SHIPPED, load_weights
from headcond.tissues import conductivity_table

HEADS = {
    "synthseg": ("head_labels/training_seg_{}.nii.gz", ("09", "12", "13", "14", "15")),
    "brainweb20": ("brainweb20/brainweb_{}_crisp.nii.gz", ("46", "49", "50", "52", "53")),
}
SCANS = {"t1+t2": (True, True), "t1": (True, False), "t2": (False, True)}
BLUR_MM = 0.5  # standard deviation of the scanner's point spread, where voxels are the labels' own
BIAS, NOISE = 0.2, 0.02


def read(data: Path, cache: Path, source: str, number: str) -> Anatomy:
    """Read an anatomy, or what an earlier run made of it."""
    path = data / HEADS[source][0].format(number)
    made = cache / (path.name.split(".")[0] + ".npz")
    if not made.exists():
        cache.mkdir(parents=True, exist_ok=True)
        save_anatomy(made, read_anatomy(path, source))
    return load_anatomy(made)


def truth(anatomy: Anatomy, factor: int) -> np.ndarray:
    """Labels on blocks of `factor`^3 voxels by majority; `UNKNOWN` where nothing is judged."""
    target = TISSUE_OF_CLASS[anatomy.classes & (NOT_JUDGED - 1)].copy()
    if anatomy.beyond_judged:
        target[~labelled_region(target, anatomy.affine, ("inferior",))] = UNKNOWN
    else:
        target[anatomy.classes >= NOT_JUDGED] = UNKNOWN
    if factor == 1:
        return target
    shape = [side // factor for side in target.shape]
    target = target[tuple(slice(0, side * factor) for side in shape)]
    return majority(target, factor)


def scans(anatomy: Anatomy, factor: int) -> list[np.ndarray]:
    """T1- and T2-weighted image on blocks of `factor`^3 voxels of the label map."""
    tissues = TISSUE_OF_CLASS[anatomy.classes & (NOT_JUDGED - 1)]
    tissues = tissues[tuple(slice(0, side - side % factor) for side in tissues.shape)]
    images = []
    for name, protocol in (("t1", T1W), ("t2", T2W)):
        fine = signal(tissues, None, *protocol)
        if factor == 1:
            fine = ndimage.gaussian_filter(fine, BLUR_MM / anatomy.voxel_size, truncate=3)
        stream = generator(2024, "segmentation", "benchmark", anatomy.name, name)
        images.append(acquire(fine, stream, *protocol, factor, BIAS, NOISE))
    return images


def judge(
    probabilities: np.ndarray, target: np.ndarray, size: float, full: bool
) -> dict[str, float]:
    """Scores of one head's probabilities on the grid of `target`."""
    labels = probabilities.argmax(axis=0).astype(np.uint8)
    dice = dice_scores(labels, target)
    row = {"dice": float(np.mean(list(dice.values())))}
    row["ece"] = calibration_error(probabilities, target)
    table = conductivity_table("B")
    judged = np.where(target == UNKNOWN, 0, target)
    for method in METHODS if full else ("median",):
        sigma = conductivity_of(probabilities, table, method)
        scores = tissue_scores(sigma, judged, table)
        row[f"log10_{method}"] = head_scores(scores)["log10_mae"]
        if method == "median":
            row |= {f"log10_{r.tissue}": r.log10_mae for r in scores.itertuples()}
    row |= {f"dice_{name}": score for name, score in dice.items()}
    if full:
        row |= {f"hd95_{name}": mm for name, mm in hausdorff95(labels, target, size).items()}
    return row


def main() -> None:
    """Score every head and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    parser.add_argument("--scans", nargs="+", choices=SCANS, default=list(SCANS))
    parser.add_argument("--sizes", nargs="+", type=int, choices=(1, 2), default=[1, 2])
    parser.add_argument("--sources", nargs="+", choices=HEADS, default=list(HEADS))
    parser.add_argument("--heads", type=int, default=5, help="heads of each source")
    parser.add_argument("--full", action="store_true", help="Hausdorff distances, all mixtures")
    parser.add_argument("--flip", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/segmentation.tsv"))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    network = load_weights(given.weights)
    rows = []
    for source in given.sources:
        for number in HEADS[source][1][: given.heads]:
            anatomy = read(given.data, given.cache, source, number)
            for size in given.sizes:
                factor = round(size / anatomy.voxel_size)
                images, target = scans(anatomy, factor), truth(anatomy, factor)
                for name, wanted in SCANS.items():
                    if name not in given.scans:
                        continue
                    started = time.process_time()
                    pair = [im if have else None for im, have in zip(images, wanted, strict=True)]
                    found = {1: at_1mm, 2: at_2mm}[size](network, pair, given.flip)
                    seconds = time.process_time() - started
                    row = {"source": source, "head": number, "mm": size, "scans": name}
                    row["seconds"] = seconds
                    row |= judge(found, target, size, given.full and size == 1 and name == "t1+t2")
                    rows.append(row)
                    print(
                        f"{source} {number}, {size} mm, {name}: Dice {row['dice']:.4f}, "
                        f"log10 {row['log10_median']:.4f}, ECE {row['ece']:.4f}, {seconds:.0f} s",
                        flush=True,
                    )
                    given.out.parent.mkdir(parents=True, exist_ok=True)
                    pd.DataFrame(rows).to_csv(given.out, sep="\t", index=False, float_format="%.5g")
    table = pd.DataFrame(rows)
    numbers = table.drop(columns=["head"]).groupby(["source", "mm", "scans"]).mean()
    with pd.option_context("display.width", 200, "display.max_rows", None):
        print(numbers.T.to_string(float_format="%.4f"))


def at_1mm(network, pair: list, flip: bool) -> np.ndarray:
    """Probabilities of scans of 1 mm."""
    return predict(network, *pair, flip=flip)


def at_2mm(network, pair: list, flip: bool) -> np.ndarray:
    """Probabilities of scans of 2 mm: brought to 1 mm, and the probabilities' mean back."""
    shape = tuple(2 * side for side in next(p for p in pair if p is not None).shape)
    coarse = np.diag([2.0, 2.0, 2.0, 1.0])
    coarse[:3, 3] = 0.5
    fine = [None if scan is None else resample(scan, coarse, np.eye(4), shape) for scan in pair]
    found = predict(network, *fine, flip=flip)
    return np.stack([block_mean(part.astype(np.float32), 2) for part in found])


if __name__ == "__main__":
    main()
