"""Let a child process read a foreign file first: what ends or stalls it is a refusal here."""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

_LEAST = 20.0  # s, for a disk that sleeps
_SLOWEST = 1e7  # bytes per second


def patience(path: str | Path) -> float:
    """Seconds that the reading of a file may take, by its size."""
    return _LEAST + Path(path).stat().st_size / _SLOWEST


def trouble(read: Callable[[], Any], seconds: float) -> str:
    """Why a file cannot be read, or '': `read` is called in a forked child.

    Libraries in C may end the whole program on a wrong byte, or never come back. The child has
    the same memory, so it meets what this process would. Python's errors are none of its
    business: they come again where they can be told.
    """
    child = multiprocessing.get_context("fork").Process(target=_quietly, args=(read,))
    child.start()
    child.join(seconds)
    if child.exitcode is None:
        child.kill()
        child.join()
        return f"reading it came to no end within {seconds:.0f} s"
    return f"reading it ends a program, exit code {child.exitcode}" if child.exitcode else ""


def _quietly(read: Callable[[], Any]) -> None:
    faulthandler.disable()  # a crash is expected here
    with contextlib.suppress(Exception):
        read()
    os._exit(0)  # nothing of the parent's is to be closed twice
