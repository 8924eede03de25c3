"""Start Python programs on several MPI ranks, from a test that itself runs on none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run_ranks(ranks, script, *arguments, timeout=120):
    """Run `script` under mpirun on `ranks` ranks and return its standard output.

    The program learns the number of ranks from HEADCOND_TEST_RANKS and must check it: a
    launcher of another MPI starts that many programs of size one without any error. Skips
    where mpi4py or mpirun is missing; fails with the program's output if it fails.
    """
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    folder = Path(sys.executable).parent
    launcher = shutil.which("mpirun", path=str(folder)) or shutil.which("mpirun")
    if launcher is None:
        pytest.skip(f"no mpirun in {folder} or on the PATH")
    environment = {
        **os.environ,
        # The programs import `tests.helpers`.
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "HEADCOND_TEST_RANKS": str(ranks),
    }
    command = [launcher, "--oversubscribe", "-n", str(ranks), sys.executable, str(script)]
    done = subprocess.run(
        [*command, *map(str, arguments)], env=environment, capture_output=True, text=True,
        timeout=timeout, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.fail(
            f"{Path(script).name} on {ranks} ranks ended with {done.returncode}:\n"
            f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
    return done.stdout
