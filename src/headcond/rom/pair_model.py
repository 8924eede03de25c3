"""The reduced model of one injection pair."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from headcond.checks import InputError
from headcond.rom.bounds import chunks, reduced_matrices, residual_norm, solve_reduced


@dataclass(frozen=True)
class PairModel:
    """Reduced model of one injection pair.

    All arrays are hierarchical: their leading parts belong to the first n snapshots.

    Attributes
    ----------
    source, sink : electrode labels; the current enters at `source`.
    A_N : (Q, N, N) reduced blocks V' A_q V (eq. 8).
    b_N : (N,) reduced load V' b.
    electrode_basis : (L, N) rows of V at the electrodes' potentials.
    residual_factor, residual_defect : (M, 1 + N Q) and (1 + N Q,), see `bounds.ResidualBasis`.
    history : one entry per snapshot and key: `mu` (N, P) S/m; `maximum`, `mean` of the
        relative bound over the training sample and `absolute`, the largest bound, all after
        that snapshot; solver `iterations`, `riesz_iterations`; `orthogonality` |V'XV - I|;
        `seconds_solve`, `seconds_riesz`, `seconds_orthogonal`, `seconds_sweep`.
    end : why training ended: "snapshots", "tolerance", "noise" or "floor".
    spread : largest over smallest eigenvalue of the Riesz map times X, 1 for solves: the
        bound's loss of sharpness by it, squared.
    basis : (n, N) the basis V itself, where it was kept; never in the model's file.
    """

    source: str
    sink: str
    A_N: np.ndarray
    b_N: np.ndarray
    electrode_basis: np.ndarray
    residual_factor: np.ndarray
    residual_defect: np.ndarray
    history: Mapping[str, np.ndarray]
    end: str
    spread: float = 1.0
    basis: np.ndarray | None = None

    @property
    def snapshots(self) -> int:
        """Number N of basis vectors."""
        return len(self.b_N)

    def first(self, count: int | None) -> PairModel:
        """The model of the first `count` snapshots (all of them for None, or if fewer)."""
        if count is None or count >= self.snapshots:
            return self
        if count < 1:
            raise InputError(f"A reduced model has at least 1 snapshot, got snapshots={count}.")
        columns = 1 + count * len(self.A_N)
        factor = self.residual_factor[:, :columns]
        return dataclasses.replace(
            self, A_N=self.A_N[:, :count, :count], b_N=self.b_N[:count],
            electrode_basis=self.electrode_basis[:, :count],
            residual_factor=factor[: _height(factor)],
            residual_defect=self.residual_defect[:columns],
            history={key: values[:count] for key, values in self.history.items()},
            basis=None if self.basis is None else self.basis[:, :count],
        )  # fmt: skip

    def solve(self, theta: np.ndarray) -> np.ndarray:
        """Reduced coefficients z (S, N) at affine coefficients (S, Q) (eq. 9)."""
        return solve_reduced(np.ascontiguousarray(self.A_N), self.b_N, theta)

    def derivative(self, theta: np.ndarray, parameters: int) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients z (S, N) and dz/dtheta_k = -A_N^-1 A_N^k z (S, N, K), k < `parameters`."""
        blocks = np.ascontiguousarray(self.A_N)
        value = np.empty((len(theta), self.snapshots))
        slope = np.empty((*value.shape, parameters))
        for part in chunks(len(theta), self.snapshots):
            matrices = reduced_matrices(blocks, theta[part])
            value[part] = np.linalg.solve(matrices, self.b_N[:, None])[..., 0]
            right = np.einsum("kij,sj->sik", blocks[:parameters], value[part], optimize=True)
            slope[part] = np.linalg.solve(matrices, -right)
        return value, slope

    def residual(self, theta: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, ...]:
        """Coefficients z (S, N), residual norm (S,) and its slack (S,) at theta (S, Q).

        Raises
        ------
        InputError
            If the model was written without bounds.
        """
        if not len(self.residual_factor):
            raise InputError(
                f"Pair {self.source}-{self.sink}: this reduced model was written without bounds "
                "(`ReducedModel.lighter`): take the whole one."
            )
        solution = self.solve(theta)
        norm, slack = residual_norm(
            self.residual_factor, self.residual_defect, theta / reference, solution
        )
        return solution, norm, slack

    def energy(self, solution: np.ndarray) -> np.ndarray:
        """Energy |||u_N|||^2 = b_N' z (S,), W: current times drive voltage."""
        return solution @ self.b_N


def _height(factor: np.ndarray) -> int:
    # The factor is a staircase: rows below the last nonzero one belong to later snapshots.
    rows = np.flatnonzero(np.any(factor != 0, axis=1))
    return int(rows[-1]) + 1 if len(rows) else 0
