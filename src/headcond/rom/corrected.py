"""Readings corrected by the dual solution, and the blocks between two bases that they need.

With u_i = A^-1 b_i, b_i = I (e_i - e_sink), the transfer T_im = b_m' u_i has the other pair's
solution as its dual. From the reduced z_i and z_m

    T_im ~ b_m' V_i z_i + b_i' V_m z_m - z_i' (V_i' A V_m) z_m,

whose error is (u_i - V_i z_i)' A (u_m - V_m z_m): at most Delta_i Delta_m, a product of two
small numbers. V_i' A_q V_m are the cross blocks; `form_cross` makes them out of core.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from headcond.checks import InputError, check_positive
from headcond.fem.operator import AffineOperator
from headcond.rom.basis import basis_columns
from headcond.rom.bounds import chunks
from headcond.rom.pair_model import PairModel
from headcond.rom.parameters import Box


class _Column(NamedTuple):
    """A basis vector on disk; its header is parsed once, not for every band of rows."""

    path: Path
    offset: int
    dtype: np.dtype
    size: int


logger = logging.getLogger(__name__)
_LEAST_ROWS = 64
_PART = 0.4  # of the work space for the product, as much for the bands; the rest: temporaries


@dataclass(frozen=True)
class CrossBlocks:
    """Blocks V_i' A_q V_m between the bases of all pairs i < m of one reduced model.

    Attributes
    ----------
    sources : the pairs' injecting electrodes.
    counts : number N of basis vectors of each pair.
    rows : per pair i, (Q, N_i, sum of N_m over m > i): its blocks with the later pairs,
        side by side.
    """

    sources: tuple[str, ...]
    counts: tuple[int, ...]
    rows: tuple[np.ndarray, ...]

    def __post_init__(self) -> None:
        if not len(self.sources) == len(self.counts) == len(self.rows):
            raise InputError("Cross blocks: sources, counts and rows do not fit together.")
        for i, row in enumerate(self.rows):
            if row.ndim != 3 or row.shape[1:] != (self.counts[i], sum(self.counts[i + 1 :])):
                raise InputError(f"Cross blocks of pair {self.sources[i]} have shape {row.shape}.")

    def columns(self, i: int) -> np.ndarray:
        """Where the blocks of each later pair begin in `rows[i]`."""
        return np.cumsum([0, *self.counts[i + 1 :]])[:-1].astype(int)

    def block(self, i: int, m: int) -> np.ndarray:
        """The blocks V_i' A_q V_m (Q, N_i, N_m) of two different pairs, by number."""
        if i > m:
            return self.block(m, i).transpose(0, 2, 1)
        start = self.columns(i)[m - i - 1]
        return self.rows[i][:, :, start : start + self.counts[m]]

    def row(self, i: int) -> np.ndarray:
        """The blocks (Q, N_i, all N) of pair i with every pair, side by side; 0 with itself."""
        empty = np.zeros((len(self.rows[i]), self.counts[i], self.counts[i]))
        before = [self.block(i, m) for m in range(i)]
        return np.concatenate([*before, empty, self.rows[i]], axis=2)

    def select(self, sources: Sequence[str]) -> CrossBlocks:
        """The blocks between some of the pairs, in the order given."""
        numbers = [self.sources.index(source) for source in sources]
        return self._rebuilt(numbers, [self.counts[n] for n in numbers])

    def first(self, count: int | None) -> CrossBlocks:
        """The blocks of the first `count` basis vectors of every pair (all for None)."""
        if count is None or count >= max(self.counts):
            return self
        return self._rebuilt(range(len(self.counts)), [min(n, count) for n in self.counts])

    def write(self, group: h5py.Group) -> None:
        """Write into an HDF5 group, one dataset per pair."""
        for number, row in enumerate(self.rows):
            group[f"{number:04d}"] = row

    @classmethod
    def read(cls, group: h5py.Group, sources: Sequence[str], counts: Sequence[int]) -> CrossBlocks:
        """Read what `write` wrote for pairs with these sources and numbers of vectors."""
        rows = tuple(group[f"{number:04d}"][:] for number in range(len(sources)))
        return cls(tuple(sources), tuple(counts), rows)

    def _rebuilt(self, numbers: Sequence[int], counts: Sequence[int]) -> CrossBlocks:
        rows = []
        for a, (i, rank) in enumerate(zip(numbers, counts, strict=True)):
            later = zip(numbers[a + 1 :], counts[a + 1 :], strict=True)
            parts = [self.block(i, m)[:, :rank, :other] for m, other in later]
            empty = np.empty((len(self.rows[0]), rank, 0))
            rows.append(np.concatenate([empty, *parts], axis=2))
        return CrossBlocks(tuple(self.sources[n] for n in numbers), tuple(counts), tuple(rows))


