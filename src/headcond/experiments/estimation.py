"""Experiments 2 to 4 of the ROM-pEIT paper: errors over systems, noise and reference."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from scipy.stats import spearmanr

from headcond.checks import InputError, check_shape
from headcond.experiments.traditional import traditional
from headcond.head.mesh import Mesh
from headcond.inverse.estimates import cramer_rao
from headcond.inverse.full_order import FullModel
from headcond.inverse.noise import add_noise
from headcond.inverse.optimise import InversionError, estimate
from headcond.inverse.protocol import AVERAGE, Protocol, make_protocol, readings
from headcond.inverse.reduced import ReducedForward
from headcond.metrics import relative_error
from headcond.random import generator
from headcond.rom.model import ReducedModel

logger = logging.getLogger(__name__)
# Errors are judged where the Cramer-Rao bound is below this part of the box; above it, the box
# determines the estimate.
DECISIVE = 0.1
# Number of tissues that the traditional method estimates; the others are fixed to the truth.
OUTER = 3
# Bone within this distance of an electrode is the skull below it, m.
_SKULL_RADIUS = 0.03
# Snapshots at which the paper varies the noise (Fig. 7).
_NOISE_SNAPSHOTS = 30
# 106 of the paper's 133 electrodes inject in patterns across the head.
_INJECTING = 106 / 133


def sweep(
    model: ReducedModel,
    clean: np.ndarray,
    truth: np.ndarray,
    *,
    noise: float,
    noises: Sequence[float],
    snapshots: Sequence[int],
    reference: str,
    modes: Sequence[str],
    seed: int,
) -> pd.DataFrame:
    """Errors of reduced estimates for several numbers of snapshots and levels of noise.

    All parameters are estimated; per pair also the outer three alone, with the others fixed to
    the truth, as by the traditional method.

    Parameters
    ----------
    model : reduced model of M pairs.
    clean : (S, M, L) noiseless potentials, V.
    truth : (S, P) S/m, the true conductivities.
    noise : standard deviation in V at which snapshots are varied.
    noises : further levels, with 30 snapshots (or all if fewer).
    snapshots : numbers of basis vectors.
    reference : see `protocol.make_protocol`.
    modes : "each", "joint" or both, see `optimise.estimate`.
    seed : of the noise; every row has the same random numbers, scaled.

    Returns
    -------
    A row per number of snapshots, noise, mode, set of free tissues (`free`: "all" or "outer")
    and free parameter: `estimates`, the number of converged ones, and `failed`; `mean`, `median`
    and `largest` relative error (%) over pairs and samples; `misfit`, the mean chi-square per
    degree of freedom, 1 under the stated noise alone; `bound`, the median Cramer-Rao deviation (%)
    at the truth; `at_wall`, the share of estimates held by the box; `variation`, the standard
    deviation over pairs by their mean (%), averaged over samples. Over the `judged` estimates,
    those without any active wall whose bound is below a tenth of the box: `rms_over_bound`, the
    root mean square of error by bound, and its `sampling_error`.
    """
    shape = (len(truth), len(model.pairs), len(model.electrodes))
    check_shape("clean", clean, shape)
    most = max(pair.snapshots for pair in model.pairs)
    cases = [(min(n, most), noise) for n in snapshots]
    if noises:
        cases += [(min(_NOISE_SNAPSHOTS, most), std) for std in (noise, *noises)]
    rows: list[dict[str, Any]] = []
    for count, std in dict.fromkeys(cases):
        forward = ReducedForward(model, snapshots=count)
        protocol = make_protocol(forward.pairs, forward.electrodes, reference)
        draw = generator(seed, "inverse", "sweep")
        data = readings(add_noise(clean, std, draw), protocol)
        outer = [("each", "outer")] if "each" in modes and len(forward.names) > OUTER else []
        for mode, free in [(mode, "all") for mode in modes] + outer:
            common = {"snapshots": count, "noise": std, "mode": mode, "free": free}
            names = forward.names if free == "all" else forward.names[:OUTER]
            fixed = {name: truth[:, [k]] for k, name in enumerate(forward.names)
                     if name not in names}  # fmt: skip
            rows += estimate_errors(forward, data, truth, protocol, std, common, mode, fixed)
    return pd.DataFrame(rows)


def baseline(
    full: FullModel,
    clean: np.ndarray,
    truth: np.ndarray,
    *,
    noise: float,
    reference: str,
    seed: int,
) -> pd.DataFrame:
    """The traditional method: the outer three tissues, the others fixed to the truth.

    Parameters
    ----------
    full : full-order model of M pairs.
    clean : (S, M, L) noiseless potentials, V.
    truth : (S, P) S/m.
    noise, reference, seed : as in `sweep`.

    Returns
    -------
    A row per sample, pair, iteration and estimated parameter: `systems` solved so far,
    `relative_error` (%), whether the run was `kept` by the rule of `traditional.traditional`, and
    the `reason` if not.
    """
    protocol = make_protocol(full.pairs, full.electrodes, reference)
    data = readings(add_noise(clean, noise, generator(seed, "inverse", "baseline")), protocol)
    rows = []
    for s, sigma in enumerate(truth):
        fixed = dict(zip(full.names[OUTER:], sigma[OUTER:], strict=True))
        for m, pair in enumerate(full.pairs):
            run = traditional(full, data[s], protocol, noise, m, fixed=fixed)
            logger.info("sample %d of %d, pair %d of %d: %d systems", s + 1, len(truth), m + 1,
                      len(full.pairs), run.systems[-1])  # fmt: skip
            errors = relative_error(run.history, sigma)
            for step, systems in enumerate(run.systems):
                for k, name in enumerate(full.names[:OUTER]):
                    rows.append({
                        "sample": s, "pair": "-".join(pair), "iteration": step,
                        "systems": int(systems), "parameter": name,
                        "relative_error": errors[step, k], "kept": run.kept,
                        "reason": run.reason,
                    })  # fmt: skip
    return pd.DataFrame(rows)


def opposite_patterns(
    labels: Sequence[str], positions: np.ndarray, count: int | None = None
) -> list[tuple[str, str]]:
    """Patterns across the head: every electrode injects at most once and extracts at most once.

    Pairs are taken in the order of their angle at the centre, the most opposite first, unless an
    electrode is used already or the reverse pattern exists.

    Parameters
    ----------
    labels : L electrodes.
    positions : (L, 3).
    count : number of patterns; by default 106 of 133, as in the paper.

    Raises
    ------
    InputError
        If there are not so many.
    """
    check_shape("positions", positions, (len(labels), 3))
    wanted = round(_INJECTING * len(labels)) if count is None else count
    arms = positions - 0.5 * (positions.min(axis=0) + positions.max(axis=0))
    arms = arms / np.linalg.norm(arms, axis=1, keepdims=True)
    cosine = arms @ arms.T
    taken: dict[int, int] = {}
    for flat in np.argsort(cosine, axis=None, kind="stable"):
        i, j = divmod(int(flat), len(labels))
        # The matrix is symmetric: the lower index first would always inject.
        i, j = (i, j) if (i + j) % 2 else (j, i)
        for a, b in ((i, j), (j, i)):
            if a != b and a not in taken and b not in taken.values() and taken.get(b) != a:
                taken[a] = b
                break
        if len(taken) == wanted:
            break
    if len(taken) < wanted or wanted < 1:
        raise InputError(f"{len(labels)} electrodes do not allow {wanted} opposite patterns.")
    return [(labels[a], labels[taken[a]]) for a in sorted(taken)]


def compare_references(
    model: ReducedModel,
    potentials: Callable[[Sequence[tuple[str, str]]], np.ndarray],
    patterns: Sequence[tuple[str, str]],
    *,
    noise: float,
    parameter: str,
    seed: int,
) -> pd.DataFrame:
    """Experiment 4: scatter of estimates over patterns, by the reference electrode.

    The data come from another head than the model's, and a model error at the reference affects
    all readings against it. Plain least squares, as in the paper, passes it on. Weighted by the
    covariance of the readings, estimates do not depend on the reference, except for the patterns
    that it excludes.

    Parameters
    ----------
    model : reduced model.
    potentials : patterns -> (M, L) V, of the true head, noiseless.
    patterns : injection and extraction.
    noise : V, one electrode.
    parameter : the one of interest.
    seed : of the noise, one draw for all references.

    Returns
    -------
    A row per reference ("average" last), weighting and parameter: `mean`, `std` over the
    patterns (S/m); numbers of `patterns`, `failed` and `at_wall`; `asked` marks `parameter`.
    """
    clean = potentials(patterns)
    noisy = add_noise(clean, noise, generator(seed, "inverse", "references"))
    rows = []
    for reference in (*model.electrodes, AVERAGE):
        kept = [m for m, pair in enumerate(patterns) if reference not in pair]
        forward = ReducedForward(model, [patterns[m] for m in kept])
        protocol = make_protocol(forward.pairs, forward.electrodes, reference)
        data = readings(noisy[kept], protocol)
        for weighting in ("plain", "covariance"):
            estimates = estimate(forward, data, protocol, noise, weighting=weighting)
            good = estimates.converged
            for k, name in enumerate(forward.names):
                values = estimates.sigma[good, k]
                rows.append({
                    "reference": reference, "weighting": weighting, "parameter": name,
                    "asked": name == parameter, "mean": values.mean(), "std": values.std(ddof=1),
                    "patterns": len(kept), "failed": int(np.count_nonzero(~good)),
                    "at_wall": int(estimates.at_wall[good, k].sum()),
                })  # fmt: skip
    return pd.DataFrame(rows)


def spongy_correlation(
    table: pd.DataFrame, places: pd.DataFrame, quantity: str = "std"
) -> dict[str, float]:
    """Spearman's rank correlation of a parameter's scatter with the bone below the reference.

    Parameters
    ----------
    table : rows of `compare_references`.
    places : `electrode` and `spongy`, see `spongy_fraction`.
    quantity : "std" over the patterns, or their "mean".

    Returns
    -------
    By weighting, without the average reference. NaN if all values are equal.
    """
    asked = table[table["asked"] & (table["reference"] != AVERAGE)]
    joined = asked.merge(places, left_on="reference", right_on="electrode", validate="m:1")
    return {
        str(weighting): float(spearmanr(part[quantity], part["spongy"]).statistic)
        for weighting, part in joined.groupby("weighting", sort=False)
    }


def spongy_fraction(mesh: Mesh, positions: np.ndarray) -> np.ndarray:
    """Share (L,) of spongy bone in the volume of the bones within 30 mm of positions (L, 3), m."""
    volume = np.abs(mesh.volumes())
    bones = [mesh.tissue_names.index(name) + 1 for name in ("compact_bone", "spongy_bone")]
    inside = np.isin(mesh.tissue, bones)
    middle = mesh.nodes[mesh.tetrahedra[inside]].mean(axis=1)
    volume, tissue = volume[inside], mesh.tissue[inside]
    near = cKDTree(middle).query_ball_point(positions, _SKULL_RADIUS)
    return np.array([
        volume[part][tissue[part] == bones[1]].sum() / max(volume[part].sum(), 1e-300)
        for part in near
    ])  # fmt: skip


def estimate_errors(
    forward: ReducedForward,
    data: np.ndarray,
    truth: np.ndarray,
    protocol: Protocol,
    noise: float,
    common: Mapping[str, Any],
    mode: str,
    fixed: Mapping[str, np.ndarray] | None = None,
) -> list[dict[str, Any]]:
    """Rows of `sweep` for estimates from data (S, M, L) in V, one per free parameter.

    Parameters
    ----------
    truth : (S, P) S/m.
    common : entries of every row.
    forward, protocol, noise, mode, fixed : see `optimise.estimate`.
    """
    try:
        estimates = estimate(forward, data, protocol, noise, pairs=mode, fixed=fixed)
    except InversionError:
        return [{**common, "estimates": 0}]
    names = tuple(name for name in forward.names if name not in (fixed or {}))
    bound = cramer_rao(forward, truth, protocol, noise, pairs=mode, free=names)
    true = truth[:, None] if estimates.sigma.ndim == 3 else truth
    error = relative_error(estimates.sigma, np.broadcast_to(true, estimates.sigma.shape))
    good = estimates.converged
    free = good & ~np.any(estimates.at_wall, axis=-1)
    width = forward.upper - forward.lower
    rows = []
    for k in np.flatnonzero(estimates.free):
        name = forward.names[k]
        judged = free & (bound[..., k] < DECISIVE * width[k])
        score = (estimates.sigma - true)[..., k][judged] / bound[..., k][judged]
        row = {**common, "parameter": name, "estimates": int(good.sum()),
               "failed": int(np.count_nonzero(~good)),
               "misfit": float(np.mean((estimates.chi_square / estimates.dof)[good]))}  # fmt: skip
        values = error[..., k][good]
        row["mean"], row["median"], row["largest"] = values.mean(), np.median(values), values.max()
        row["bound"] = 100 * np.median(bound[..., k] / true[..., k])
        row["at_wall"] = estimates.at_wall[..., k][good].mean()
        row["variation"] = np.nan
        if estimates.sigma.ndim == 3 and estimates.sigma.shape[1] > 1:
            each = np.where(good, estimates.sigma[..., k], np.nan)
            row["variation"] = 100 * np.nanmean(
                np.nanstd(each, axis=1, ddof=1) / np.nanmean(each, axis=1)
            )
        row["judged"] = int(judged.sum())
        row["rms_over_bound"] = np.sqrt(np.mean(score**2)) if judged.any() else np.nan
        row["sampling_error"] = 1 / np.sqrt(2 * judged.sum()) if judged.any() else np.nan
        rows.append(row)
    return rows
