"""Names of tissues, conductivity maps and estimation modes in figures and reports."""

from __future__ import annotations

MAP_NAMES = {"condnet": "estimated", "subvoxel": "sub-voxel"} | {
    f"{key}-{table}": f"{name} ({table})"
    for key, name in (("condnet", "estimated"), ("uniform", "uniform"))
    for table in ("A", "B", "cole-cole")
}
"""Conductivity maps under another name than their own."""
MODE_NAMES = {"each": "per pair", "joint": "all pairs together"}
"""Estimates from one injection pair at a time, and from all of them."""
_TISSUES = {
    "bone_cortical": "cortical bone", "bone_cancellous": "cancellous bone", "gm": "GM", "wm": "WM",
    "csf": "CSF", "mucous": "mucous membrane", "non_brain": "head without brain",
}  # fmt: skip


def map_name(name: str) -> str:
    """Conductivity map or field model as figures and tables name it."""
    return MAP_NAMES.get(name, name)


def tissue_name(name: str) -> str:
    """Tissue, region or conductivity parameter as figures and tables name it.

    >>> tissue_name("gm"), tissue_name("compact_bone")
    ('GM', 'compact bone')
    """
    return _TISSUES.get(name, name.replace("_", " "))
