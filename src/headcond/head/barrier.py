"""Layers thinner than the lattice: where skull or scalp has holes that the labels do not have."""

from __future__ import annotations

import numba
import numpy as np

OUTSIDE = ("scalp",)
SKULL = ("compact_bone", "spongy_bone")
INSIDE = ("csf", "gm", "wm")


def close_layers(
    incidence: tuple[np.ndarray, np.ndarray],
    neighbours: np.ndarray,
    votes: np.ndarray,
    label: np.ndarray,
    names: tuple[str, ...],
) -> dict[str, int]:
    """Relabel tetrahedra, in place, so that thin layers keep apart what they keep apart.

    The vote of a lattice coarser than a layer loses the layer in places. Three rules, each
    of which only ever acts where labels of the lost layer were counted in the tetrahedra:

    1. *scalp*: air that shares a face with any tissue but scalp, and holds scalp, becomes scalp.
    2. *skull*: where scalp and csf, gm or wm meet in a node, one side becomes compact bone
       at that node: the side that holds more bone. A node whose tetrahedra hold no
       bone is an opening of the skull (a foramen) and stays.
    3. *diploe*: spongy bone must not share a face with scalp, csf, gm or wm: the
       tetrahedron on the other side becomes compact bone if it holds any, else the spongy
       one if it does.

    Parameters
    ----------
    incidence : tetrahedra of each node (`topology.node_tetrahedra`); air tetrahedra that
        hold some tissue are among them.
    neighbours : (M, 4) tetrahedra behind the faces (`topology.face_neighbours`).
    votes : (M, 1 + len(names)) uint8, votes per label, air first.
    label : (M,) uint8, changed in place.
    names : tissue names; rules whose tissues are not among them do not apply.

    Returns
    -------
    Number of tetrahedra that each rule relabelled: `scalp`, `skull`, `diploe`.
    """
    identity = {name: number for number, name in enumerate(names, start=1)}
    scalp, compact, spongy = (identity.get(name, 0) for name in ("scalp", *SKULL))
    bone = votes[:, [identity[name] for name in SKULL if name in identity]].sum(axis=1, dtype=int)
    outside, inside = (
        np.isin(np.arange(len(names) + 1), [identity[name] for name in side if name in identity])
        for side in (OUTSIDE, INSIDE)
    )
    rules = {"scalp": lambda: _close_scalp(neighbours, votes, label, scalp)}
    rules["skull"] = lambda: _close_skull(*incidence, bone, outside, inside, compact, label)
    rules["diploe"] = lambda: _close_diploe(
        neighbours, votes[:, compact], outside | inside, spongy, compact, label
    )
    applies = {"scalp": scalp, "skull": compact, "diploe": compact and spongy}
    changed = dict.fromkeys(rules, 0)
    while True:  # ends: air only becomes scalp, and whatever becomes compact bone stays so
        before = dict(changed)
        for name, rule in rules.items():
            if applies[name]:
                changed[name] += rule()
        if changed == before:
            return changed


def _close_scalp(neighbours: np.ndarray, votes: np.ndarray, label: np.ndarray, scalp: int) -> int:
    around = np.where(neighbours >= 0, label[neighbours], 0)
    bare = np.any((around != 0) & (around != scalp), axis=1)
    covered = (label == 0) & (votes[:, scalp] > 0) & bare
    label[covered] = scalp
    return int(np.count_nonzero(covered))


@numba.njit(cache=True)
def _close_skull(indptr, tets, bone, outside, inside, compact, label):  # noqa: ANN001
    changed = 0
    for node in range(len(indptr) - 1):
        bone_out, bone_in, count_out, count_in = 0, 0, 0, 0
        for t in tets[indptr[node] : indptr[node + 1]]:
            if outside[label[t]]:
                count_out += 1
                bone_out += bone[t]
            elif inside[label[t]]:
                count_in += 1
                bone_in += bone[t]
        if count_out == 0 or count_in == 0 or bone_out + bone_in == 0:
            continue
        outer_side = bone_out * count_in >= bone_in * count_out
        for t in tets[indptr[node] : indptr[node + 1]]:
            if (outside if outer_side else inside)[label[t]]:
                label[t] = compact
                changed += 1
    return changed


@numba.njit(cache=True)
def _close_diploe(neighbours, share, soft, spongy, compact, label):  # noqa: ANN001
    changed = 0
    for t in range(len(label)):
        if label[t] != spongy:
            continue
        for u in neighbours[t]:
            if u < 0 or not soft[label[u]]:
                continue
            if share[u] > 0:
                label[u] = compact
                changed += 1
            elif share[t] > 0:
                label[t] = compact
                changed += 1
                break
    return changed
