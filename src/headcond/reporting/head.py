"""Section of the report on the head model: mesh and electrodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from headcond.figures.names import tissue_name
from headcond.reporting.page import Part, Section, quantities


def head_section(figures: Mapping[str, str], qualities: Mapping[str, Mapping[str, Any]]) -> Section:
    """Quality and cuts of every head's mesh, and its electrodes.

    Parameters
    ----------
    figures : paths of the figures by name.
    qualities : report of `head.quality`, by subject.
    """
    parts = []
    for subject, record in qualities.items():
        angles, leaks = record["dihedral_deg"], record["leaks"]
        areas = record["electrode_area_mm2"]
        cut = [f"{face} ({count} voxels)" for face, count in record["cut_voxels"].items()]
        facts = {
            "nodes": record["nodes"],
            "tetrahedra": record["tetrahedra"],
            "inverted tetrahedra": record["inverted"],
            "connected components": record["components"],
            "dihedral angles (degrees)": f"{angles['min']:.1f} to {angles['max']:.1f}",
            "smallest angle per tetrahedron, median (degrees)": f"{angles['p50']:.1f}",
            "faces between the inside and the outside of the skull": leaks["faces"],
            "nodes shared by the inside and the outside of the skull": leaks["nodes"],
            "faces between spongy bone and other tissues than compact bone": leaks["diploe_faces"],
            "electrode areas (mm²)": f"{areas['least']:.1f} to {areas['largest']:.1f}"
            + (f"; nominal {areas['nominal']:.1f}" if "nominal" in areas else ""),
            "cut by the image (insulated there)": ", ".join(cut) or "no",
        }
        parts.append(Part(f"Mesh of {subject}", table=quantities(facts)))
        volumes = [
            {
                "tissue": tissue_name(name),
                "volume (ml)": 1e6 * volume,
                "mesh volume / voxel volume": record.get("voxel_volume_ratio", {}).get(name, "–"),
            }
            for name, volume in record["volume_m3"].items()
        ]
        caption = "Cuts through the tetrahedral mesh, coloured by tissue (RAS+ coordinates)."
        parts.append(Part("", (), pd.DataFrame(volumes), figures[f"mesh_{subject}"], caption))
        caption = "Electrodes as discs of surface triangles (dark), with their labels."
        parts.append(Part(figure=figures[f"electrodes_{subject}"], caption=caption))
    return Section("head", "Head model", tuple(parts))
