"""The forward pipeline through Snakemake, on a given mesh: a sphere whose potentials are known."""

import numpy as np

from headcond.fem.sphere import layered_potential
from headcond.files import results
from headcond.head.formats import read_head, write_mesh
from headcond.head.mesh import Mesh
from headcond.tissues import EIT_RANGES, EIT_TISSUES
from tests.helpers.fem_meshes import direction, shells
from tests.workflow.test_small_study import check_page, check_sidecars

RADII = np.array([0.08, 0.082, 0.0865, 0.092])
LAYERS = ("gm", "csf", "compact_bone", "scalp")  # from inside
PLACES = {f"S{k}": direction(*at) for k, at in enumerate([
    (0.3, 0), (1.2, np.pi), *((t, np.pi / 2) for t in (0.2, 0.72, 1.24, 1.76, 2.28, 2.8)),
])}  # fmt: skip


def test_a_given_mesh_is_solved_and_reported(make_checkout):
    checkout = make_checkout("forward")
    mesh = shells(RADII, 3, 2, 8)
    number = np.array([0, *(EIT_TISSUES.index(name) + 1 for name in LAYERS)], np.uint8)
    given = checkout.folder / "sphere.vtu"
    write_mesh(given, Mesh(mesh.nodes, mesh.tetrahedra, number[mesh.tissue], EIT_TISSUES))
    cap = checkout.folder / "places.csv"
    rows = [",".join(["Electrode", *map(str, 92 * d), name]) for name, d in PLACES.items()]
    cap.write_text("\n".join(rows) + "\n")
    study = f"""
pipelines: [forward]
head:
  source: file
  subjects: [sub-sphere]
  files: {{sub-sphere: {given}}}
  unit: mm
  electrodes: {{cap: {cap}, sink: S1, diameter: 0.014, relative_impedance: {{S0: 2.0}}}}
forward: {{pairs: [S0, S7], backend: pyamg}}
"""
    path = checkout.study("sphere", study.replace("sphere.vtu", "absent.vtu"))
    refused = checkout.run("-n", "--configfile", path, fails=True)
    assert "head.files.sub-sphere: the file" in refused and "Traceback" not in refused
    path = checkout.study("sphere", study)
    checkout.run("--cores", 2, "--configfile", path)
    folder = checkout.folder / "results" / "sphere"
    check_page(folder / "report.html", 4, ["Head model", "Forward problem"])
    rules = check_sidecars(folder, least=6)
    assert rules == {"import_mesh", "assemble_operators", "solve_forward"}
    residuals = results.read_table(folder / "sub-sphere" / "forward" / "sub-sphere_residuals.tsv")
    assert list(residuals["pair"]) == ["S0-S1", "S7-S1"]
    assert (residuals["residual"] <= 1e-10).all()
    head, discs = read_head(folder / "sub-sphere" / "head" / "sub-sphere_head.h5")
    assert head.tissue_names == ("scalp", "compact_bone", "csf", "gm")
    # The doubled impedance of S0 stands in its drive voltage, 20 uA x 5 Ohm m2 / area.
    drop = 20e-6 * 5.0 / discs.areas(head.nodes)[0]
    assert residuals["drive_voltage"][0] - residuals["drive_voltage"][1] > 0.9 * drop
    table = results.read_table(folder / "sub-sphere" / "forward" / "sub-sphere_potentials.tsv")
    first = table[table["pair"] == "S0-S1"].set_index("electrode")["potential"]
    passive = [f"S{k}" for k in range(2, 8)]
    exact = layered_potential(
        np.array([RADII[-1] * PLACES[name] for name in passive]), RADII,
        np.array([0.5 * (EIT_RANGES[n]["lq"] + EIT_RANGES[n]["uq"]) for n in LAYERS]),
        RADII[-1] * PLACES["S0"], RADII[-1] * PLACES["S1"], 20e-6,
        half_angle=0.07, reading_half_angle=0.07,
    )  # fmt: skip
    found = first[passive].to_numpy()
    found, exact = found - found.mean(), exact - exact.mean()
    assert np.linalg.norm(found - exact) < 0.05 * np.linalg.norm(exact)
