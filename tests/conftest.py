"""Fixtures that the whole suite shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def real_data() -> Path | None:
    """The folder of real data: HEADCOND_DATA, else shared/data next to the checkout, else None."""
    named = os.environ.get("HEADCOND_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if named and not folder.is_dir():
        raise FileNotFoundError(f"HEADCOND_DATA names {named}, which is not a folder.")
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real data, or a skip that says how to provide it."""
    folder = real_data()
    if folder is None:
        pytest.skip("real data absent: set HEADCOND_DATA to the folder that holds it")
    return folder
