"""Inner loops of the multigrid cycle: smoothing, residuals and transfer, in float32.

Node arrays carry ghosts (see `stencil`). A sweep runs through the planes of the first axis by
parity, planes of one parity in parallel, rows and nodes within a plane in order; the backward
sweep visits all nodes in exactly the reverse order, so that it is the adjoint of the forward
one. Coarse levels keep the 27 weights of a node as (i, j, weight, k).
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(inline="always")
def _recur(fixed, slope, row, count, forward):  # noqa: ANN001
    """Solve row[k+1] = fixed[k] + slope[k] * (its neighbour in the order of the sweep)."""
    if forward:
        value = row[0]
        for k in range(count):
            value = fixed[k] + slope[k] * value
            row[k + 1] = value
    else:
        value = row[count + 1]
        for k in range(count - 1, -1, -1):
            value = fixed[k] + slope[k] * value
            row[k + 1] = value


@numba.njit(parallel=True, cache=True, fastmath=True)
def relax_edges(x, b, ex, ey, ez, inverse, bounds, forward, from_zero):  # noqa: ANN001, ANN201
    """Gauss-Seidel sweep of the 7-point network, planes of one parity in parallel."""
    n0, n1 = x.shape[0], x.shape[1]
    if from_zero:
        for i in numba.prange(1, n0 - 1):
            for j in range(1, n1 - 1):
                x[i, j, bounds[i, j, 0] : bounds[i, j, 1]] = 0
    for colour in range(2):
        start = 1 + colour if forward else 2 - colour
        for t in numba.prange((n0 - start) // 2):
            i = start + 2 * t
            fixed, slope = np.empty(x.shape[2], np.float32), np.empty(x.shape[2], np.float32)
            for turn in range(1, n1 - 1):
                j = turn if forward else n1 - 1 - turn
                lo, hi = bounds[i, j, 0], bounds[i, j, 1]
                if hi == 0:
                    continue
                below, above = x[i - 1, j, lo:hi], x[i + 1, j, lo:hi]
                left, right = x[i, j - 1, lo:hi], x[i, j + 1, lo:hi]
                row = x[i, j, lo - 1 : hi + 1]
                ex0, ex1 = ex[i - 1, j, lo:hi], ex[i, j, lo:hi]
                ey0, ey1 = ey[i, j - 1, lo:hi], ey[i, j, lo:hi]
                ez0 = ez[i, j, lo - 1 : hi]
                source, scale = b[i, j, lo:hi], inverse[i, j, lo:hi]
                # All that does not wait for this sweep's own row first, in vector registers.
                old, new = (1, 0) if forward else (0, 1)
                for k in range(hi - lo):
                    around = (
                        ex0[k] * below[k] + ex1[k] * above[k]
                        + ey0[k] * left[k] + ey1[k] * right[k] + source[k]
                    )  # fmt: skip
                    fixed[k] = scale[k] * (around + ez0[k + old] * row[k + 2 * old])
                    slope[k] = scale[k] * ez0[k + new]
                _recur(fixed, slope, row, hi - lo, forward)


@numba.njit(parallel=True, cache=True, fastmath=True)
def residual_edges(x, b, ex, ey, ez, bounds, r):  # noqa: ANN001, ANN201
    """Write b - A x of the 7-point network into r."""
    for i in numba.prange(1, x.shape[0] - 1):
        for j in range(1, x.shape[1] - 1):
            lo, hi = bounds[i, j, 0], bounds[i, j, 1]
            if hi == 0:
                continue
            centre, below, above = x[i, j, lo:hi], x[i - 1, j, lo:hi], x[i + 1, j, lo:hi]
            left, right = x[i, j - 1, lo:hi], x[i, j + 1, lo:hi]
            back, ahead = x[i, j, lo - 1 : hi - 1], x[i, j, lo + 1 : hi + 1]
            ex0, ex1 = ex[i - 1, j, lo:hi], ex[i, j, lo:hi]
            ey0, ey1 = ey[i, j - 1, lo:hi], ey[i, j, lo:hi]
            ez0, ez1 = ez[i, j, lo - 1 : hi - 1], ez[i, j, lo:hi]
            source, out = b[i, j, lo:hi], r[i, j, lo:hi]
            for k in range(hi - lo):
                c = centre[k]
                out[k] = source[k] + (
                    ex0[k] * (below[k] - c) + ex1[k] * (above[k] - c)
                    + ey0[k] * (left[k] - c) + ey1[k] * (right[k] - c)
                    + ez0[k] * (back[k] - c) + ez1[k] * (ahead[k] - c)
                )  # fmt: skip


@numba.njit(inline="always")
def _other_rows(x, b, w, i, j, lo, hi, rest):  # noqa: ANN001
    """Write b less the eight neighbouring rows' terms of row (i, j) into `rest`."""
    rows = (x[i - 1, j - 1], x[i - 1, j], x[i - 1, j + 1], x[i, j - 1],
            x[i, j + 1], x[i + 1, j - 1], x[i + 1, j], x[i + 1, j + 1])  # fmt: skip
    source = b[i, j, lo:hi]
    for k in range(hi - lo):
        rest[k] = source[k]
    for n in range(8):
        row = rows[n][lo - 1 : hi + 1]
        at = 3 * n if n < 4 else 3 * n + 3
        w0, w1, w2 = w[at, lo:hi], w[at + 1, lo:hi], w[at + 2, lo:hi]
        for k in range(hi - lo):
            rest[k] -= w0[k] * row[k] + w1[k] * row[k + 1] + w2[k] * row[k + 2]


