"""Regular tetrahedral lattices over a label volume, and the vote of the labels inside them."""

from __future__ import annotations

import numba
import numpy as np

# Barycentric coordinates of 35 points spread evenly inside a tetrahedron: (i + 1/4) / 5 over
# all i + j + k + l = 4.
VOTES = 35
_BARYCENTRIC = np.array([
    (i + 0.25, j + 0.25, k + 0.25, 4.25 - i - j - k)
    for i in range(5) for j in range(5 - i) for k in range(5 - i - j)
]) / 5.0  # fmt: skip


def bcc(low: np.ndarray, high: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Body-centred-cubic lattice of tetrahedra around the box from `low` to `high`.

    Cells are cubes of edge `size` with corners at multiples of `size`; each face between
    two cells carries four congruent tetrahedra (both cell centres and one edge of the
    face) with dihedral angles of 60 and 90 degrees, two nodes and twelve tetrahedra a cell.

    Parameters
    ----------
    low, high : (3,) corners of the box that must lie inside the lattice.
    size : edge of a cell, in the unit of the box.

    Returns
    -------
    nodes : (N, 3) float64.
    tetrahedra : (M, 4) int32, positively oriented.
    """
    first = np.floor(np.asarray(low) / size).astype(np.int64) - 1
    cells = np.ceil(np.asarray(high) / size).astype(np.int64) + 1 - first
    corners = cells + 1
    corner = np.stack(np.meshgrid(*[np.arange(n) for n in corners], indexing="ij"), -1)
    centre = np.stack(np.meshgrid(*[np.arange(n) for n in cells], indexing="ij"), -1) + 0.5
    nodes = (np.concatenate([corner.reshape(-1, 3), centre.reshape(-1, 3)]) + first) * size
    corner_id = np.arange(corners.prod(), dtype=np.int32).reshape(corners)
    centre_id = np.arange(cells.prod(), dtype=np.int32).reshape(cells) + np.int32(corners.prod())
    blocks = []
    for axis in range(3):
        # Axes (axis, u, v) are right-handed, so the ring of corners turns about `axis`.
        centres = centre_id.transpose(axis, (axis + 1) % 3, (axis + 2) % 3)
        square = corner_id.transpose(axis, (axis + 1) % 3, (axis + 2) % 3)[1:-1]
        ring = (square[:, :-1, :-1], square[:, 1:, :-1], square[:, 1:, 1:], square[:, :-1, 1:])
        for m in range(4):
            tets = np.stack([centres[:-1], centres[1:], ring[m], ring[(m + 1) % 4]], axis=-1)
            blocks.append(tets.reshape(-1, 4))
    return nodes, np.concatenate(blocks)


def vote(
    nodes: np.ndarray, tetrahedra: np.ndarray, labels: np.ndarray, to_voxel: np.ndarray, kinds: int
) -> np.ndarray:
    """Count the labels at 35 points spread evenly inside each tetrahedron.

    Parameters
    ----------
    nodes, tetrahedra : (N, 3) world coordinates and (M, 4) node indices.
    labels : (nx, ny, nz) uint8 below `kinds`; outside the volume the label is 0.
    to_voxel : (4, 4) world -> voxel index.
    kinds : number of labels, 0 included.

    Returns
    -------
    (M, kinds) uint8 counts; each row sums to `VOTES`.
    """
    votes = np.zeros((len(tetrahedra), kinds), np.uint8)
    _vote(
        nodes @ to_voxel[:3, :3].T + to_voxel[:3, 3],
        tetrahedra,
        np.ascontiguousarray(labels),
        _BARYCENTRIC,
        votes,
    )
    return votes


@numba.njit(cache=True)
def _vote(nodes, tetrahedra, labels, barycentric, votes):  # noqa: ANN001
    nx, ny, nz = labels.shape
    for t in range(len(tetrahedra)):
        a, b, c, d = tetrahedra[t]
        for p in range(len(barycentric)):
            w0, w1, w2, w3 = barycentric[p]
            x = w0 * nodes[a, 0] + w1 * nodes[b, 0] + w2 * nodes[c, 0] + w3 * nodes[d, 0]
            y = w0 * nodes[a, 1] + w1 * nodes[b, 1] + w2 * nodes[c, 1] + w3 * nodes[d, 1]
            z = w0 * nodes[a, 2] + w1 * nodes[b, 2] + w2 * nodes[c, 2] + w3 * nodes[d, 2]
            i, j, k = int(np.floor(x + 0.5)), int(np.floor(y + 0.5)), int(np.floor(z + 0.5))
            label = 0
            if 0 <= i < nx and 0 <= j < ny and 0 <= k < nz:
                label = labels[i, j, k]
            votes[t, label] += 1


def weighted_majority(votes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Label (M,) uint8 of the largest votes times weights (kinds,).

    On a tie the lower id wins, and any tissue against air.
    """
    scores = votes * weights.astype(np.float32)
    best = np.argmax(scores[:, 1:], axis=1) + 1
    wins = scores[np.arange(len(votes)), best] >= scores[:, 0]
    return np.where(wins, best, 0).astype(np.uint8)


@numba.njit(cache=True)
def flip_spikes(neighbours: np.ndarray, votes: np.ndarray, label: np.ndarray) -> int:
    """Give spikes and pits, in place, the label around them; return how many.

    A tetrahedron with three or four faces towards one other label takes that label if it
    got any vote inside. Left alone, it could only be flattened, which the quality guard
    of snapping forbids.
    """
    flipped = 0
    for t in range(len(label)):
        for f in range(2):
            u = neighbours[t, f]
            other = label[u] if u >= 0 else np.uint8(0)
            if other == label[t] or votes[t, other] == 0:
                continue
            count = 0
            for v in neighbours[t]:
                if (label[v] if v >= 0 else np.uint8(0)) == other:
                    count += 1
            if count >= 3:
                label[t] = other
                flipped += 1
                break
    return flipped


def voxel_votes(
    labels: np.ndarray, affine: np.ndarray, size: float, kinds: int, samples: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Resample labels to cubes of edge `size` along the image's own axes, by vote.

    Parameters
    ----------
    labels : (nx, ny, nz) uint8.
    affine : (4, 4) voxel -> world; `size` in its unit.
    samples : points per axis inside each new voxel.

    Returns
    -------
    votes : (mx, my, mz, kinds) uint8.
    affine : (4, 4) of the new voxels; the outer corner of the first voxel stays in place.
    """
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    scale = size / edges
    shape = np.maximum(1, np.ceil(np.array(labels.shape) / scale - 1e-9)).astype(int)
    picks = []
    for axis in range(3):
        offset = (np.arange(samples) + 0.5) / samples
        index = (np.arange(shape[axis])[:, None] + offset) * scale[axis]
        picks.append(np.floor(index + 1e-9).astype(int))
    votes = np.zeros((*shape, kinds), np.uint8)
    padded = np.pad(
        labels,
        [(0, max(0, int(p.max()) + 1 - n)) for p, n in zip(picks, labels.shape, strict=True)],
    )
    cells = np.indices(shape, sparse=True)
    for i in range(samples):
        for j in range(samples):
            for k in range(samples):
                found = padded[np.ix_(picks[0][:, i], picks[1][:, j], picks[2][:, k])]
                votes[(*cells, found)] += 1
    new = affine.copy()
    new[:3, :3] = affine[:3, :3] * scale
    new[:3, 3] = affine[:3, 3] + affine[:3, :3] @ (0.5 * scale - 0.5)
    return votes, new


def voxel_tetrahedra(occupied: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split every occupied voxel into five tetrahedra that conform with their neighbours'.

    One regular tetrahedron in the middle and four corners, mirrored from voxel to voxel
    like a chessboard (dihedral angles 54.7 to 90 degrees in a cube).

    Parameters
    ----------
    occupied : (nx, ny, nz) bool.
    affine : (4, 4) voxel index -> world.

    Returns
    -------
    nodes : (N, 3) world coordinates of all voxel corners.
    tetrahedra : (5 V, 4) int64, positively oriented, five after five in the C order of
        the V occupied voxels.
    """
    shape = np.array(occupied.shape) + 1
    corner = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1) - 0.5
    nodes = corner.reshape(-1, 3) @ affine[:3, :3].T + affine[:3, 3]
    voxel = np.argwhere(occupied)
    even = np.array(
        [  # corners as bits xyz: 0 = 000, 1 = 001, ...
            (0, 3, 5, 6),
            (4, 5, 6, 0),
            (2, 6, 3, 0),
            (1, 3, 5, 0),
            (7, 3, 6, 5),
        ]
    )
    odd = even ^ 7
    local = np.where((voxel.sum(axis=1) % 2 == 0)[:, None, None], even, odd)
    index = [voxel[:, axis, None, None] + ((local >> (2 - axis)) & 1) for axis in range(3)]
    tets = np.ravel_multi_index(index, shape).reshape(-1, 4)
    edges = nodes[tets[:, 1:]] - nodes[tets[:, :1]]
    mirrored = np.linalg.det(edges) < 0
    tets[mirrored] = tets[mirrored][:, [0, 2, 1, 3]]
    return nodes, tets
