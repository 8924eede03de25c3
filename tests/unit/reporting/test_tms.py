"""The TMS section of the report shows tissues, positions and the quasi-static ratio."""

from __future__ import annotations

import pandas as pd
import pytest

from headcond.metrics import GLOBAL_ERROR_COLUMNS, average_errors
from headcond.reporting.tms import field_section

STUDY = {
    "tms": {"position": "C3", "handle": "CP3", "voxel_size_mm": 1.0, "didt": 1e8,
            "hand_knob": {"centre_mni_mm": [-42, -13, 66], "radius_mm": 5.0}},
    "condnet": {"frequency": 1e4},
    "cohort": {"test": ["sub-1"], "voxel_size_mm": 2.0},
}  # fmt: skip
FIGURES = {f"{name}_sub-1": "x.png" for name in ("coil", "efield", "difference")}


def test_field_section_holds_every_table():
    row = ("sub-1", "C3", "brain", "uniform", "condnet-B", "magnitude", "region", "conductive",
           1.5, 0.5, 10)  # fmt: skip
    errors = pd.DataFrame([row], columns=list(GLOBAL_ERROR_COLUMNS))
    peaks = pd.DataFrame([{"subject": "sub-1", "model": "subvoxel", "region": "brain",
                           "percentile": 99.0, "field": 90.0}])  # fmt: skip
    fields = pd.DataFrame([{"subject": "sub-1", "model": "condnet", "tissue": "bone_cortical",
                            "mean": 1.25, "p99": 7.5}])  # fmt: skip
    scan = pd.DataFrame([
        {"subject": "sub-1", "position": "Cz", "handle": "CPz", "region": "brain", "model": model,
         "percentile": 99.9, "field": 80.0, "mean_percent": 2.0}
        for model in ("uniform", "condnet")
    ])  # fmt: skip
    errors = pd.concat([errors, average_errors(errors)], ignore_index=True)
    peaks = pd.concat([peaks, peaks.assign(model="uniform", field=99.0)], ignore_index=True)
    placed = {"sub-1": {"coil": "figure-of-eight", "placed_by": "C3", "centre_to_scalp_mm": 4.0,
                        "nearest_to_scalp_mm": None}}  # fmt: skip
    ways = {"sub-1": {"quality": {"dice": 0.8, "correlation": 0.26, "mutual_information": 0.1,
                                  "warnings": ["correlation is 0.26, below 0.35"]}}}  # fmt: skip
    warps = {"sub-1": {"quality": {"dice": 0.9, "correlation": 0.7, "displacement_max_mm": 8.0,
                                   "least_jacobian": 0.4}}}  # fmt: skip
    section = field_section(STUDY, FIGURES | {"sagittal": "y.png"}, errors, peaks, {},
                                        fields, scan, placed, ways, warps)  # fmt: skip
    parts = {part.title: part.table for part in section.parts if part.table is not None}
    assert parts["Global error relative to the largest field of the region"][
        "estimate"
    ].tolist() == ["estimated (B)"]
    assert parts["Global error relative to the largest field of the region"][
        "subject"
    ].tolist() == ["sub-1"]
    against = parts["Peak fields against the sub-voxel map"]
    assert against["brain"].tolist() == [pytest.approx(10.0)]
    assert parts["Position of the coil"]["nearest winding to scalp (mm)"].isna().all()
    way = next(part for part in section.parts if part.title == "Registration to MNI space")
    assert any(text.startswith("WARNING: sub-1: correlation is 0.26") for text in way.texts)
    assert way.table["correlation, deformable"].tolist() == [0.7]
    voxels = next(part for part in section.parts if part.title == "Voxels")
    assert "field solver 1 mm" in voxels.texts[0] and "interpolated" in voxels.texts[0]
    assert parts["Peak fields"]["model"].tolist() == ["sub-voxel", "uniform"]
    assert parts["Field per tissue"]["estimated"].tolist() == ["1.25, 7.5"]
    assert parts["Field per tissue"]["tissue"].tolist() == ["cortical bone"]
    assert parts["Further positions"]["global error (%)"].tolist() == [2.0]
    ratios = parts["Conduction and displacement currents"].set_index("tissue")["ratio"]
    assert 9 < ratios["GM"] < 9.6  # the paper requires ten; at 10 kHz grey matter barely holds
    drawn = [str(part.figure) for part in section.parts if part.figure is not None]
    assert drawn == ["x.png"] * 3 + ["y.png"]
    plain = field_section(STUDY, {k: v for k, v in FIGURES.items() if k[0] in "ce"},
                                      errors, peaks, {})  # fmt: skip
    assert "Further positions" not in [part.title for part in plain.parts]
