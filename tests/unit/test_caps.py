"""Named caps: frames, sides, names, pairs."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from headcond.caps import (
    CAPS,
    cap_positions,
    injection_pairs,
    read_simnibs_cap,
    template_positions,
)
from headcond.checks import InputError

SIZES = {
    "eit32": 32, "ucl33": 33, "standard_1005": 343, "standard_1020": 94, "biosemi32": 32,
    "biosemi64": 64, "biosemi128": 128, "GSN-HydroCel-128": 128, "GSN-HydroCel-129": 129,
    "paper133": 133,
}  # fmt: skip


def test_every_cap_is_tested():
    assert set(SIZES) == set(CAPS)


@pytest.mark.parametrize("cap", SIZES)
def test_caps_are_whole_and_of_a_heads_size(cap):
    positions, error = template_positions(cap)
    places = np.array(list(positions.values()))
    assert len(positions) == SIZES[cap]
    low, high = places.min(axis=0), places.max(axis=0)
    assert -95 < low[0] < -80 and 80 < high[0] < 95  # left is -x, in millimetres
    assert -125 < low[1] < -105 and 75 < high[1] < 95
    assert 95 < high[2] < 105
    assert error <= 12.5


@pytest.mark.parametrize(("cap", "limit"), [("biosemi64", 14), ("GSN-HydroCel-129", 25)])
def test_fitted_caps_are_near_where_1005_has_their_names(cap, limit):
    fitted = template_positions(cap)[0]
    truth = template_positions("standard_1005")[0]
    same = (
        {"E36": "C3", "E104": "C4", "E75": "Oz", "E22": "Fp1", "E9": "Fp2", "Cz": "Cz"}
        if cap.startswith("GSN")
        else {name: name for name in fitted}
    )
    far = {a: np.linalg.norm(fitted[a] - truth[b]) for a, b in same.items()}
    assert max(far.values()) < limit
    assert far["Cz"] < 8


def test_biosemi_abc_has_its_vertex_and_sides():
    abc = template_positions("biosemi128")[0]
    names = template_positions("standard_1005")[0]
    for one, two in (("A1", "Cz"), ("D19", "C3"), ("B22", "C4"), ("A23", "Oz"), ("C21", "Fz")):
        assert np.linalg.norm(abc[one] - names[two]) < 12


def test_eit32_spreads_over_both_sides():
    positions = template_positions("eit32")[0]
    assert pdist(np.array(list(positions.values()))).min() > 25  # room for discs of 20 mm
    assert positions["C3"][0] < -50 < 50 < positions["C4"][0]
    assert positions["Oz"][1] < -100 < 80 < positions["Fpz"][1]
    assert positions["Cz"][2] == max(p[2] for p in positions.values())
    assert min(p[2] for p in positions.values()) < -40


def test_positions_follow_the_heads_own_map():
    mni = np.array([[1.1, 0.02, 0, 3], [0, 0.95, 0.1, -7], [0, -0.1, 1.05, 12], [0, 0, 0, 1.0]])
    template = template_positions("eit32")[0]
    for name, place in cap_positions("eit32", mni).items():
        np.testing.assert_allclose(mni[:3, :3] @ place + mni[:3, 3], template[name], atol=1e-9)


def test_names_choose_and_order():
    assert list(cap_positions("standard_1005", np.eye(4), ["Oz", "C3"])) == ["Oz", "C3"]


def test_refusals():
    with pytest.raises(InputError, match="Did you mean 'eit32'"):
        cap_positions("eit23", np.eye(4))
    with pytest.raises(InputError, match="no electrode C33"):
        cap_positions("eit32", np.eye(4), ["C33"])
    with pytest.raises(InputError, match="singular"):
        cap_positions("eit32", np.diag([1.0, 1, 0, 1]))


def test_named_pairs_keep_their_order():
    assert injection_pairs(["A", "B", "Z"], "Z", ["B", "A"]) == [("B", "Z"), ("A", "Z")]


def test_counted_pairs_spread():
    labels = list(template_positions("eit32")[0])
    pairs = injection_pairs(labels, "Cz", 8)
    assert all(sink == "Cz" for _, sink in pairs)
    positions = template_positions("eit32")[0]
    chosen = np.array([positions[source] for source, _ in pairs] + [positions["Cz"]])
    first = np.array([positions[name] for name in labels[:9]])
    assert pdist(chosen).min() > 60 > pdist(first).min()
    assert pairs[:3] == injection_pairs(labels[::-1], "Cz", 3)
    assert len(set(injection_pairs(labels, "Cz", 31))) == 31


def test_unknown_labels_are_taken_at_even_steps():
    labels = [f"X{n}" for n in range(9)]
    assert [a for a, _ in injection_pairs(labels, "X0", 4)] == ["X1", "X3", "X5", "X7"]


@pytest.mark.parametrize(
    ("sink", "sources", "words"),
    [("Z", 2, "no electrode Z"), ("A", ["Q"], "no electrode Q"), ("A", ["A"], "sink of all"),
     ("A", 3, "1 to 2"), ("A", 0, "1 to 2")],
)  # fmt: skip
def test_bad_pairs_are_refused(sink, sources, words):
    with pytest.raises(InputError, match=words):
        injection_pairs(["A", "B", "C"], sink, sources)


def test_template_lies_on_the_mni_scalp(data_dir):
    """Positions are within millimetres of the surface of the MNI152 T1 template."""
    import nibabel
    from scipy import ndimage

    image = nibabel.load(data_dir / "mri_templates" / "MNI152_T1_2mm.nii.gz")
    data = np.asarray(image.dataobj, float)
    head = ndimage.binary_fill_holes(ndimage.binary_closing(data > 0.1 * data.max(), iterations=3))
    edge = np.argwhere(head & ~ndimage.binary_erosion(head, border_value=1))
    surface = edge @ image.affine[:3, :3].T + image.affine[:3, 3]
    positions = template_positions("eit32")[0]
    upper = np.array([p for p in positions.values() if p[2] > -20])
    far = np.sqrt(((upper[:, None] - surface) ** 2).sum(axis=2)).min(axis=1)
    assert np.mean(far) < 6
    assert np.max(far) < 14


def test_misspelt_electrode_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match=r"no electrode C33\. Did you mean 'C3'"):
        cap_positions("standard_1005", np.eye(4), ("CP3", "C33"))


def test_paper133_tells_the_vertex_from_the_sink():
    positions = template_positions("paper133")[0]
    abc = template_positions("biosemi128")[0]
    assert all(np.array_equal(positions[name], abc[name]) for name in abc)
    assert set(positions) - set(abc) == {"nasion", "inion", "lpa", "rpa", "Cz"}
    assert pdist(np.array(list(positions.values()))).min() > 10.2  # room for discs of 10 mm
    far = {name: np.linalg.norm(positions["Cz"] - abc[name]) for name in ("A1", "D1", "D15")}
    assert np.ptp(list(far.values())) < 1e-9 and 11 < far["A1"] < 13
    assert np.linalg.norm(positions["inion"] - template_positions("standard_1005")[0]["Iz"]) < 8
    assert positions["lpa"][0] < -70 < 70 < positions["rpa"][0] and positions["nasion"][1] > 80


def test_a_simnibs_cap(tmp_path):
    path = tmp_path / "cap.csv"
    path.write_text(
        "Type,X,Y,Z,Name\nElectrode,-60.5,0,60,C3\nFiducial,0,85,-40,Nz\n"
        "ReferenceElectrode,0,-9,100,Cz\n\n"
    )
    places = read_simnibs_cap(path)
    assert list(places) == ["C3", "Cz"]
    np.testing.assert_array_equal(places["C3"], [-60.5, 0, 60])
    shift = np.eye(4)
    shift[:3, 3] = 5.0
    np.testing.assert_allclose(cap_positions(str(path), shift, ["Cz"])["Cz"], [-5, -14, 95])
    for content, told in (
        ("Electrode,1,2,80,A\nElectrode,1,2,90,A\n", "A is listed twice"),
        ("Electrode,1,2,eighty,A\n", "not a number"),
        ("Electrode,1,2\n", "cannot be read"),
        ("Fiducial,0,85,-40,Nz\n", "no row of the type Electrode"),
        ("Electrode,0,0,0.1,A\n", "millimetres"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=told):
            read_simnibs_cap(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_simnibs_cap(tmp_path / "absent.csv")


def test_simnibs_own_cap_is_near_the_same_names(data_dir):
    places = read_simnibs_cap(data_dir / "coils_and_caps" / "EEG10-10_UI_Jurak_2007.csv")
    known = template_positions("standard_1005")[0]
    same = [name for name in places if name in known]
    assert len(places) == 76 and len(same) > 60
    far = [np.linalg.norm(places[name] - known[name]) for name in same]
    assert np.median(far) < 15 and max(far) < 30
