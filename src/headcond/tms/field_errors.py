"""Which fields are compared with which, and their peaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from headcond.metrics import peak_percentiles

REFERENCES = ("true", "subvoxel")  # maps that the others are judged against
PERCENTILES = (99.0, 99.9)


def comparisons(models: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs (reference, estimate): each map with the uniform one, and with the references.

    The references are compared with maps of the first conductivity table only: another table
    changes the values of the tissues, not how near a map comes to them.

    >>> comparisons(["uniform", "condnet", "true"])
    [('uniform', 'condnet'), ('true', 'uniform'), ('true', 'condnet')]
    """
    found = [("uniform", name) for name in models if name not in ("uniform", *REFERENCES)]
    first = [name for name in models if name not in REFERENCES and "-" not in name]
    return found + [(each, name) for each in REFERENCES if each in models for name in first]


def peak_table(fields: Mapping[str, np.ndarray], regions: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Percentiles of |E| (V/m): a row per field, region and level of `PERCENTILES`.

    Parameters
    ----------
    fields : (nx, ny, nz, 3) V/m by conductivity map.
    regions : (nx, ny, nz) bool by name.
    """
    return pd.DataFrame(
        [
            {"model": name, "region": region, "percentile": level, "field": value}
            for name, field in fields.items()
            for region, mask in regions.items()
            for level, value in zip(
                PERCENTILES, peak_percentiles(field, mask, PERCENTILES), strict=True
            )
        ]
    )
