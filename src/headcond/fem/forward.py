"""Forward solutions of a head for injection pairs, with what they must fulfil."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from headcond.fem.operator import AffineOperator
from headcond.fem.solvers import make_solver


@dataclass(frozen=True)
class ForwardSolution:
    """Potentials of injection pairs at one conductivity.

    Attributes
    ----------
    x : (unknowns, pairs) V, nodes first, then electrodes, up to a constant per pair.
    checks : a row per pair: `iterations`, the true `residual` ||b - A u|| / ||b||,
        `reciprocity`, the largest |T_im - T_mi| with T_im = b_m . u_i / current (V), and
        `drive_voltage`, source less sink with both contacts (V).
    potentials : a row per pair and electrode: `potential`, V.
    """

    x: np.ndarray
    checks: pd.DataFrame
    potentials: pd.DataFrame


def solve_pairs(
    operator: AffineOperator,
    theta: np.ndarray,
    pairs: Sequence[tuple[str, str]],
    current: float,
    **solver: Any,
) -> ForwardSolution:
    """Solve A(theta) u = b_m for the injection pairs m, by one solver for all.

    Parameters
    ----------
    operator : affine operator of the complete electrode model.
    theta : (blocks,) coefficients of its blocks, S/m and 1/(Ohm m^2).
    pairs : (source, sink) electrode labels.
    current : A.
    **solver : options of `make_solver`.
    """
    names = [f"{source}-{sink}" for source, sink in pairs]
    loads = np.stack([operator.load(*pair, current) for pair in pairs], axis=1)
    solved = make_solver(operator.combine(theta), **solver).solve(loads, name=names)
    transfer = loads.T @ solved.x
    checks = {
        "pair": names,
        "iterations": solved.iterations,
        "residual": solved.residual,
        "reciprocity": np.abs(transfer - transfer.T).max(axis=1) / current,
        "drive_voltage": np.diag(transfer) / current,
    }
    readings = solved.x[operator.nodes :].T
    pair, electrode = np.indices(readings.shape)
    potentials = {
        "pair": np.array(names)[pair.ravel()],
        "electrode": np.array(operator.electrodes)[electrode.ravel()],
        "potential": readings.ravel(),
    }
    return ForwardSolution(solved.x, pd.DataFrame(checks), pd.DataFrame(potentials))