def form_cross(
    operator: AffineOperator,
    box: Box,
    sources: Sequence[str],
    folders: Mapping[str, str | Path],
    *,
    memory: float = 2e9,
) -> CrossBlocks:
    """Form the cross blocks from bases on disk, rows by rows.

    The bases are read about once per group of pairs, a band of rows (and its neighbours in
    the mesh) at a time, so that neither all bases nor any whole one is ever in memory.

    Parameters
    ----------
    operator, box : of the training; the box decides the Q blocks.
    sources : injecting electrodes of the pairs, in the model's order.
    folders : folder of each pair's basis, as training with `keep_bases` leaves it.
    memory : bytes of work space besides the operator's blocks and the result. Groups are
        made as large as 40 % of it allows.

    Raises
    ------
    InputError
        If a basis is missing or belongs to another mesh.
    """
    check_positive("memory", memory)
    files = {source: _columns(source, folders, operator.size) for source in sources}
    counts = [len(files[source]) for source in sources]
    blocks = box.blocks(operator)
    rows: list[np.ndarray] = []
    while len(rows) < len(sources):
        first = len(rows)
        held = 8 * len(blocks) * sum(counts[first:]) * np.cumsum(counts[first:])  # bytes
        last = first + int(np.count_nonzero(held <= memory * _PART))
        if last == first:
            raise InputError(
                f"The cross blocks of pair {sources[first]} alone take {held[0] / 1e6:.1f} MB: "
                f"give 2.5 times that as memory, not {memory / 1e6:.1f} MB."
            )
        mine = [file for source in sources[first:last] for file in files[source]]
        right = [file for source in sources[first:] for file in files[source]]
        product = _products(blocks, mine, right, memory * _PART)
        starts = np.cumsum([0, *counts[first:]])
        for k in range(last - first):
            own = slice(starts[k], starts[k + 1])
            rows.append(product[:, own, starts[k + 1] :].copy())
        logger.info("cross blocks: %d of %d pairs", len(rows), len(sources))
    return CrossBlocks(tuple(sources), tuple(counts), tuple(rows))


def corrected_potentials(
    pairs: Sequence[PairModel],
    cross: CrossBlocks,
    place: Sequence[int],
    sink: int,
    current: float,
    theta: np.ndarray,
    parameters: int = 0,
) -> np.ndarray:
    """Corrected potentials (S, pairs, L) against the sink, V, or their derivatives.

    Parameters
    ----------
    pairs : the pairs' reduced models.
    cross : blocks between them.
    place : number of each pair's source among the L electrodes; `sink` is the other one.
    current : injected current, A.
    theta : (S, Q) affine coefficients.
    parameters : return derivatives by the first so many theta, (S, pairs, L, K); 0 for the
        potentials themselves.
    """
    tail = (parameters,) if parameters else ()
    out = np.zeros((len(theta), len(pairs), len(place) + 1, *tail))
    against = [
        (pair.electrode_basis[place] - pair.electrode_basis[sink]) * current for pair in pairs
    ]  # b_m' V_i
    width = max(len(theta[0]), 4) * sum(cross.counts) * (parameters + 1)
    for part in chunks(len(theta), int(np.ceil(np.sqrt(width)))):
        values, outputs = _solved(pairs, theta[part], parameters)
        own = np.stack(
            [np.tensordot(z, pair.b_N, (1, 0)) for z, pair in zip(outputs, pairs, strict=True)], 1
        )
        plain = [np.tensordot(z, rows, (1, 1)) for z, rows in zip(outputs, against, strict=True)]
        plain = np.stack([np.moveaxis(rows, -1, 1) for rows in plain], axis=1)
        slopes = outputs if parameters else None
        potentials = corrected_transfer(cross, own, plain, theta[part], values, slopes)
        out[part][:, :, place] = potentials / current
    return out


