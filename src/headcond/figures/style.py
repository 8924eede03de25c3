"""What all figures share: sizes, colours, colour bars and how they are saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from headcond.files.results import atomic, write_sidecar

# Colour-blind safe (Okabe and Ito), one per series in the order of use.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")

# Ways of estimating, as figures call them.
MODES = {"each": "per pair", "joint": "all pairs together"}

# Tissues keep their colour in every figure.
TISSUE_COLOURS = {
    "skin": "#E8B796",
    "fat": "#F2DE8A",
    "muscle": "#B5504A",
    "bone_cortical": "#F5F1E6",
    "bone_cancellous": "#D9C9A3",
    "dura": "#8C6BB1",
    "csf": "#56B4E9",
    "gm": "#8F8F8F",
    "wm": "#D6D6D6",
    "cerebellum": "#A98E7C",
    "vitreous_humour": "#1F78B4",
    "blood": "#C4001A",
    "mucous": "#EE9CB5",
    "scalp": "#E8B796",
    "compact_bone": "#F5F1E6",
    "spongy_bone": "#D9B36C",
}

_SETTINGS = {
    "figure.dpi": 110,
    "savefig.dpi": 130,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
plt.rcParams.update(_SETTINGS)  # titles, legends and colour bars are made later than the axes


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **options: object
) -> tuple[Figure, np.ndarray]:
    """Return a figure of `width` x `height` inches and its axes (rows, columns), in house style."""
    return plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **options
    )


def save(
    figure: Figure, path: str | Path, note: str = "", provenance: Mapping[str, Any] | None = None
) -> None:
    """Write `figure` as PNG with its JSON sidecar, atomically, and close it.

    `note` says in the figure itself what is no measurement of a person (generated head,
    simulated contrast), because figures travel without their captions.
    """
    if note:
        figure.supxlabel(note, fontsize=8, color="0.35", x=0.99, ha="right")
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_SETTINGS["savefig.dpi"])
    plt.close(figure)
    write_sidecar(path, note=note, provenance=provenance)


def upper_limit(values: np.ndarray, percentile: float = 99.0) -> float:
    """Upper end of a colour scale: a percentile of the values above zero (1 if there are none)."""
    positive = values[np.isfinite(values) & (values > 0)]
    return float(np.percentile(positive, percentile)) if positive.size else 1.0
