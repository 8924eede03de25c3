"""The frame of every script: Snakemake's names as plain arguments, log, and provenance."""

from __future__ import annotations

import errno
import gc
import hashlib
import inspect
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headcond.checks import InputError
from headcond.files.results import digest as file_digest
from headcond.files.results import stated_digest, versions


def run(main: Callable, snakemake: Any) -> None:
    """Call `main` with the named inputs, outputs and params of a rule, and a provenance record.

    The param `source` (digest of the code) goes into the record, not to `main`. Everything
    printed or logged goes to the rule's log file.
    """
    arguments = {**snakemake.input, **snakemake.output, **snakemake.params}
    source = arguments.pop("source")
    if "threads" in inspect.signature(main).parameters:  # a machine setting, hence no param
        arguments["threads"] = snakemake.threads
    terminal = os.dup(2)
    log = open(snakemake.log[0], "w", buffering=1) if snakemake.log else None  # noqa: SIM115
    if log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)

    def call() -> None:
        settings = (dict(part) for part in (snakemake.params, snakemake.wildcards, snakemake.input))
        main(**arguments, provenance=provenance(snakemake.rule, source, *settings))

    def show(message: str) -> None:
        where = f" (log: {snakemake.log[0]})" if log else ""
        os.write(terminal, f"{snakemake.rule}: {message}{where}\n".encode())

    refuse_politely(call, show)


def refuse_politely(call: Callable, show: Callable[[str], None] = lambda message: None) -> None:
    """Run `call`; an `InputError` ends the program with its message instead of a traceback.

    So does a disk that is full or read-only, whatever library met it. The log may be on that disk,
    and is not the first place to look, so `show` gets the message too. It also gets the message of
    any other error, whose traceback goes to the log.
    """
    try:
        call()
        return
    except InputError as error:
        message = str(error)
    except Exception as error:
        # HDF5 reports some failures of a write as a RuntimeError.
        disk = isinstance(error, (OSError, RuntimeError)) and next(
            (text for code, text in DISK.items() if _means(error, code)), None
        )
        if not disk:
            show(f"{type(error).__name__}: {error}")
            raise
        message = f"{disk} ({error})"
    # The file that could not be written is removed, but takes space while the error's traceback
    # holds it open.
    gc.collect()
    logging.getLogger("headcond").error("%s", message)
    show(message)
    sys.exit(1)


DISK = {
    errno.ENOSPC: "The disk is full. Free some space and run again: finished steps are kept.",
    errno.EDQUOT: "Your quota is used up. Free some space and run again: finished steps are kept.",
    errno.ENOTDIR: "A file has the name of a folder that is needed. Name another folder.",
    errno.EROFS: "The disk is read-only. Make it writable, or change the key 'results'.",
}


def _means(error: Exception, code: int) -> bool:
    return getattr(error, "errno", None) == code or os.strerror(code) in str(error)


def provenance(
    rule: str, source: str, params: Mapping, wildcards: Mapping, inputs: Mapping
) -> dict:
    """Return what made a result: rule, code, parameters, wildcards, versions, inputs, digests."""

    def of_inputs(function: Callable) -> dict:
        return {
            key: function(value) if isinstance(value, str) else [function(path) for path in value]
            for key, value in inputs.items()
        }

    plain = {key: value for key, value in params.items() if key != "source"}
    return {
        "rule": rule,
        "source": source,
        "parameters": plain,
        "wildcards": dict(wildcards),
        "versions": versions(),
        "inputs": of_inputs(str),
        "input_digests": of_inputs(stated_digest),
    }


@contextmanager
def resumable(
    folder: str | Path, record: Mapping, inputs: list, lead: bool = True, communicator: Any = None
) -> Iterator[Path]:
    """Yield a folder for the state of a long step; it is removed when the step ends well.

    Its name holds a digest of parameters, code and the contents of the inputs, so that a
    rerun resumes only what it would compute itself. Under MPI the rank with `lead` makes
    and removes it.
    """
    facts = json.dumps([record["parameters"], record["source"]], sort_keys=True, default=str)
    digest = hashlib.sha256(facts.encode())
    for path in inputs:
        digest.update(bytes.fromhex(file_digest(path)))
    state = Path(folder) / f"{record['rule']}-{digest.hexdigest()[:16]}"
    state.mkdir(parents=True, exist_ok=True)
    yield state
    if communicator is not None:
        communicator.barrier()
    if lead:
        shutil.rmtree(state)
