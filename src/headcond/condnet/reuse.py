"""Networks that another study trained, taken over only if they fit this one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from headcond.checks import InputError
from headcond.condnet.prediction import Checkpoint, check_facts, load_checkpoint

_MEND = "Let this study say what the other one says, or train networks of its own."


def check_reuse(
    path: str | Path,
    *,
    axis: str,
    tables: Mapping[str, Mapping[str, float]],
    tau: float,
    normalisation: Mapping[str, Any],
    grid: Mapping[str, Any],
    unseen: Collection[str],
) -> Checkpoint:
    """Return the network at `path` if it was trained as this study would have trained it.

    Parameters
    ----------
    path : checkpoint of one axis (`prediction.load_checkpoint`).
    axis : the slicing axis that it is wanted for.
    tables : conductivity tables in the order of the outputs, name -> tissue -> S/m.
    tau : scaling margin of the targets.
    normalisation, grid : facts of the images that it will see, as in training.
    unseen : subjects that it must not have been trained or validated on.

    Raises
    ------
    InputError
        If the file is no checkpoint, or one of these facts differs; the message names all
        that do, and the file.
    """
    found = load_checkpoint(path)
    have = {"axis": axis, "tables": list(tables), "tau": tau}
    want = {"axis": found.axis, "tables": list(found.tables), "tau": found.tau}
    try:
        check_facts("study", have, want, _MEND)
        check_facts("conductivity table", dict(tables), found.tables, _MEND)
        check_facts("images' grid", grid, found.grid, _MEND)
        check_facts("images' normalisation", normalisation, found.normalisation, _MEND)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    known = sorted(set(unseen) & set(found.training["subjects"]))
    if known:
        raise InputError(
            f"{path}: was trained with {', '.join(known)}, which cohort.test names; networks are "
            "judged on heads that they have never seen. Name other heads there."
        )
    return found
