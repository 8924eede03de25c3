"""A small affine operator with the structure of a head's: nested shells, disc electrodes."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from headcond.fem.operator import AffineOperator

TISSUES = ("scalp", "compact_bone", "spongy_bone", "csf", "gm", "wm")
CONTACT = 0.2  # 1/z, 1/(Ohm m^2)


def synthetic_operator(points: int = 10, size: float = 0.18, electrodes: int = 8):
    """Seven-point conductances on a cube of `points`^3 nodes, edge length `size` (m).

    Tissues are nested cubes (nearly so below 12 points); electrodes are patches of 2 x 2
    nodes on the six faces with the contact of the complete electrode model.
    """
    step = size / (points - 1)
    index = np.arange(points**3).reshape((points,) * 3)
    i, j, k = np.indices(index.shape)
    depth = np.minimum.reduce([np.minimum(c, points - 1 - c) for c in (i, j, k)])
    if points >= 12:
        ends = np.linspace(0, points / 2, 7)[1:-1]
        label = np.searchsorted(ends, depth, side="right")
    else:  # too few layers for six shells: spongy bone in patches, the inside in three kinds
        label = np.select([depth == 0, depth == 1], [0, 1 + (i + j + k) // 2 % 2],
                          3 + (i + j) % 3)  # fmt: skip
    rows, columns, block = [], [], []
    for axis in range(3):
        low = np.take(index, range(points - 1), axis).ravel()
        high = np.take(index, range(1, points), axis).ravel()
        rows.append(low)
        columns.append(high)
        block.append(np.minimum(label.ravel()[low], label.ravel()[high]))
    rows, columns, block = (np.concatenate(a) for a in (rows, columns, block))
    weight = np.full(len(rows), step)
    nodes = points**3
    faces = [index[0], index[-1], index[:, 0], index[:, -1], index[:, :, 0], index[:, :, -1]]
    low, high = points // 4, (3 * points) // 4 - 1
    for electrode in range(electrodes):
        face = faces[electrode % 6]
        a, b = ((low, low), (high, low), (low, high), (high, high))[(electrode // 6) % 4]
        patch = face[a : a + 2, b : b + 2].ravel()
        rows = np.append(rows, patch)
        columns = np.append(columns, np.full(len(patch), nodes + electrode))
        block = np.append(block, np.full(len(patch), len(TISSUES)))
        weight = np.append(weight, np.full(len(patch), step * step / 1.0))
    total = nodes + electrodes
    blocks = []
    for q in range(len(TISSUES) + 1):
        mine = block == q
        edge = sparse.csr_matrix((weight[mine], (rows[mine], columns[mine])), (total, total))
        edge = edge + edge.T
        blocks.append(sparse.diags(np.asarray(edge.sum(axis=1)).ravel()) - edge)
    assert all(matrix.nnz for matrix in blocks)
    pattern = sparse.csr_matrix(sum(abs(b) for b in blocks) + sparse.eye(total))
    pattern.sort_indices()
    keys = np.repeat(np.arange(total), np.diff(pattern.indptr)) * total + pattern.indices.astype(
        int
    )
    data = np.zeros((len(blocks), pattern.nnz))
    for q, matrix in enumerate(blocks):
        entries = matrix.tocoo()
        data[q, np.searchsorted(keys, entries.row.astype(int) * total + entries.col)] = entries.data
    labels = tuple(f"E{k}" for k in range(electrodes))
    return AffineOperator(
        (*TISSUES, "contact"), pattern.indptr, pattern.indices, data, labels, nodes
    )
