"""A copy of the workflow in which tests may run and edit without touching the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "config.yaml", "workflow", "scripts", "src", "envs", "profiles", "studies")


class Checkout:
    """A copy of what Snakemake needs, its `results` inside."""

    def __init__(self, folder):
        self.folder = folder

    def command(self, *arguments):
        """Snakemake of this environment, with `arguments`."""
        return [str(Path(sys.executable).parent / "snakemake"), *map(str, arguments)]

    def environment(self, **changes):
        """Variables for it: this copy's package, one thread per program; None removes one."""
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
        variables = {**os.environ, **one, **changes}
        variables.pop("PYTHONPATH", None)
        return {name: value for name, value in variables.items() if value is not None}

    def start(self, *arguments, environment=None):
        """Start Snakemake in a process group of its own."""
        return subprocess.Popen(
            self.command(*arguments), cwd=self.folder, env=self.environment(**(environment or {})),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def run(self, *arguments, environment=None, fails=False):
        """Run Snakemake to its end and return what it prints."""
        process = self.start(*arguments, environment=environment)
        output, _ = process.communicate(timeout=3000)
        assert (process.returncode != 0) == fails, f"{arguments}:\n{output[-6000:]}"
        return output

    def study(self, name, content):
        """Write a study file and return its path."""
        path = self.folder / f"{name}.yaml"
        path.write_text(f"study: {name}\n{content}")
        return path


@pytest.fixture(scope="session")
def make_checkout(tmp_path_factory):
    """Function that makes one more copy, of the checkout or of another copy."""

    def make(name, source=ROOT):
        folder = tmp_path_factory.mktemp(name)
        for part in PARTS:
            if (source / part).is_dir():
                # With compiled functions that lie beside the sources: they take half a minute.
                shutil.copytree(source / part, folder / part, ignore=unfinished)
            else:
                shutil.copy2(source / part, folder / part)
        return Checkout(folder)

    return make


def unfinished(folder, names):
    """Names of temporary files of programs that write beside the sources now."""
    return [name for name in names if ".tmp" in name or name.endswith(".egg-info")
            or name.count(".pyc.")]  # fmt: skip
