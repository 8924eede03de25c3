"""Let a child process read a foreign file first: what ends or stalls it is a refusal here."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headcond.headers import LARGEST

_LEAST = 20.0  # s, for a disk that sleeps
_SLOWEST = 1e6  # bytes per second
_TOO_MUCH = 99


def patience(path: str | Path) -> float:
    """Seconds that the reading of a file may take, by its size."""
    return _LEAST + Path(path).stat().st_size / _SLOWEST


def trouble(read: Callable[[], Any], seconds: float, memory: float = LARGEST) -> str:
    """Why a file cannot be read, or '': `read` is called in a forked child.

    Parameters
    ----------
    read : without arguments.
    seconds : after which the child is stopped.
    memory : bytes that the child may take beyond what this process has.

    Returns
    -------
    A reason, or ''. Libraries in C may end the whole program on a wrong byte, never come back, or
    take what memory a header asks for. The child has the same memory, so it meets what this
    process would. Python's errors are none of its business: they come again where they can be
    told.
    """
    child = multiprocessing.get_context("fork").Process(target=_quietly, args=(read, memory))
    child.start()
    child.join(seconds)
    if child.exitcode is None:
        child.kill()
        child.join()
        return f"reading it came to no end within {seconds:.0f} s"
    if child.exitcode == _TOO_MUCH:
        return f"reading it takes more than {memory:.3g} bytes of memory"
    return f"reading it ends a program, exit code {child.exitcode}" if child.exitcode else ""


def _quietly(read: Callable[[], Any], memory: float) -> None:
    faulthandler.disable()  # a crash is expected here
    code = 0
    try:
        _limit(memory)
        read()
    except MemoryError:
        code = _TOO_MUCH
    except Exception:
        pass  # the parent reads next and meets it
    os._exit(code)  # nothing of the parent's is to be closed twice


def _limit(memory: float) -> None:
    statm = Path("/proc/self/statm")
    if statm.exists():  # Linux: elsewhere nobody says what the process has
        has = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (has + int(memory),) * 2)
