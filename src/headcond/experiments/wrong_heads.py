"""Errors of estimates from voltages of heads that differ from the model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.ndimage

from headcond.checks import InputError, check_option, check_shape
from headcond.experiments.estimation import estimate_errors
from headcond.head.electrodes import displace_discs, place_discs
from headcond.head.mesh import Electrodes, Mesh
from headcond.head.meshing import build_mesh
from headcond.head.spongy import erode_skull
from headcond.inverse.noise import add_noise
from headcond.inverse.protocol import AVERAGE, make_protocol, readings
from headcond.inverse.reduced import ReducedForward
from headcond.random import generator
from headcond.rom.model import ReducedModel
from headcond.tissues import EIT_TISSUES

# Heads that voltages come from, and how each differs from the model's.
CHANGES = {
    "same": "same mesh and electrodes (the inverse crime)",
    "finer": "finer mesh, 0.8 times the edge length",
    "moved2": "electrodes moved by 2 mm",
    "moved5": "electrodes moved by 5 mm",
    "contact": "contact impedances off by a factor of 2",
    "thicker": "skull one voxel thicker outside",
    "spongy": "spongy bone between tables of 2 and 1.5 mm",
}
# Numbers of electrodes in smaller caps.
FEWER = (64, 32)
_FINER = 0.8
_OUTER_MM, _INNER_MM = 2.0, 1.5
_FACTOR = 2.0


@dataclass(frozen=True)
class Disturbed:
    """A head that differs from the model's in one respect.

    Attributes
    ----------
    mesh, electrodes : its mesh with the discs.
    relative_impedance : (L,) contact impedances in units of the model's.
    changes : the change in numbers.
    """

    mesh: Mesh
    electrodes: Electrodes
    relative_impedance: np.ndarray
    changes: dict[str, Any]


def change_name(change: str) -> str:
    """Difference between the head of the voltages and the model's, in words."""
    return CHANGES.get(change) or f"{change.removeprefix('fewer')} electrodes, same mesh"


def disturbed_head(
    change: str,
    labels: np.ndarray,
    affine: np.ndarray,
    mesh: Mesh,
    electrodes: Electrodes,
    *,
    size: float,
    method: str,
    diameter: float,
    seed: int,
) -> Disturbed:
    """Change one property of a head.

    Parameters
    ----------
    change : a name of `CHANGES`.
    labels : (nx, ny, nz) uint8 in the scheme eit6, those of the mesh.
    affine : (4, 4) voxel -> world, mm.
    mesh, electrodes : the model's.
    size, method : of the mesh, see `meshing.build_mesh`.
    diameter : of the discs, m.
    seed : of directions and impedances.
    """
    check_option("change", change, CHANGES)
    count = len(electrodes.labels)
    impedance, changes = np.ones(count), {"change": CHANGES[change]}
    draw = generator(seed, "inverse", "disturbance", change)
    if change in ("finer", "thicker", "spongy"):
        if change == "thicker":
            labels, changes["voxels"] = thicken_skull(labels)
        elif change == "spongy":
            labels, changes["voxels"] = erode_skull(labels, affine, _OUTER_MM, _INNER_MM)
        edge = _FINER * size if change == "finer" else size
        mesh, _ = build_mesh(labels, affine, edge, method)
        electrodes = place_discs(mesh, electrodes.labels, electrodes.centres, diameter)
    elif change in ("moved2", "moved5"):
        before = electrodes.centres
        distance = 1e-3 * float(change.removeprefix("moved"))
        electrodes = displace_discs(mesh, electrodes, distance, diameter, draw)
        moved = np.linalg.norm(electrodes.centres - before, axis=1)
        changes |= {"moved_mm": 1e3 * moved.mean(), "stayed": int(np.sum(moved == 0))}
    elif change == "contact":
        impedance = _FACTOR ** draw.choice([-1.0, 1.0], count)
    return Disturbed(mesh, electrodes, impedance, {**changes, "nodes": len(mesh.nodes)})


def thicken_skull(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Turn scalp that shares a face with bone into compact bone (eit6); labels and voxel count."""
    scalp, compact, spongy = (
        EIT_TISSUES.index(name) + 1 for name in ("scalp", "compact_bone", "spongy_bone")
    )
    near = scipy.ndimage.binary_dilation(np.isin(labels, (compact, spongy)))
    grown = (labels == scalp) & near
    if not grown.any():
        raise InputError("No scalp touches bone in these labels: the skull cannot be thickened.")
    return np.where(grown, np.uint8(compact), labels).astype(np.uint8), int(grown.sum())


def spread_electrodes(centres: np.ndarray, count: int, first: Sequence[int]) -> np.ndarray:
    """Indices (count,), ascending, of electrodes far from each other (farthest-point sampling).

    Parameters
    ----------
    centres : (L, 3).
    count : electrodes to keep, at most L.
    first : the first ones.
    """
    taken = list(first)
    far = np.min([np.linalg.norm(centres - centres[n], axis=1) for n in taken], axis=0)
    while len(taken) < count:
        taken.append(int(np.argmax(far)))
        far = np.minimum(far, np.linalg.norm(centres - centres[taken[-1]], axis=1))
    return np.sort(taken)


def compare_disturbances(
    model: ReducedModel,
    potentials: Mapping[str, np.ndarray],
    truth: np.ndarray,
    centres: np.ndarray,
    *,
    noise: float,
    reference: str,
    modes: Sequence[str],
    seed: int,
) -> pd.DataFrame:
    """Errors of estimates from voltages of other heads, or of fewer electrodes.

    Parameters
    ----------
    model : reduced model of M pairs.
    potentials : by a name of `CHANGES`: (S, M, L) V, noiseless, of that head.
    truth : (S, P) S/m, the true conductivities of all of them.
    centres : (L, 3) m, of the model's electrodes.
    noise, reference, modes, seed : as in `estimation.sweep`; every head has the same noise.

    Returns
    -------
    Rows as of `estimation.sweep`, with `change`, `electrodes` and `pairs`. `misfit`, the mean
    chi-square per degree of freedom, shows whether the data reveal the error.
    """
    trained = [(pair.source, pair.sink) for pair in model.pairs]
    cases = [(change, np.arange(len(model.electrodes)), values)
             for change, values in potentials.items()]  # fmt: skip
    first = [model.electrodes.index(label) for label in {model.sink, reference} - {AVERAGE}]
    for count in FEWER:
        if "same" in potentials and count < len(model.electrodes):
            kept = spread_electrodes(centres, count, sorted(first))
            if any(model.electrodes.index(source) in kept for source, _ in trained):
                cases.append((f"fewer{count}", kept, potentials["same"]))
    rows: list[dict[str, Any]] = []
    for change, kept, values in cases:
        check_shape(f"potentials of {change}", values,
                    (len(truth), len(trained), len(model.electrodes)))  # fmt: skip
        noisy = add_noise(values, noise, generator(seed, "inverse", "disturbance", "noise"))
        here = [model.electrodes[n] for n in kept]
        use = [m for m, pair in enumerate(trained) if set(pair) <= set(here)]
        forward = ReducedForward(model, [trained[m] for m in use])
        gone = [label for label in model.electrodes if label not in here]
        protocol = make_protocol(forward.pairs, forward.electrodes, reference, {None: gone})
        data = readings(noisy[:, use], protocol)
        for mode in modes:
            common = {"change": change, "electrodes": len(here), "pairs": len(use), "mode": mode}
            rows += estimate_errors(forward, data, truth, protocol, noise, common, mode)
    return pd.DataFrame(rows)
