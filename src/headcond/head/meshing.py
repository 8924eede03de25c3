"""From a label volume to a tetrahedral mesh: a lattice, labelled by vote, snapped to interfaces."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from scipy import ndimage

from headcond.checks import (
    InputError,
    check_affine,
    check_option,
    check_positive,
    check_shape,
    voxel_sizes,
)
from headcond.head import barrier, cgal, lattice, snapping, topology
from headcond.head.mesh import Mesh
from headcond.tissues import EIT_TISSUES

logger = logging.getLogger(__name__)

METHODS = ("bcc", "voxel", "cgal")
_PASSES = 2  # label, snap, weigh by the volumes that came out, and again
_ROUNDS = 10  # of the weights of thin tissues
_LARGEST_WEIGHT = 8.0


def mesh_labels(
    labels: np.ndarray,
    affine: np.ndarray,
    size: float,
    method: str = "bcc",
    tissue_names: tuple[str, ...] = EIT_TISSUES,
    cut: bool = False,
) -> Mesh:
    """Mesh a labelled head; `build_mesh` without its report of changes. See there."""
    return build_mesh(labels, affine, size, method, tissue_names, cut)[0]


def build_mesh(
    labels: np.ndarray,
    affine: np.ndarray,
    size: float,
    method: str = "bcc",
    tissue_names: tuple[str, ...] = EIT_TISSUES,
    cut: bool = False,
) -> tuple[Mesh, dict[str, Any]]:
    """Mesh a labelled head, and report what was changed on the way.

    `bcc`: a body-centred-cubic lattice along the world's axes, so that neither the order
    nor the direction of the image's axes matters. Every tetrahedron takes the label with
    most of 35 votes inside it, where votes for tissues too thin for the lattice weigh more,
    until their volumes come out; layers that this loses are closed
    (`barrier.close_layers`); all but the largest face-connected component is dropped;
    nodes move onto the tissue interfaces as far as no dihedral angle leaves 10 to 170
    degrees (`snapping.snap`). There are 2 nodes and 12 tetrahedra per size^3, so a head of
    4 litres has about 8e6 / (size in mm)^3 nodes. Deterministic.

    `voxel`: cubes of edge `size` along the image's axes, each of five tetrahedra; nothing
    moves. With the image's own voxel size the volumes are the voxels', exactly.

    `cgal`: CGAL's Delaunay refinement through pygalmesh, an optional extra (GPL). No layer
    is closed; leaks are counted by `quality.leaks`.

    Parameters
    ----------
    labels : (nx, ny, nz) integers; 0 air, k the tissue `tissue_names[k - 1]`.
    affine : (4, 4) voxel -> world, RAS+ millimetres.
    size : cell of the lattice, metres.
    method : "bcc", "voxel" or "cgal".
    tissue_names : names in the order of their labels.
    cut : whether the head may reach the border of the image (a neck cut off).

    Returns
    -------
    mesh : the mesh, metres.
    account : `method`, `size`, tetrahedra that the rules of `barrier.close_layers` relabelled
        (`scalp`, `skull`, `diploe`), `dropped_tetrahedra`, `dropped_components`.

    Raises
    ------
    InputError
        If the labels are not a label volume or use unknown labels, a tissue is absent or
        vanishes at this size, the head reaches the border without `cut`, or `size` is
        not between 0.2 and 50 mm.
    """
    labels, affine = _checked(labels, affine, tissue_names, cut)
    check_option("method", method, METHODS)
    edge = 1e3 * check_positive("size", size)
    if not 0.2 <= edge <= 50:
        raise InputError(
            f"size is {edge:g} mm; it is in metres and belongs between 0.0002 and 0.05."
        )
    labels, affine = _cropped(labels, affine)
    build = {"bcc": _bcc, "voxel": _voxel, "cgal": _cgal}[method]
    nodes, tets, label, changed = build(labels, affine, edge, tissue_names)
    account = {"method": method, "size": float(size), **changed}
    logger.info("meshed %d nodes, %d tetrahedra: %s", len(nodes), len(tets), account)
    return Mesh(nodes * 1e-3, tets.astype(np.int64), label, tuple(tissue_names)), account


def _checked(
    labels: np.ndarray, affine: np.ndarray, names: tuple[str, ...], cut: bool
) -> tuple[np.ndarray, np.ndarray]:
    labels = check_shape("labels", labels, (None, None, None))
    affine = check_affine("affine", affine)
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"labels must be integers, got {labels.dtype}.")
    axes = affine[:3, :3] / voxel_sizes(affine)
    if np.max(np.abs(axes.T @ axes - np.eye(3))) > 1e-3:
        raise InputError("affine is sheared: its voxels are not boxes. Resample the labels first.")
    count = np.bincount(labels.ravel() - min(0, int(labels.min())), minlength=len(names) + 1)
    if labels.min() < 0 or labels.max() > len(names):
        raise InputError(
            f"labels run from {labels.min()} to {labels.max()}; tissue names exist for 1 to "
            f"{len(names)} (0 is air)."
        )
    absent = [name for name, voxels in zip(names, count[1:], strict=True) if not voxels]
    if absent:
        raise InputError(
            f"labels hold no voxel of {', '.join(absent)}: a tissue without volume has no "
            "conductivity to estimate. Segment it, or leave it out of tissue_names."
        )
    touched = [
        f"{'-+'[side]}{'ijk'[axis]}"
        for axis in range(3)
        for side in range(2)
        if np.take(labels, -side, axis=axis).any()
    ]
    if touched and not cut:
        raise InputError(
            f"The head reaches the border of the image ({', '.join(touched)}): the mesh would end "
            "in a flat cut there. Pad or crop the labels, or pass cut=True if this is meant."
        )
    return labels.astype(np.uint8), affine


def _cropped(labels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    box = ndimage.find_objects((labels > 0).astype(np.uint8))[0]
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ np.array([part.start for part in box])
    return np.ascontiguousarray(labels[box]), moved


def _bcc(
    labels: np.ndarray, affine: np.ndarray, edge: float, names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, int]]:
    kinds = len(names) + 1
    corners = np.array(list(np.ndindex(2, 2, 2))) * np.array(labels.shape) - 0.5
    world = corners @ affine[:3, :3].T + affine[:3, 3]
    nodes, tets = lattice.bcc(world.min(axis=0), world.max(axis=0), edge)
    votes = lattice.vote(nodes, tets, labels, np.linalg.inv(affine), kinds)
    held = votes[:, 0] < lattice.VOTES
    nodes, tets = _compressed(nodes, tets[held])
    votes = votes[held]
    neighbours = topology.face_neighbours(tets)
    incidence = topology.node_tetrahedra(tets, len(nodes))

    # Distances a cell beyond the head, where nodes of its surface may start from.
    margin = int(np.ceil(edge / voxel_sizes(affine).min())) + 1
    padded = np.pad(labels, margin)
    fields = snapping.distance_fields(padded, voxel_sizes(affine), kinds)
    to_padded = np.linalg.inv(affine)
    to_padded[:3, 3] += margin

    skull = np.isin(("", *names), barrier.SKULL)
    wanted = np.maximum(votes.sum(axis=0, dtype=np.int64) / lattice.VOTES, 1)
    target = wanted.copy()
    for _ in range(_PASSES):
        label, changed = _balanced(votes, target, incidence, neighbours, names)
        kept, kept_label, dropped = _largest(tets, neighbours, label, names)
        moved, kept = _compressed(nodes, kept)
        sets = snapping.label_sets(kept, topology.face_neighbours(kept), kept_label, len(moved))
        moved = snapping.snap(moved, kept, sets, fields, to_padded, edge, skull)
        volume = np.bincount(kept_label, snapping.volumes(moved, kept), kinds) / (edge**3 / 12)
        target *= np.clip(wanted / np.maximum(volume, 1), 0.5, 2.0)
    return moved, kept, kept_label, {**changed, **dropped}


def _balanced(
    votes: np.ndarray,
    wanted: np.ndarray,
    incidence: tuple[np.ndarray, np.ndarray],
    neighbours: np.ndarray,
    names: tuple[str, ...],
) -> tuple[np.ndarray, dict[str, int]]:
    """Vote with weights above one for tissues that the plain vote would lose.

    A layer thinner than the lattice wins few tetrahedra. Its weight grows until it has
    the number `wanted` (kinds,), those that close layers included.
    """
    weights = np.ones(len(wanted))
    for _ in range(_ROUNDS):
        label = lattice.weighted_majority(votes, weights)
        lattice.flip_spikes(neighbours, votes, label)
        changed = barrier.close_layers(incidence, neighbours, votes, label, names)
        got = np.maximum(np.bincount(label, minlength=len(weights)), 1)
        weights[1:] *= np.sqrt(wanted[1:] / got[1:])
        weights = np.clip(weights, 1.0, _LARGEST_WEIGHT)
    return label, changed


def _voxel(
    labels: np.ndarray, affine: np.ndarray, edge: float, names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, int]]:
    kinds = len(names) + 1
    counts, grid = lattice.voxel_votes(labels, affine, edge, kinds)
    occupied = counts[..., 1:].any(axis=-1)
    nodes, tets = lattice.voxel_tetrahedra(occupied, grid)
    votes = np.repeat(counts[occupied], 5, axis=0)
    label = lattice.weighted_majority(votes, np.ones(kinds))
    neighbours = topology.face_neighbours(tets)
    incidence = topology.node_tetrahedra(tets, len(nodes))
    changed = barrier.close_layers(incidence, neighbours, votes, label, names)
    tets, label, dropped = _largest(tets, neighbours, label, names)
    return *_compressed(nodes, tets), label, {**changed, **dropped}


def _cgal(
    labels: np.ndarray, affine: np.ndarray, edge: float, names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, int]]:
    # Air around the head: CGAL's surfaces end at the border of the image.
    padded = affine.copy()
    padded[:3, 3] -= affine[:3, :3] @ np.ones(3)
    nodes, tets, label = cgal.tetrahedra(np.pad(labels, 1), padded, edge)
    tets, label, dropped = _largest(tets, topology.face_neighbours(tets), label, names)
    return *_compressed(nodes, tets), label, dropped


def _largest(
    tets: np.ndarray, neighbours: np.ndarray, label: np.ndarray, names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Tetrahedra of the largest face-connected piece of all tissues together."""
    number = topology.components(neighbours, label > 0)
    counts = np.bincount(number[label > 0])
    keep = (number == np.argmax(counts)) & (label > 0)
    lost = [name for k, name in enumerate(names, 1) if not np.any(label[keep] == k)]
    if lost:
        raise InputError(
            f"At this size no tetrahedron is left for {', '.join(lost)}: make size smaller."
        )
    dropped = {
        "dropped_tetrahedra": int(np.count_nonzero(label) - np.count_nonzero(keep)),
        "dropped_components": int(np.count_nonzero(counts)) - 1,
    }
    return tets[keep], label[keep], dropped


def _compressed(nodes: np.ndarray, tets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used = np.zeros(len(nodes), bool)
    used[tets] = True
    return nodes[used], (np.cumsum(used) - 1)[tets]