def corrected_rows(
    pairs: Sequence[PairModel],
    cross: CrossBlocks,
    points: np.ndarray,
    numbers: np.ndarray,
    place: Sequence[int],
    sink: int,
    current: float,
    theta: np.ndarray,
    parameters: int = 0,
) -> np.ndarray:
    """Corrected potentials (R, L) against the sink of single pairs, or derivatives (R, L, K).

    All pairs are solved once at every point, but only these rows of the transfers are formed.
    Arguments as of `corrected_potentials`, and per row its point (R,), a row of `theta`, and
    the number (R,) of its pair.
    """
    tail = (parameters,) if parameters else ()
    out = np.zeros((len(points), len(place) + 1, *tail))
    starts = np.cumsum([0, *cross.counts])[:-1].astype(int)
    bases = np.concatenate([pair.electrode_basis for pair in pairs], axis=1) * current
    for part in chunks(len(theta), int(np.ceil(np.sqrt(bases.shape[1] * (parameters + 1))))):
        values, outputs = _solved(pairs, theta[part], parameters)
        others = np.concatenate(values, axis=1)  # (S, all N)
        moves = np.concatenate(outputs, axis=1) if parameters else None  # (S, all N, K)
        inside = (points >= part.start) & (points < part.stop)
        for i in np.unique(numbers[inside]):
            chosen = np.flatnonzero(inside & (numbers == i))
            here = points[chosen] - part.start
            own, row, at = values[i][here], cross.row(i), theta[points[chosen]]
            ahead = (pairs[i].electrode_basis[place] - pairs[i].electrode_basis[sink]) * current
            flat = row.reshape(-1, row.shape[2])
            image = bases[place[i]] - bases[sink]  # b_i' V_m - z_i' V_i' A V_m, for all m
            image = image - _weighted(at, own) @ flat
            rows = np.empty((len(here), len(pairs), *tail))
            if parameters:
                slope = outputs[i][here]
                for k in range(parameters):
                    change = _weighted(at, slope[..., k]) @ flat + own @ row[k]
                    product = image * moves[here, :, k] - change * others[here]
                    rows[..., k] = np.add.reduceat(product, starts, axis=1)
                    rows[..., k] += slope[..., k] @ ahead.T
                own = slope
            else:
                rows[:] = np.add.reduceat(image * others[here], starts, axis=1) + own @ ahead.T
            rows[:, i] = np.tensordot(own, pairs[i].b_N, (1, 0))
            out[np.ix_(chosen, place)] = rows
    return out / current


