"""Inner loops of the multigrid cycle: smoothing, residuals and transfer, in float32.

Node arrays carry ghosts (see `stencil`). A sweep runs through the planes of the first axis by
parity, planes of one parity in parallel, their rows in order, and through a row in two halves,
every second node first, so that no node waits for its neighbour and rows fill vector
registers. The backward sweep visits all nodes in the reverse order: it is the adjoint.

A sweep from x = 0 solves (D + L) x = b, with L the couplings to nodes that come earlier, so it
reads L only, and the residual it leaves is -U x, with U the couplings to those that come later:
together they cost one pass through the matrix instead of two.

An operator is four arrays (ex, ey, ez, points): the 7-point network's edges and nothing, or
nothing and the 27 weights of a node as (i, j, weight, k).
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(inline="always")
def _add_three(rest, w, at, lo, hi, x):  # noqa: ANN001
    w0, w1, w2 = w[at, lo:hi], w[at + 1, lo:hi], w[at + 2, lo:hi]
    row = x[lo - 1 : hi + 1]
    for k in range(hi - lo):
        rest[k] -= w0[k] * row[k] + w1[k] * row[k + 1] + w2[k] * row[k + 2]


@numba.njit(inline="always")
def _add_nine(rest, w, at, lo, hi, x, j):  # noqa: ANN001
    # One loop, so that a short row pays for its odd end once.
    a0, a1, a2 = w[at, lo:hi], w[at + 1, lo:hi], w[at + 2, lo:hi]
    b0, b1, b2 = w[at + 3, lo:hi], w[at + 4, lo:hi], w[at + 5, lo:hi]
    c0, c1, c2 = w[at + 6, lo:hi], w[at + 7, lo:hi], w[at + 8, lo:hi]
    a, b, c = x[j - 1, lo - 1 : hi + 1], x[j, lo - 1 : hi + 1], x[j + 1, lo - 1 : hi + 1]
    for k in range(hi - lo):
        rest[k] -= (
            (a0[k] * a[k] + a1[k] * a[k + 1] + a2[k] * a[k + 2])
            + (b0[k] * b[k] + b1[k] * b[k + 1] + b2[k] * b[k + 2])
            + (c0[k] * c[k] + c1[k] * c[k + 1] + c2[k] * c[k + 2])
        )


@numba.njit(inline="always")
def _along(ez, points, i, j, lo, hi):  # noqa: ANN001
    """Couplings of row (i, j) to the node before and behind, and their sign in b - A x."""
    if points.shape[0] == 0:
        return ez[i, j, lo - 1 : hi - 1], ez[i, j, lo:hi], np.float32(1)
    return points[i, j, 12, lo:hi], points[i, j, 14, lo:hi], np.float32(-1)


@numba.njit(inline="always")
def _second_half(row, rest, back, ahead, sign, scale, first, kept):  # noqa: ANN001
    """Relax the nodes that the first half in `kept` has left over, and write the whole row."""
    count = scale.shape[0]
    kept[0], kept[count + 1] = np.float32(0), np.float32(0)
    for k in range(count):
        new = scale[k] * (rest[k] + sign * (back[k] * kept[k] + ahead[k] * kept[k + 2]))
        row[k + 1] = new if (k + first) & 1 else kept[k + 1]


@numba.njit(parallel=True, cache=True, fastmath=True)
def relax_from_zero(x, b, ex, ey, ez, points, inverse, bounds):  # noqa: ANN001, ANN201
    """Write the Gauss-Seidel sweep on A x = b from x = 0 into x, whatever x held before."""
    n0, n1 = x.shape[0], x.shape[1]
    for colour in range(2):
        for t in numba.prange((n0 - 1 - colour) // 2):
            i = 1 + colour + 2 * t
            rest, kept = np.empty(x.shape[2], np.float32), np.empty(x.shape[2], np.float32)
            for j in range(1, n1 - 1):
                lo, hi = bounds[i, j, 0], bounds[i, j, 1]
                if hi == 0:
                    continue
                source, scale = b[i, j, lo:hi], inverse[i, j, lo:hi]
                if points.shape[0] == 0:
                    left, ey0 = x[i, j - 1, lo:hi], ey[i, j - 1, lo:hi]
                    if colour == 0:
                        for k in range(hi - lo):
                            value = source[k] + ey0[k] * left[k]
                            rest[k] = value
                            kept[k + 1] = np.float32(0) if k & 1 else scale[k] * value
                    else:
                        below, above = x[i - 1, j, lo:hi], x[i + 1, j, lo:hi]
                        ex0, ex1 = ex[i - 1, j, lo:hi], ex[i, j, lo:hi]
                        for k in range(hi - lo):
                            value = source[k] + (
                                ex0[k] * below[k] + ex1[k] * above[k] + ey0[k] * left[k]
                            )
                            rest[k] = value
                            kept[k + 1] = np.float32(0) if k & 1 else scale[k] * value
                else:
                    for k in range(hi - lo):
                        rest[k] = source[k]
                    if colour == 1:
                        _add_nine(rest, points[i, j], 0, lo, hi, x[i - 1], j)
                        _add_nine(rest, points[i, j], 18, lo, hi, x[i + 1], j)
                    _add_three(rest, points[i, j], 9, lo, hi, x[i, j - 1])
                    for k in range(hi - lo):
                        kept[k + 1] = np.float32(0) if k & 1 else scale[k] * rest[k]
                back, ahead, sign = _along(ez, points, i, j, lo, hi)
                row = x[i, j, lo - 1 : hi + 1]
                _second_half(row, rest, back, ahead, sign, scale, 0, kept)


@numba.njit(parallel=True, cache=True, fastmath=True)
def relax_backward(x, b, ex, ey, ez, points, inverse, bounds):  # noqa: ANN001, ANN201
    """Gauss-Seidel sweep on A x = b in the reverse order."""
    n0, n1 = x.shape[0], x.shape[1]
    for colour in range(1, -1, -1):
        for t in numba.prange((n0 - 1 - colour) // 2):
            i = 1 + colour + 2 * t
            rest, kept = np.empty(x.shape[2], np.float32), np.empty(x.shape[2], np.float32)
            for j in range(n1 - 2, 0, -1):
                lo, hi = bounds[i, j, 0], bounds[i, j, 1]
                if hi == 0:
                    continue
                source, scale = b[i, j, lo:hi], inverse[i, j, lo:hi]
                row = x[i, j, lo - 1 : hi + 1]
                back, ahead, sign = _along(ez, points, i, j, lo, hi)
                if points.shape[0] == 0:
                    below, above = x[i - 1, j, lo:hi], x[i + 1, j, lo:hi]
                    left, right = x[i, j - 1, lo:hi], x[i, j + 1, lo:hi]
                    ex0, ex1 = ex[i - 1, j, lo:hi], ex[i, j, lo:hi]
                    ey0, ey1 = ey[i, j - 1, lo:hi], ey[i, j, lo:hi]
                    for k in range(hi - lo):
                        value = source[k] + (
                            ex0[k] * below[k] + ex1[k] * above[k]
                            + ey0[k] * left[k] + ey1[k] * right[k]
                        )  # fmt: skip
                        rest[k] = value
                        new = scale[k] * (value + (back[k] * row[k] + ahead[k] * row[k + 2]))
                        kept[k + 1] = new if k & 1 else row[k + 1]
                else:
                    for k in range(hi - lo):
                        rest[k] = source[k]
                    for part in range(2):
                        _add_nine(rest, points[i, j], 18 * part, lo, hi, x[i - 1 + 2 * part], j)
                        _add_three(rest, points[i, j], 9 + 6 * part, lo, hi, x[i, j - 1 + 2 * part])
                    for k in range(hi - lo):
                        new = scale[k] * (rest[k] - (back[k] * row[k] + ahead[k] * row[k + 2]))
                        kept[k + 1] = new if k & 1 else row[k + 1]
                _second_half(row, rest, back, ahead, sign, scale, 1, kept)


@numba.njit(inline="always")
def _left_over(x, ex, ey, ez, points, i, j, lo, hi, rest):  # noqa: ANN001
    """Write the residual of row (i, j) after a forward sweep from zero."""
    back, ahead, sign = _along(ez, points, i, j, lo, hi)
    row = x[i, j, lo - 1 : hi + 1]
    for k in range(hi - lo):
        waited = sign * (back[k] * row[k] + ahead[k] * row[k + 2])
        rest[k] = np.float32(0) if k & 1 else waited
    if points.shape[0] == 0:
        right, ey1 = x[i, j + 1, lo:hi], ey[i, j, lo:hi]
        if i % 2 == 1:
            below, above = x[i - 1, j, lo:hi], x[i + 1, j, lo:hi]
            ex0, ex1 = ex[i - 1, j, lo:hi], ex[i, j, lo:hi]
            for k in range(hi - lo):
                rest[k] += ex0[k] * below[k] + ex1[k] * above[k] + ey1[k] * right[k]
        else:
            for k in range(hi - lo):
                rest[k] += ey1[k] * right[k]
    else:
        if i % 2 == 1:
            _add_nine(rest, points[i, j], 0, lo, hi, x[i - 1], j)
            _add_nine(rest, points[i, j], 18, lo, hi, x[i + 1], j)
        _add_three(rest, points[i, j], 15, lo, hi, x[i, j + 1])


@numba.njit(fastmath=True, cache=True)
def _gather_plane(x, ex, ey, ez, points, bounds, i, ratio1, rest, plane):  # noqa: ANN001
    """Residual of plane i, restricted along the second axis, into `plane` (coarse_1, fine_2)."""
    plane[:] = 0
    if i >= x.shape[0] - 1:
        return
    for j in range(1, x.shape[1] - 1):
        lo, hi = bounds[i, j, 0], bounds[i, j, 1]
        if hi == 0:
            continue
        _left_over(x, ex, ey, ez, points, i, j, lo, hi, rest)
        at, between = (j - 1) // ratio1 + 1, (j - 1) % ratio1
        weight = np.float32(0.5 if between else 1.0)
        for target in range(at, at + between + 1):
            out = plane[target, lo:hi]
            for k in range(hi - lo):
                out[k] += weight * rest[k]


@numba.njit(parallel=True, cache=True, fastmath=True)
def restrict_residual(x, ex, ey, ez, points, bounds, ratio, coarse_bounds, coarse, chunks):  # noqa: ANN001, ANN201
    """Write the residual after a forward sweep from zero, restricted, into `coarse`.

    Restriction is the transpose of trilinear interpolation. Coarse planes are shared out in
    `chunks` runs, so that the fine plane between two of them is read once.
    """
    m0, m1 = coarse.shape[0], coarse.shape[1]
    ratio0, ratio1, ratio2 = ratio
    half0, half2 = np.float32(0.5 * (ratio0 - 1)), np.float32(0.5 * (ratio2 - 1))
    chunks = min(m0 - 2, chunks)
    for t in numba.prange(chunks):
        first, last = 1 + t * (m0 - 2) // chunks, 1 + (t + 1) * (m0 - 2) // chunks
        rest = np.empty(x.shape[2], np.float32)
        total = np.zeros(x.shape[2] + 2, np.float32)
        before = np.zeros((m1 + 1, x.shape[2]), np.float32)
        here, behind = np.zeros_like(before), np.zeros_like(before)
        if ratio0 == 2 and first > 1:
            _gather_plane(x, ex, ey, ez, points, bounds, 2 * first - 2, ratio1, rest, behind)
        for i in range(first, last):
            before, behind = behind, before
            centre = ratio0 * (i - 1) + 1
            _gather_plane(x, ex, ey, ez, points, bounds, centre, ratio1, rest, here)
            if ratio0 == 2:
                _gather_plane(x, ex, ey, ez, points, bounds, centre + 1, ratio1, rest, behind)
            for j in range(1, m1 - 1):
                lo, hi = coarse_bounds[i, j, 0], coarse_bounds[i, j, 1]
                if hi == 0:
                    continue
                row0, row1, row2 = before[j], here[j], behind[j]
                for k in range(x.shape[2]):
                    total[k] = row1[k] + half0 * (row0[k] + row2[k])
                out = coarse[i, j, lo:hi]
                if ratio2 == 1:
                    for k in range(hi - lo):
                        out[k] = total[k + lo]
                else:
                    origin = 2 * (lo - 1) + 1
                    for k in range(hi - lo):
                        c = origin + 2 * k
                        out[k] = total[c] + half2 * (total[c - 1] + total[c + 1])


@numba.njit(parallel=True, cache=True, fastmath=True)
def prolong(coarse, ratio0, ratio1, ratio2, bounds, fine):  # noqa: ANN001, ANN201
    """Add the trilinear interpolation of `coarse` to the rows of `fine`.

    Nodes of a row that do not conduct take part; the sweep that follows sets them to zero.
    """
    eighth = np.float32(0.125)
    for i in numba.prange(1, fine.shape[0] - 1):
        total = np.zeros(coarse.shape[2] + 1, np.float32)
        i0 = (i - 1) // ratio0 + 1
        i1 = i0 + ((i - 1) % ratio0 > 0)
        for j in range(1, fine.shape[1] - 1):
            lo, hi = bounds[i, j, 0], bounds[i, j, 1]
            if hi == 0:
                continue
            j0 = (j - 1) // ratio1 + 1
            j1 = j0 + ((j - 1) % ratio1 > 0)
            row00, row01 = coarse[i0, j0], coarse[i0, j1]
            row10, row11 = coarse[i1, j0], coarse[i1, j1]
            for k in range(coarse.shape[2]):
                total[k] = eighth * ((row00[k] + row01[k]) + (row10[k] + row11[k]))
            row = fine[i, j]
            if ratio2 == 1:
                for k in range(lo, hi):
                    row[k] += np.float32(2) * total[k]
                continue
            # Odd nodes lie on coarse ones, even ones between two.
            if lo % 2 == 0:
                row[lo] += total[lo // 2] + total[lo // 2 + 1]
            start = lo // 2 * 2 + 1
            pairs, values = row[start:hi], total[start // 2 + 1 :]
            for k in range((hi - start) // 2):
                pairs[2 * k] += values[k] + values[k]
                pairs[2 * k + 1] += values[k] + values[k + 1]
            if (hi - start) % 2:
                row[hi - 1] += np.float32(2) * total[hi // 2]
