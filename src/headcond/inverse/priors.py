"""Priors of tissue conductivities from the literature, in log conductivity."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from headcond.tissues import EIT_RANGES

# Weighted means of a meta-analysis of 56 papers, S/m (McCann, Pisano & Beltrachini 2019, Brain
# Topogr 32:825, abstract). It gives the outer compact layer 0.005 and the inner one 0.007; six
# tissues have one compact bone: their mean.
PUBLISHED_MEANS = {
    "scalp": 0.41, "compact_bone": 0.006, "spongy_bone": 0.048, "csf": 1.71, "gm": 0.47,
    "wm": 0.22, "skull": 0.02,
}  # fmt: skip
# Quartiles of a normal distribution are this many standard deviations apart.
_QUARTILES = 1.3489795003921634


def published(names: Collection[str]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of the log conductivity of every tissue with published values.

    Log-normal: centred at the weighted mean of the meta-analysis, as wide as its quartiles
    (`tissues.EIT_RANGES`; for the merged skull the lower one of compact and the upper one of
    spongy bone). Names without published values (radial and tangential parts) are left out.
    """
    quartiles = {name: (row["lq"], row["uq"]) for name, row in EIT_RANGES.items()}
    quartiles["skull"] = (quartiles["compact_bone"][0], quartiles["spongy_bone"][1])
    return {
        name: (
            float(np.log(PUBLISHED_MEANS[name])),
            float(np.log(quartiles[name][1] / quartiles[name][0]) / _QUARTILES),
        )
        for name in names
        if name in PUBLISHED_MEANS
    }
