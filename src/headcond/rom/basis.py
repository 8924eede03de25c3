"""Orthonormal bases (eq. 7): inner products over distributed rows, Gram-Schmidt, bases on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sparse
from scipy.linalg.blas import dgemm

from headcond.checks import InputError
from headcond.parallel import SerialCommunicator

_DROP = 1e-14  # of a vector's norm: what is left of one that the basis already spans
_KEPT = 0.5  # of a unit vector's length: less is lost to what it should be orthogonal to
_PASSES = 10


class AccuracyError(RuntimeError):
    """A basis that is less orthonormal than required.

    Attributes
    ----------
    error : largest entry of |V' M V - I|.
    """

    def __init__(self, name: str, error: float, allowed: float) -> None:
        super().__init__(
            f"{name}: |V'MV - I| is {error:.2e}, above {allowed:.0e}: the inner product's matrix "
            "is not symmetric positive definite, or the vectors are beyond double precision."
        )
        self.error = error


class InnerProductSpace:
    """Vectors of a given size, distributed by rows over ranks, with the inner product x' M y.

    Attributes
    ----------
    rows : the slice of rows that this rank holds; "local" arrays below have these rows.
    size : length of a whole vector.
    quotient : whether the constants are in M's kernel; vectors are then defined up to one.
    accuracy : largest entry of |V' M V - I| that `orthonormalise` leaves.

    Parameters
    ----------
    matrix : (size, size) symmetric, positive definite on the vectors used; None for the
        Euclidean inner product.
    size : length of a whole vector.
    communicator : ranks that share the rows; this process by default.
    """

    accuracy = 1e-13

    def __init__(
        self, matrix: sparse.csr_matrix | None, size: int, communicator: Any = None
    ) -> None:
        self.communicator = SerialCommunicator() if communicator is None else communicator
        ranks, rank = self.communicator.Get_size(), self.communicator.Get_rank()
        self.rows = slice(size * rank // ranks, size * (rank + 1) // ranks)
        self.size = size
        self._matrix = None if matrix is None else self.local(matrix)
        self.quotient = False
        if matrix is not None:
            constants = np.abs(matrix @ np.ones(matrix.shape[0])).max()
            self.quotient = bool(constants <= 1e-9 * matrix.diagonal().max())

    def local(self, values: Any) -> Any:
        """Rows that this rank holds of a whole array or matrix (itself on one rank)."""
        return values if self.communicator.Get_size() == 1 else values[self.rows]

    def whole(self, local: np.ndarray) -> np.ndarray:
        """Whole vectors (size, ...) of the ranks' rows; collective."""
        if self.communicator.Get_size() == 1:
            return local
        return np.concatenate(self.communicator.allgather(np.ascontiguousarray(local)))

    def sum(self, local: np.ndarray) -> np.ndarray:
        """Sum over ranks, in the order of ranks: the same bits on each of them; collective."""
        if self.communicator.Get_size() == 1:
            return local
        return np.sum(self.communicator.allgather(local), axis=0)

    def apply(self, local: np.ndarray) -> np.ndarray:
        """Local rows of M times the vectors whose local rows are given; collective."""
        return local if self._matrix is None else self._matrix @ self.whole(local)

    def inner(self, left: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Inner products left' image (k, m) of local (rows, k) and image = M y (rows, m)."""
        return self.sum(left.T @ image)


def orthonormalise(
    space: InnerProductSpace, basis: np.ndarray, vectors: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Extend an orthonormal basis by vectors: block Gram-Schmidt, repeated until orthogonal.

    Parameters
    ----------
    space : inner product.
    basis : (rows, n) local rows of an orthonormal basis.
    vectors : (rows, k) local rows; not changed.

    Returns
    -------
    added : (rows, r) local rows, r <= k: [basis, added] is orthonormal to `space.accuracy`.
    coefficients : (n + r, k) of the vectors in [basis, added].
    dropped : (k,) norm of what [basis, added] lacks of each vector: 0, or below 1e-14 of
        the vector's own norm.

    Raises
    ------
    AccuracyError
        If ten passes do not reach it.
    """
    n, count = basis.shape[1], vectors.shape[1]
    added, image = np.array(vectors, float, order="F"), space.apply(vectors)
    squares = space.sum(np.sum(added * image, axis=0))
    scale = np.sqrt(space.sum(np.sum(added**2, axis=0)) * space.sum(np.sum(image**2, axis=0)))
    if np.any(squares < -space.accuracy * scale):  # scaled to unit length, such a v has v'Mv = -1
        raise AccuracyError(f"basis of {n} vectors extended by {count}", 2.0, space.accuracy)
    length = np.sqrt(np.maximum(squares, 0.0))
    outer, mix = np.zeros((n, count)), np.eye(count)
    dropped, error, settled = np.zeros(count), np.inf, count == 0
    for step in range(_PASSES):
        along = space.inner(basis, image)
        gram = space.inner(added, image)
        error = np.max(np.abs(along), initial=0.0)
        error = max(error, np.max(np.abs(gram - np.eye(len(gram))), initial=0.0))
        if settled and error <= space.accuracy:
            return added, np.concatenate((outer, mix)), dropped
        if along.size:  # in place: a product of this size would be another pass through memory
            added = dgemm(-1.0, basis, along, beta=1.0, c=added, overwrite_c=1)
        if space.quotient:
            # Round-off's constants, which M does not see and every shortened vector enlarges.
            added -= space.sum(added.sum(axis=0)) / space.size
        outer += along @ mix
        # The image is kept up with the vectors, as an application may cost a multigrid cycle.
        # It is that of the vectors to round-off unless they lost length in this very pass.
        image = space.apply(added)
        kept, triangle = _orthonormalise_within(space, added, image, _DROP * length)
        lost = np.setdiff1d(np.arange(len(length)), kept)
        dropped += _DROP * length[lost] @ np.abs(mix[lost])
        settled = bool(step) and np.all(np.diag(triangle[:, kept]) > _KEPT)
        added, mix, length = added[:, : len(kept)], triangle @ mix, np.ones(len(kept))
        image = image[:, : len(kept)]
    raise AccuracyError(f"basis of {n} vectors extended by {count}", float(error), space.accuracy)


def classical_gram_schmidt(
    space: InnerProductSpace, basis: np.ndarray, vector: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One unrepeated pass of classical Gram-Schmidt, as the paper's eq. 7.

    Loses orthogonality as the basis grows, and checks nothing: Experiment 1 shows both.
    Arguments and results as those of `orthonormalise`, for one vector (rows, 1).
    """
    along = space.inner(basis, space.apply(vector))
    rest = vector - basis @ along
    length = np.sqrt(np.maximum(space.inner(rest, space.apply(rest)), 0.0))
    if length[0, 0] == 0.0:
        return rest[:, :0], along, np.zeros(1)
    return rest / length, np.concatenate((along, length)), np.zeros(1)


def orthogonality(space: InnerProductSpace, basis: np.ndarray) -> float:
    """Largest entry of |V' M V - I| for the local rows (rows, n) of a basis; collective."""
    gram = space.inner(basis, space.apply(basis))
    return float(np.max(np.abs(gram - np.eye(basis.shape[1])), initial=0.0))


def basis_columns(folder: str | Path) -> list[np.ndarray]:
    """The vectors (size,) of a kept basis, mapped from their files, in the order of snapshots.

    Raises
    ------
    InputError
        If the folder holds none, or one is missing or truncated.
    """
    folder = Path(folder)
    paths = sorted(folder.glob("basis-*.npy"))
    if not paths:
        raise InputError(f"{folder}: holds no basis; train with keep_bases.")
    repair = f"Remove {folder} and {folder}.h5, if any; the next run trains the pair again."
    columns = []
    for number, path in enumerate(paths):
        if path.name != f"basis-{number:03d}.npy":
            raise InputError(f"{folder}: basis-{number:03d}.npy is missing. {repair}")
        try:
            columns.append(np.load(path, mmap_mode="r"))
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"{path}: cannot be read as a basis vector ({error}). {repair}"
            ) from error
    return columns


def load_basis(folder: str | Path) -> np.ndarray:
    """The basis V (size, N) that training left in a pair's folder (`keep_bases`)."""
    return np.stack(basis_columns(folder), axis=1)


def _orthonormalise_within(
    space: InnerProductSpace, vectors: np.ndarray, image: np.ndarray, least: np.ndarray
) -> tuple[list[int], np.ndarray]:
    # The leading columns of `vectors` become orthonormal, in place, and `image` what M makes
    # of them; those no longer than `least` are left out. Returns the kept columns and T with
    # leading @ T = given.
    count = vectors.shape[1]
    triangle, kept = np.zeros((count, count)), []
    follows = image is not vectors  # the Euclidean image is the vectors themselves
    for j in range(count):
        r = len(kept)
        for _ in range(2):
            along = space.sum(vectors[:, :r].T @ image[:, j])
            vectors[:, j] -= vectors[:, :r] @ along
            if follows:
                image[:, j] -= image[:, :r] @ along
            triangle[:r, j] += along
        norm = np.sqrt(max(space.sum(np.atleast_1d(vectors[:, j] @ image[:, j]))[0], 0.0))
        if norm <= least[j]:
            continue
        for array in (vectors, image) if follows else (vectors,):
            array[:, r] = array[:, j] / norm
        triangle[r, j] = norm
        kept.append(j)
    return kept, triangle[: len(kept)]
