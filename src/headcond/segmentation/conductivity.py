"""Conductivity from the probabilities of tissues, with what the labels leave open.

A voxel that may be bone or fluid has no single conductivity. The weighted median is the value
that the true one lies below as likely as above; it keeps a thin bone insulating where an
arithmetic mean would let a tenth of fluid short it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from headcond.checks import InputError, check_option, check_positive, check_shape
from headcond.tissues import TISSUES

METHODS = ("median", "arithmetic", "geometric", "label")
INTERVAL = (0.05, 0.95)


def conductivity_of(
    probabilities: np.ndarray, table: Mapping[str, float], method: str = "median"
) -> np.ndarray:
    """Conductivity of every voxel.

    Parameters
    ----------
    probabilities : (14, nx, ny, nz), air first, then the tissues in the order of their ids.
    table : S/m of each of `TISSUES`, as from `headcond.tissues.conductivity_table`.
    method : "median", weighted by the probabilities; "arithmetic" or "geometric" mean; or "label",
        the conductivity of the likeliest tissue.

    Returns
    -------
    (nx, ny, nz) float32, S/m; exactly 0 where air is the likelier, so that tissue and air stay
    apart, and elsewhere made of tissues alone.

    Raises
    ------
    InputError
        If the shape, the table or the method is unusable.
    """
    check_option("method", method, METHODS)
    shares, values, air = _shares(probabilities, table)
    if method == "median":
        out = _quantile(shares, values, 0.5)
    elif method == "arithmetic":
        out = np.tensordot(values, shares, 1)
    elif method == "geometric":
        out = np.exp(np.tensordot(np.log(values), shares, 1))
    else:
        out = values[shares.argmax(axis=0)]
    out[air] = 0
    return out.astype(np.float32)


def conductivity_interval(
    probabilities: np.ndarray,
    table: Mapping[str, float],
    quantiles: tuple[float, float] = INTERVAL,
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper quantile of every voxel's conductivity under the probabilities.

    Parameters
    ----------
    probabilities, table : as for `conductivity_of`.
    quantiles : of the distribution over tissues; air takes no part.

    Returns
    -------
    lower, upper : (nx, ny, nz) float32, S/m; 0 where air is the likelier.

    Raises
    ------
    InputError
        If the shape, the table or a quantile is unusable.
    """
    if not 0 <= quantiles[0] <= quantiles[1] <= 1:
        raise InputError(f"quantiles must rise between 0 and 1, got {quantiles!r}.")
    shares, values, air = _shares(probabilities, table)
    bounds = []
    for quantile in quantiles:
        bound = _quantile(shares, values, quantile)
        bound[air] = 0
        bounds.append(bound.astype(np.float32))
    return bounds[0], bounds[1]


def _shares(
    probabilities: np.ndarray, table: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares of the tissues among themselves (13, ...), their S/m (13,), and where there is air."""
    probabilities = check_shape(
        "probabilities", probabilities, (len(TISSUES) + 1, None, None, None)
    )
    missing = [name for name in TISSUES if name not in table]
    if missing:
        raise InputError(f"The conductivity table lacks {', '.join(missing)}.")
    values = np.array([check_positive(f"sigma of {name}", table[name]) for name in TISSUES])
    tissue = probabilities[1:].astype(np.float32)
    total = tissue.sum(axis=0)
    air = probabilities[0] >= total
    np.divide(tissue, total, out=tissue, where=total > 0)
    return tissue, values.astype(np.float32), air


def _quantile(shares: np.ndarray, values: np.ndarray, quantile: float) -> np.ndarray:
    """Least value up to which the shares add to `quantile` or more."""
    out = np.zeros(shares.shape[1:], np.float32)
    order = np.argsort(values, kind="stable")
    reached = np.zeros(shares.shape[1:], np.float32)
    open_voxels = np.ones(shares.shape[1:], bool)
    for number in order:
        reached += shares[number]
        # Rounding must not push the last tissue beyond the sum of all shares.
        here = open_voxels & (reached >= quantile * (1 - 1e-5)) & (shares[number] > 0)
        out[here] = values[number]
        open_voxels &= ~here
    out[open_voxels] = values[order[-1]]
    return out