@numba.njit(parallel=True, cache=True, fastmath=True)
def relax_points(x, b, points, inverse, bounds, forward, from_zero):  # noqa: ANN001, ANN201
    """Gauss-Seidel sweep of a 27-point level, planes of one parity in parallel."""
    n0, n1 = x.shape[0], x.shape[1]
    if from_zero:
        for i in numba.prange(1, n0 - 1):
            for j in range(1, n1 - 1):
                x[i, j, bounds[i, j, 0] : bounds[i, j, 1]] = 0
    for colour in range(2):
        start = 1 + colour if forward else 2 - colour
        for t in numba.prange((n0 - start) // 2):
            i = start + 2 * t
            rest, slope = np.empty(x.shape[2], np.float32), np.empty(x.shape[2], np.float32)
            for turn in range(1, n1 - 1):
                j = turn if forward else n1 - 1 - turn
                lo, hi = bounds[i, j, 0], bounds[i, j, 1]
                if hi == 0:
                    continue
                w = points[i, j]
                _other_rows(x, b, w, i, j, lo, hi, rest)
                row, scale = x[i, j, lo - 1 : hi + 1], inverse[i, j, lo:hi]
                old, new = (14, 12) if forward else (12, 14)
                known, waiting = w[old, lo:hi], w[new, lo:hi]
                at = 2 if forward else 0
                for k in range(hi - lo):
                    rest[k] = scale[k] * (rest[k] - known[k] * row[k + at])
                    slope[k] = -scale[k] * waiting[k]
                _recur(rest, slope, row, hi - lo, forward)


@numba.njit(parallel=True, cache=True, fastmath=True)
def residual_points(x, b, points, bounds, r):  # noqa: ANN001, ANN201
    """Write b - A x of a 27-point level into r."""
    for i in numba.prange(1, x.shape[0] - 1):
        rest = np.empty(x.shape[2], np.float32)
        for j in range(1, x.shape[1] - 1):
            lo, hi = bounds[i, j, 0], bounds[i, j, 1]
            if hi == 0:
                continue
            w = points[i, j]
            _other_rows(x, b, w, i, j, lo, hi, rest)
            row, out = x[i, j, lo - 1 : hi + 1], r[i, j, lo:hi]
            back, centre, ahead = w[12, lo:hi], w[13, lo:hi], w[14, lo:hi]
            for k in range(hi - lo):
                out[k] = rest[k] - (
                    back[k] * row[k] + centre[k] * row[k + 1] + ahead[k] * row[k + 2]
                )


@numba.njit(parallel=True, cache=True, fastmath=True)
def restrict(fine, ratio0, ratio1, ratio2, bounds, coarse):  # noqa: ANN001, ANN201
    """Write the transpose of trilinear interpolation, applied to `fine`, into `coarse`."""
    half0 = np.float32(0.5 * (ratio0 - 1))
    half1, half2 = np.float32(0.5 * (ratio1 - 1)), np.float32(0.5 * (ratio2 - 1))
    n0, n1, n2 = fine.shape
    for i in numba.prange(1, coarse.shape[0] - 1):
        for j in range(1, coarse.shape[1] - 1):
            for k in range(bounds[i, j, 0], bounds[i, j, 1]):
                centre0, centre1 = ratio0 * (i - 1) + 1, ratio1 * (j - 1) + 1
                centre2 = ratio2 * (k - 1) + 1
                total = np.float32(0)
                for d in range(-1, 2):
                    w0 = half0 if d else np.float32(1)
                    a = centre0 + d
                    if a >= n0:
                        continue
                    for e in range(-1, 2):
                        w1 = w0 * (half1 if e else np.float32(1))
                        b = centre1 + e
                        if b >= n1 or w1 == 0:
                            continue
                        row = fine[a, b]
                        part = half2 * row[centre2 - 1]
                        if centre2 < n2:
                            part += row[centre2]
                        if centre2 + 1 < n2:
                            part += half2 * row[centre2 + 1]
                        total += w1 * part
                coarse[i, j, k] = total


@numba.njit(parallel=True, cache=True, fastmath=True)
def prolong(coarse, ratio0, ratio1, ratio2, inverse, bounds, fine):  # noqa: ANN001, ANN201
    """Add the trilinear interpolation of `coarse` to the active nodes of `fine`."""
    eighth, shift = np.float32(0.125), ratio2 - 1
    for i in numba.prange(1, fine.shape[0] - 1):
        i0 = (i - 1) // ratio0 + 1
        i1 = i0 + ((i - 1) % ratio0 > 0)
        for j in range(1, fine.shape[1] - 1):
            j0 = (j - 1) // ratio1 + 1
            j1 = j0 + ((j - 1) % ratio1 > 0)
            row00, row01 = coarse[i0, j0], coarse[i0, j1]
            row10, row11 = coarse[i1, j0], coarse[i1, j1]
            for k in range(bounds[i, j, 0], bounds[i, j, 1]):
                if inverse[i, j, k] == 0:
                    continue
                k0 = ((k - 1) >> shift) + 1  # no division in the innermost loop
                k1 = k0 + ((k - 1) & shift)
                low = (row00[k0] + row01[k0]) + (row10[k0] + row11[k0])
                high = (row00[k1] + row01[k1]) + (row10[k1] + row11[k1])
                fine[i, j, k] += eighth * (low + high)
