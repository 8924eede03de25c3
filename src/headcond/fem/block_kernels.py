"""Kernels of the block multigrid cycle: sums over matrix rows for many vectors at once."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

# What a kernel carries at once of every row: one cache line, and one register where it is as wide.
_LINE = 64


def strip(dtype: npt.DTypeLike) -> int:
    """Columns of float32 or float64 that a kernel carries at once."""
    return _LINE // np.dtype(dtype).itemsize


@intrinsic
def _row_sum(typingctx, indices, data, first, last, x, column, out):  # noqa: ANN001
    """Write sum_n data[n] x[indices[n], column : column + strip] over first <= n < last to `out`.

    Arrays are all float32 or all float64, C-contiguous, indices int32. Written out as vector
    instructions because the compiler leaves so short an inner loop scalar.
    """
    number, count = (ir.FloatType(), 16) if data.dtype == types.float32 else (ir.DoubleType(), 8)
    signature = types.void(indices, data, types.intp, types.intp, x, types.intp, out)

    def generate(context, builder, signature, arguments):  # noqa: ANN001
        kinds = signature.args
        index_array, data_array, x_array, out_array = (
            make_array(kinds[n])(context, builder, arguments[n]) for n in (0, 1, 4, 6)
        )
        first, last, column = arguments[2], arguments[3], arguments[5]
        vector = ir.VectorType(number, count)
        width = builder.extract_value(x_array.shape, 1)
        total = cgutils.alloca_once_value(builder, ir.Constant(vector, [0.0] * count))
        with cgutils.for_range(builder, builder.sub(last, first)) as loop:
            n = builder.add(first, loop.index)
            value = builder.load(builder.gep(data_array.data, [n]))
            row = builder.sext(builder.load(builder.gep(index_array.data, [n])), width.type)
            start = builder.gep(x_array.data, [builder.add(builder.mul(row, width), column)])
            strip = builder.load(builder.bitcast(start, vector.as_pointer()), align=4)
            lane = builder.insert_element(
                ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
            )
            spread = builder.shuffle_vector(
                lane,
                ir.Constant(vector, ir.Undefined),
                ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count),
            )
            product = builder.fmul(spread, strip, flags=("fast",))
            builder.store(builder.fadd(builder.load(total), product, flags=("fast",)), total)
        goal = builder.bitcast(out_array.data, vector.as_pointer())
        builder.store(builder.load(total), goal, align=4)
        return context.get_dummy_value()

    return signature, generate


@numba.njit(cache=True, fastmath=True)
def sweep_from_zero(indptr, middle, indices, data, inverse, load, x, rest) -> None:  # noqa: ANN001
    """Gauss-Seidel forward from zero into `x`, and the residual that it leaves into `rest`.

    indptr (n + 1,), indices and data are the matrix's with sorted rows, `middle` (n,) where in
    them the diagonal is, `inverse` (n,) of the diagonal; load, x and rest are (n, k), k a
    multiple of `strip`. After the sweep only entries above the diagonal are left.
    """
    wide = _LINE // data.itemsize
    sums = np.empty(wide, data.dtype)
    for i in range(len(middle)):
        for s in range(0, x.shape[1], wide):
            _row_sum(indices, data, indptr[i], middle[i], x, s, sums)
            for c in range(wide):
                x[i, s + c] = (load[i, s + c] - sums[c]) * inverse[i]
    for i in range(len(middle)):
        for s in range(0, x.shape[1], wide):
            _row_sum(indices, data, middle[i] + 1, indptr[i + 1], x, s, sums)
            for c in range(wide):
                rest[i, s + c] = -sums[c]


@numba.njit(cache=True, fastmath=True)
def sweep_back(indptr, indices, data, inverse, load, x) -> None:  # noqa: ANN001
    """Gauss-Seidel backward, in place on `x`; arguments as for `sweep_from_zero`."""
    wide = _LINE // data.itemsize
    sums = np.empty(wide, data.dtype)
    for i in range(len(indptr) - 2, -1, -1):
        for s in range(0, x.shape[1], wide):
            _row_sum(indices, data, indptr[i], indptr[i + 1], x, s, sums)
            for c in range(wide):
                x[i, s + c] += (load[i, s + c] - sums[c]) * inverse[i]


@numba.njit(cache=True, fastmath=True)
def add_product(indptr, indices, data, block, out) -> None:  # noqa: ANN001
    """Add matrix (n, m) @ block (m, k) to `out` (n, k); k a multiple of `strip`."""
    wide = _LINE // data.itemsize
    sums = np.empty(wide, data.dtype)
    for i in range(len(indptr) - 1):
        for s in range(0, block.shape[1], wide):
            _row_sum(indices, data, indptr[i], indptr[i + 1], block, s, sums)
            for c in range(wide):
                out[i, s + c] += sums[c]