def _solved(
    pairs: Sequence[PairModel], theta: np.ndarray, parameters: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    # Reduced coefficients (S, N) of every pair, and their derivatives (S, N, K) or themselves.
    if not parameters:
        values = [pair.solve(theta) for pair in pairs]
        return values, values
    solved = [pair.derivative(theta, parameters) for pair in pairs]
    return [value for value, _ in solved], [slope for _, slope in solved]


def _weighted(theta: np.ndarray, solution: np.ndarray) -> np.ndarray:
    # theta_q z, (S, Q N).
    return (theta[:, :, None] * solution[:, None, :]).reshape(len(theta), -1)


def corrected_transfer(
    cross: CrossBlocks,
    own: np.ndarray,
    readings: np.ndarray,
    theta: np.ndarray,
    solutions: Sequence[np.ndarray],
    slopes: Sequence[np.ndarray] | None = None,
) -> np.ndarray:
    """Corrected transfers (S, pairs, pairs) b_m' u_i, W, symmetric, or their exact derivatives.

    Parameters
    ----------
    cross : blocks between the pairs.
    own : (S, pairs) energies b_N' z of each pair.
    readings : (S, pairs, pairs) plain transfers b_m' V_i z_i, pair i first.
    theta : (S, Q) affine coefficients.
    solutions : per pair the reduced coefficients (S, N).
    slopes : per pair dz/dtheta_k (S, N, K), for the derivatives by theta_k, k < K; `own`,
        `readings` and the result are then derivatives too, with K as their last axis.
    """
    out = readings + readings.swapaxes(1, 2)
    for i, row in enumerate(cross.rows):
        out[:, i, i] = own[:, i]
        if i + 1 == len(cross.rows):
            break
        flat, starts = row.reshape(-1, row.shape[2]), cross.columns(i)
        later = np.concatenate(solutions[i + 1 :], axis=1)
        image = _weighted(theta, solutions[i]) @ flat
        if slopes is None:
            product = np.add.reduceat(image * later, starts, axis=1)
        else:
            moved = np.concatenate(slopes[i + 1 :], axis=1)  # (S, M, K)
            product = np.empty((len(theta), len(starts), moved.shape[2]))
            for k in range(moved.shape[2]):
                image_slope = _weighted(theta, slopes[i][..., k]) @ flat + solutions[i] @ row[k]
                change = image_slope * later + image * moved[..., k]
                product[..., k] = np.add.reduceat(change, starts, axis=1)
        out[:, i, i + 1 :] -= product
        out[:, i + 1 :, i] -= product
    return out


def _columns(source: str, folders: Mapping[str, str | Path], size: int) -> list[_Column]:
    if source not in folders:
        raise InputError(f"No folder with the basis of pair {source}: train with keep_bases.")
    columns = []
    for vector in basis_columns(folders[source]):
        path = Path(vector.filename)
        if vector.shape != (size,):
            raise InputError(
                f"{path}: a basis vector of {vector.size} unknowns, but the operator has {size}: "
                "the basis belongs to another mesh or electrode set."
            )
        columns.append(_Column(path, vector.offset, vector.dtype, size))
    return columns


def _products(
    blocks: Sequence, left: Sequence[_Column], right: Sequence[_Column], memory: float
) -> np.ndarray:
    # (Q, left, right) products V_left' A_q V_right, summed over bands of rows.
    total = np.zeros((len(blocks), len(left), len(right)))
    size = blocks[0].shape[0]
    rows = max(_LEAST_ROWS, int(memory / (8 * (2 * len(left) + len(right) + len(blocks)))))
    first = 0
    while first < size:
        last = min(first + rows, size)
        needed = _neighbours(blocks, first, last)
        # What is held at once: the neighbours' and the band's rows, and one image.
        entries = max(block.indptr[last] - block.indptr[first] for block in blocks)
        size_held = 8 * (len(needed) * len(left) + (last - first) * (len(left) + len(right)))
        size_held += 40 * entries  # a band of a block, sliced twice
        if size_held > memory and last - first > _LEAST_ROWS:
            rows = max(_LEAST_ROWS, (last - first) // 2)
            continue
        neighbourhood, band = _read(left, needed), _read(right, slice(first, last))
        for q, block in enumerate(blocks):
            total[q] += (block[first:last][:, needed] @ neighbourhood).T @ band
        first = last
    return total


def _neighbours(blocks: Sequence, first: int, last: int) -> np.ndarray:
    parts = [block.indices[block.indptr[first] : block.indptr[last]] for block in blocks]
    return np.unique(np.concatenate([np.unique(part) for part in parts]))


def _read(columns: Sequence[_Column], rows: slice | np.ndarray) -> np.ndarray:
    # Column by column from disk into one array (rows, columns) in Fortran order.
    length = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
    values = np.empty((length, len(columns)), order="F")
    for number, (path, offset, dtype, size) in enumerate(columns):
        values[:, number] = np.memmap(path, dtype, "r", offset, (size,))[rows]
    return values
