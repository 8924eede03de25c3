"""Simulated voltages: tables of electrode potentials, and estimates judged against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from headcond.checks import InputError
from headcond.files import results
from headcond.inverse.estimates import Estimates
from headcond.metrics import relative_error

ORDER = ["sample", "pair", "electrode"]


def potential_table(
    potentials: Mapping[str, np.ndarray],
    pairs: Sequence[tuple[str, str]],
    electrodes: Sequence[str],
    samples: Sequence[int] | np.ndarray,
) -> pd.DataFrame:
    """Table of electrode potentials, a row per sample, pair and electrode.

    Parameters
    ----------
    potentials : (samples, pairs, electrodes) V by the column's name.
    pairs, electrodes : labels.
    samples : numbers of the samples.
    """
    columns = {name: values.ravel() for name, values in potentials.items()}
    return pd.DataFrame(columns, index=_index(samples, pairs, electrodes)).reset_index()


def read_potentials(
    path: str | Path,
    column: str,
    pairs: Sequence[tuple[str, str]],
    electrodes: Sequence[str],
    samples: Sequence[int] | np.ndarray,
) -> np.ndarray:
    """Potentials (samples, pairs, electrodes) in V of a file of `potential_table`.

    Raises
    ------
    InputError
        If a potential is missing.
    """
    index = _index(samples, pairs, electrodes)
    values = results.read_table(path).set_index(ORDER)[column].reindex(index)
    if values.isna().any():
        raise InputError(f"{path}: no {column} for {values.index[values.isna()][0]}.")
    return values.to_numpy().reshape(len(samples), len(pairs), -1)


def simulated_estimates(
    estimates: Estimates, pairs: Sequence[tuple[str, str]], samples: Sequence[int], mode: str
) -> pd.DataFrame:
    """Estimates with their misfit: a row per sample and, in mode "each", pair.

    Parameters
    ----------
    estimates : with leading shape (samples, pairs), or (samples,) in mode "joint".
    """
    facts = ("chi_square", "dof", "iterations", "converged")
    rows = (
        _row(index, pairs, samples, mode)
        | dict(zip(estimates.names, estimates.sigma[index], strict=True))
        | {name: getattr(estimates, name)[index] for name in facts}
        for index in np.ndindex(estimates.chi_square.shape)
    )
    return pd.DataFrame(rows)


def error_table(
    estimates: Estimates,
    truth: np.ndarray,
    bound: np.ndarray,
    pairs: Sequence[tuple[str, str]],
    samples: Sequence[int],
    mode: str,
) -> pd.DataFrame:
    """Relative errors of estimates (eq. 12) next to their Cramer-Rao bounds, a row per parameter.

    Parameters
    ----------
    estimates : see `simulated_estimates`.
    truth : (samples, parameters) S/m.
    bound : standard deviations of `cramer_rao` at the truth, S/m, shaped as the estimates.
    """
    true = np.broadcast_to(truth[:, None] if mode == "each" else truth, estimates.sigma.shape)
    error = relative_error(estimates.sigma, true)
    rows = (
        {
            **_row(index, pairs, samples, mode),
            "parameter": name,
            "true": true[index][k],
            "estimate": estimates.sigma[index][k],
            "relative_error_percent": error[index][k],
            "cramer_rao_percent": 100 * bound[index][k] / true[index][k],
            "at_wall": estimates.at_wall[index][k],
        }
        for index in np.ndindex(estimates.chi_square.shape)
        for k, name in enumerate(estimates.names)
    )
    return pd.DataFrame(rows)


def _index(samples: Sequence, pairs: Sequence, electrodes: Sequence) -> pd.MultiIndex:
    names = ["-".join(pair) for pair in pairs]
    return pd.MultiIndex.from_product([samples, names, electrodes], names=ORDER)


def _row(
    index: tuple[int, ...], pairs: Sequence[tuple[str, str]], samples: Sequence[int], mode: str
) -> dict[str, object]:
    pair = "-".join(pairs[index[1]]) if mode == "each" else "all"
    return {"mode": mode, "sample": samples[index[0]], "pair": pair}
