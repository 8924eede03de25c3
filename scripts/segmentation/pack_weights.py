"""Write trained weights with their card, or add scores to the card.

`--weights` with `--anatomies` (the cache of the training) writes weights and card to `--out`;
`--scores` puts the means of the table of `benchmarks/segmentation.py` into the card of `--out`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd
import torch

from headcond.segmentation.anatomy import load_anatomy
from headcond.segmentation.calibration import calibrate
from headcond.segmentation.prediction import WINDOW
from headcond.segmentation.weights import load_weights, read_card, save_weights

SEED = 2027
HELD_BACK = (
    *(f"training_seg_{number}" for number in ("09", "12", "13", "14", "15")),
    *(f"brainweb_{number}_crisp" for number in ("46", "49", "50", "52", "53")),
)
DATA = [
    {
        "name": "SynthSeg training label maps (Billot et al. 2023)",
        "from": "github.com/BBillot/SynthSeg",
        "licence": "Apache-2.0",
        "heads": ["01", "02", "03", "04", "05", "06", "07", "08", "10", "11"],
        "held_back": ["09", "12", "13", "14", "15"],
    },
    {
        "name": "BrainWeb, twenty normal anatomical models (Aubert-Broche et al. 2006)",
        "from": "brainweb.bic.mni.mcgill.ca",
        "licence": "free with citation",
        "heads": ["04", "05", "06", "18", "38", "41", "43", "44", "45", "48"],
        "held_back": ["46", "49", "50", "52", "53"],
    },
]
LIMITS = [
    "Trained on synthetic images of twenty adult heads; no real image was trained on.",
    "Lesions other than spots in the white matter, implants and missing tissue were not judged.",
    "Fat against muscle: SynthSeg's maps do not divide them; the border is drawn at random depth.",
    "Dura: a shell of one voxel inside the skull where the label map has none (SynthSeg).",
    "BrainWeb's models are judged above the skull base alone, without deep grey matter.",
    "Research use only; not a medical device.",
]


def pack(weights: Path, anatomies: Path, out: Path, calibrated: bool) -> None:
    """Write the weights; the temperature fitted on held-back heads is applied where asked for.

    Synthetic images are harder than most scans, so their temperature makes the network too
    modest on simulated T1- and T2-weighted scans: it is noted in the card, and not the default.
    """
    network = load_weights(weights)
    card = read_card(weights)
    heads = [load_anatomy(anatomies / f"{name}.npz") for name in HELD_BACK]
    softer, temperature = calibrate(network, heads, WINDOW, SEED)
    if calibrated:
        network = softer
    history = card["history"]
    facts = {
        "input": "T1w, T2w or both; 1 mm, RAS order, normalised by percentiles 0.5 and 99.5",
        "output": "logits of air and the thirteen tissues of headcond13",
        "temperature": temperature if calibrated else 1.0,
        "temperature_on_synthetic_images": temperature,
        "training": {
            "data": DATA,
            "images": "synthetic, drawn anew for every step (headcond.segmentation.synthesis)",
            "optimiser": "Muon and AdamW, bfloat16, running average of the weights",
            "runs": [
                *card.get("runs", []),
                {
                    "schedule": card["schedule"],
                    "steps": history[-1]["step"],
                    "seconds": round(history[-1]["seconds"]),
                    "curve": [
                        {key: round(value, 4) for key, value in entry.items() if key != "held_back"}
                        for entry in history
                    ],
                    "held_back_dice": {
                        key: round(value, 4) for key, value in history[-1]["held_back"].items()
                    },
                },
            ],
        },
        "limits": LIMITS,
    }
    save_weights(out, network, facts)


def add_scores(tables: list[Path], out: Path) -> None:
    """Put the means of a benchmark's tables into the card."""
    rows = pd.concat([pd.read_csv(table, sep="\t", dtype={"head": str}) for table in tables])
    card = read_card(out)
    means = rows.drop(columns=["head", "seconds"]).groupby(["source", "mm", "scans"]).mean()
    card["scores"] = [
        {"source": source, "mm": int(size), "scans": scans}
        | {key: round(float(value), 4) for key, value in row.items() if pd.notna(value)}
        for (source, size, scans), row in means.iterrows()
    ]
    out.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Read the arguments and do what they say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--anatomies", type=Path)
    parser.add_argument("--calibrated", action="store_true")
    parser.add_argument("--scores", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.weights:
        pack(given.weights, given.anatomies, given.out, given.calibrated)
    if given.scores:
        add_scores(given.scores, given.out)


if __name__ == "__main__":
    main()
