"""Whether a head's images are like those of the training set: out-of-distribution detection.

A network predicts something from any image, with an unknown error if the image is unlike its
training set, so every predicted head is compared with the training heads, by its images alone.
Two statistics inside the head (`fusion.head_mask`) are compared: the joint histogram of the
normalised T1w and T2w, which depends on contrast, noise and normalisation, and the fine detail
along each voxel axis, which depends on slice thickness, blur and noise.

A head's distance is that to the mean of the training heads. It is compared with the training
heads' own distances, each to the mean of the others (leave one out). A head is outside if

    d^2 > F(level; 1, n) * mean of the n training heads' d^2,

as if every distance were a single normal deviation about zero. Distances have many components, so
those of heads of one kind scatter less than that: the limit is lenient at every n, and tightens
as n grows (5.8 times the root mean square distance with three heads, 3.2 times with ten). A limit
from the scatter of the logarithms of the distances was dropped: with four heads it was beyond
any possible distance.

Undetected is whatever changes neither statistic, such as a lesion or a missing face: few voxels
of ordinary intensities.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from scipy import stats

from headcond.checks import InputError, check_positive
from headcond.condnet.fusion import head_mask

LEVEL = 0.99
"""Level of each statistic's limit: at least this share of heads of the same kind is below it."""
BINS = 24
"""Bins per image of the joint histogram."""
LEAST_HEADS = 3
"""Fewest training heads for limits."""
STATISTICS = ("intensity", "detail")


def image_statistics(t1: np.ndarray, t2: np.ndarray, voxel_size: float) -> dict[str, list[float]]:
    """Statistics of a head's images by which it is compared with the training heads.

    Parameters
    ----------
    t1, t2 : (nx, ny, nz) images on one grid, each normalised to [0, 1].
    voxel_size : edge of the cubic voxels, mm.

    Returns
    -------
    `intensity`: square roots of the `BINS` x `BINS` frequencies of (T1w, T2w) in the head,
    flattened; the Euclidean distance of two, over sqrt 2, is Hellinger's, from 0 to 1.
    `detail`: for T1w and then T2w, along the three axes, the natural logarithm of
    mean |x(i+1) - 2 x(i) + x(i-1)| / mean |x(i+1) - x(i-1)| over the voxels i of the head
    that have both neighbours: second differences against first ones, at the voxels' own scale.

    Raises
    ------
    InputError
        If the grids differ, the images show no head, or an image does not vary inside it.
    """
    head = head_mask(t1, t2, voxel_size)
    counts, _, _ = np.histogram2d(
        np.asarray(t1)[head], np.asarray(t2)[head], bins=BINS, range=((0, 1), (0, 1))
    )
    detail = []
    for name, image in (("t1", t1), ("t2", t2)):
        image = np.asarray(image, np.float32)
        for axis in range(3):
            here = _inner(image, axis, 0)
            after, before = _inner(image, axis, 1), _inner(image, axis, -1)
            inside = _inner(head, axis, 0)
            first = np.abs(after - before)[inside].mean(dtype=np.float64)
            second = np.abs(after - 2 * here + before)[inside].mean(dtype=np.float64)
            if first <= 0 or second <= 0:
                raise InputError(f"{name} does not vary along axis {axis} of the head.")
            detail.append(float(np.log(second / first)))
    return {"intensity": np.sqrt(counts / counts.sum()).ravel().tolist(), "detail": detail}


def fit_domain(
    heads: Mapping[str, Mapping[str, list[float]]], level: float = LEVEL
) -> dict[str, Any]:
    """Fit the training domain: statistics, distances and limits of the training heads.

    Parameters
    ----------
    heads : `image_statistics` of each training head, by subject.
    level : of the limits, between 0 and 1.

    Returns
    -------
    Plain values: `level`, `bins`, `heads` (as given), `distances` (statistic -> subject ->
    distance to the mean of the other training heads) and `limits` (statistic -> largest distance
    of a head inside). With fewer than `LEAST_HEADS` heads there are no limits.

    Raises
    ------
    InputError
        If there is no head, the level is not in (0, 1), or the training heads are all the same.
    """
    if not heads:
        raise InputError("The training domain needs at least one training head.")
    if not 0 < level < 1:
        raise InputError(f"level must be between 0 and 1, got {level!r}.")
    subjects = sorted(heads)
    domain = {
        "level": level,
        "bins": BINS,
        "heads": {name: dict(heads[name]) for name in subjects},
        "distances": {},
        "limits": {},
    }
    if len(subjects) < LEAST_HEADS:
        return domain
    for statistic in STATISTICS:
        distances = {}
        for subject in subjects:
            others = [heads[name] for name in subjects if name != subject]
            distances[subject] = _distance(statistic, heads[subject], others)
        if min(distances.values()) <= 0:
            raise InputError("The training heads are all the same: they span no domain.")
        square = np.mean(np.square(list(distances.values())))
        domain["distances"][statistic] = distances
        domain["limits"][statistic] = float(np.sqrt(stats.f.ppf(level, 1, len(subjects)) * square))
    return domain


def compare_head(domain: Mapping[str, Any], head: Mapping[str, list[float]]) -> dict[str, Any]:
    """Compare a head with the training domain: is it outside, and by which statistic.

    Parameters
    ----------
    domain : of `fit_domain`.
    head : `image_statistics` of the head.

    Returns
    -------
    `outside` (None if the domain has no limits), `reasons` (statistics beyond their limit), and
    for each statistic its `distance`, its `limit` and the `ratio` of the two.

    Raises
    ------
    InputError
        If the domain was fitted with other bins.
    """
    if domain["bins"] != BINS:
        raise InputError(
            f"The training domain was fitted with {domain['bins']} bins, not {BINS}: "
            "fit it again with this version."
        )
    statistics: dict[str, Any] = {}
    for statistic in STATISTICS:
        entry = {"distance": _distance(statistic, head, domain["heads"].values())}
        if statistic in domain["limits"]:
            limit = check_positive(f"limit of {statistic}", domain["limits"][statistic])
            entry |= {"limit": limit, "ratio": entry["distance"] / limit}
        statistics[statistic] = entry
    reasons = [name for name, entry in statistics.items() if entry.get("ratio", 0) > 1]
    outside = bool(reasons) if domain["limits"] else None
    return {"outside": outside, "reasons": reasons, "statistics": statistics}


def _distance(
    statistic: str, head: Mapping[str, list[float]], others: Iterable[Mapping[str, list[float]]]
) -> float:
    """Distance of a head from the mean of others, by one statistic."""
    middle = np.mean([other[statistic] for other in others], axis=0)
    scale = np.sqrt(2) if statistic == "intensity" else 1.0
    return float(np.linalg.norm(np.asarray(head[statistic]) - middle) / scale)


def _inner(volume: np.ndarray, axis: int, shift: int) -> np.ndarray:
    """View of `volume` without its two faces across `axis`, moved by `shift` voxels."""
    chosen = [slice(None)] * 3
    chosen[axis] = slice(1 + shift, volume.shape[axis] - 1 + shift)
    return volume[tuple(chosen)]
