"""Pin the packages of envs/*.yaml to the series (major.minor) of requirements.lock: `make lock`.

Patches differ between conda-forge and PyPI more often than series do. What Snakemake needs in
one exact version stays exact; PETSc's is that which envs/build_petsc.sh builds, Python's that
which the lock is compiled for.
"""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYPI_NAMES = {"pytorch": "torch"}


def versions(root: Path = HERE.parent) -> dict[str, str]:
    """Locked versions by lower-case name on conda-forge, Python's and PETSc's among them."""
    found = dict(re.findall(r"(?m)^([\w.-]+)==([\w.]+)", (root / "requirements.lock").read_text()))
    found = {name.lower(): version for name, version in found.items()}
    found |= {conda: found[name] for conda, name in PYPI_NAMES.items()}
    petsc = re.search(r"(?m)^petsc_version=(\S+)", (root / "envs" / "build_petsc.sh").read_text())
    python = re.search(r"--python-version (\S+)", (root / "envs" / "lock.sh").read_text())
    if not petsc or not python:
        raise SystemExit("pin_conda: build_petsc.sh or lock.sh states no version.")
    return found | {"petsc": petsc[1], "petsc4py": petsc[1], "python": python[1]}


def pinned(text: str, locked: dict[str, str]) -> str:
    """An environment file's text with the pins of `locked`; exact ones (==) are left."""

    def pin(line: re.Match[str]) -> str:
        name = line[1]
        if name not in locked:
            raise SystemExit(f"pin_conda: {name} is not locked.")
        return f"  - {name} ={'.'.join(locked[name].split('.')[:2])}"

    return re.sub(r"(?m)^  - ([\w-]+) (?!==)\S+$", pin, text)


if __name__ == "__main__":
    known = versions()
    for path in sorted(HERE.glob("*.yaml")):
        path.write_text(pinned(path.read_text(), known))
