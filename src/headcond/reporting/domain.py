"""Section of the report on heads that are unlike those the networks learned from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from headcond.condnet.domain import LEAST_HEADS, STATISTICS
from headcond.reporting.page import Part, Section

_MARK = {True: "OUTSIDE", False: "inside", None: "not judged"}


def domain_section(judgements: Mapping[str, Mapping[str, Any]], level: float) -> Section:
    """Tell which predicted heads lie outside the training domain, and by how much.

    Parameters
    ----------
    judgements : what `condnet.domain.judge` found of each predicted head, with `axis_spread`, by
        subject.
    level : of the limits.
    """
    rows = []
    for subject, found in judgements.items():
        row = {"subject": subject, "training domain": _MARK[found["outside"]]}
        for name in STATISTICS:
            entry = found["statistics"][name]
            limit = entry.get("limit")
            about = f"{entry['distance']:.3g}" + (f" ({limit:.3g})" if limit else "")
            row[f"{name}: distance (limit)"] = about
        row["spread between the axes"] = found["axis_spread"]
        rows.append(row)
    texts = [
        "How far the images of each predicted head lie from those of the training heads, by the "
        "joint histogram of the normalised T1w and T2w inside the head (intensity, Hellinger "
        "distance) and by the fine detail along each axis (detail). A head beyond a limit is "
        "marked OUTSIDE: the errors told of test heads say nothing of it. The limits stand at the "
        f"level {level:g} and come from the training heads alone, each left out in turn.",
        "Inside is no proof: lesions, a missing face and other local changes leave both "
        "statistics nearly alone. The spread between the axes is the mean over the head of their "
        "standard deviation, as a share of the scale of the networks' output; it is not judged.",
    ]
    outside = [subject for subject, found in judgements.items() if found["outside"]]
    if outside:
        texts.insert(0, f"Outside the training domain: {', '.join(outside)}.")
    if any(found["outside"] is None for found in judgements.values()):
        texts.append(f"Nothing is judged with fewer than {LEAST_HEADS} training heads.")
    part = Part(texts=tuple(texts), table=pd.DataFrame(rows))
    return Section("domain", "Training domain", (part,))
