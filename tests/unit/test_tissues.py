"""Label schemes, conductivity tables and the merge into six tissues."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headcond import tissues
from headcond.checks import InputError
from headcond.files.results import read_volume

ID = {name: number for number, name in enumerate(tissues.TISSUES, start=1)}


def test_ids_of_the_internal_scheme():
    expected = (
        "skin fat muscle bone_cortical bone_cancellous dura csf gm wm cerebellum "
        "vitreous_humour blood mucous"
    )
    assert expected.split() == list(tissues.TISSUES)
    assert tissues.label_scheme("headcond13") == {0: "air", **{i: n for n, i in ID.items()}}
    assert tissues.tissue_id("air") == 0
    assert [tissues.tissue_id(name) for name in tissues.TISSUES] == list(range(1, 14))


@pytest.mark.parametrize(
    "scheme", ["headcond13", "charm", "synthseg", "simnibs", "brainweb", "brainweb20", "eit6"]
)
def test_every_id_of_a_scheme_translates(scheme):
    names = tissues.label_scheme(scheme)
    translated = tissues.to_tissues(np.array(list(names)), scheme)
    assert translated.dtype == np.uint8
    eit = {"scalp": "skin", "compact_bone": "bone_cortical", "spongy_bone": "bone_cancellous"}
    for number, name in zip(translated, names.values(), strict=True):
        name = eit.get(name, "muscle" if name == "soft_tissue" else name)
        assert number == (0 if name == "air" else ID[name])


def test_synthseg_ids_from_their_documentation():
    expected = {2: "wm", 16: "wm", 53: "gm", 47: "cerebellum", 24: "csf", 502: "blood",
                506: "vitreous_humour", 509: "mucous", 511: "skin", 515: "bone_cortical",
                516: "bone_cancellous", 508: "muscle", 85: "wm", 30: "blood"}  # fmt: skip
    names = tissues.label_scheme("synthseg")
    assert {number: names[number] for number in expected} == expected
    assert names[507] == tissues.SOFT_TISSUE
    assert tissues.to_tissues([507], "synthseg", soft_tissue="fat")[0] == ID["fat"]


def test_charm_ids_are_synthsegs_but_for_its_own():
    charm, synthseg = tissues.label_scheme("charm"), tissues.label_scheme("synthseg")
    assert charm.items() < synthseg.items()
    expected = {517: "air", 515: "bone_cortical", 516: "bone_cancellous", 520: "csf", 525: "fat",
                507: tissues.SOFT_TISSUE, 29: "csf", 530: "wm"}  # fmt: skip
    assert {number: charm[number] for number in expected} == expected


def test_real_charm_map(data_dir):
    """SimNIBS's example head: every id of charm's table translates, under both names."""
    labels, _ = read_volume(data_dir / "ernie" / "ernie_charm_ids.nii.gz")
    table = json.loads((data_dir / "ernie" / "charm_index_to_id.json").read_text())
    ids = {0, *(entry["id"] for entry in table)}
    assert ids == set(tissues.label_scheme("charm")) == set(np.unique(labels).astype(int))
    translated = tissues.to_tissues(labels, "charm")
    np.testing.assert_array_equal(tissues.to_tissues(labels, "synthseg"), translated)
    counts = np.bincount(translated.ravel(), minlength=14)
    assert counts[ID["fat"]] == 734_282 and counts[ID["bone_cancellous"]] == 117_065
    assert counts[0] == np.isin(labels, (0, 501, 517)).sum()
    assert set(np.flatnonzero(counts)) == set(range(14)) - {ID["dura"]}


def test_brainweb20_ids_from_their_documentation():
    names = ["air", "csf", "gm", "wm", "fat", "muscle", tissues.SOFT_TISSUE, "bone_cortical",
             "blood", "muscle", "dura", "bone_cancellous"]  # fmt: skip
    assert tissues.label_scheme("brainweb20") == dict(enumerate(names))


def test_brainweb_ids_from_their_documentation():
    names = ["air", "csf", "gm", "wm", "fat", "muscle", "skin", "bone_cortical", "gm", "muscle"]
    assert tissues.label_scheme("brainweb") == dict(enumerate(names))
    # 10 is a lesion in some of BrainWeb's models, dura in its twenty anatomical ones.
    with pytest.raises(InputError, match=r"10 \(2 voxels\), 11 \(1 voxels\)"):
        tissues.to_tissues(np.array([3, 10, 10, 11]), "brainweb")


def test_float_labels_pass_if_whole():
    assert tissues.to_tissues(np.array([0.0, 515.0]), "synthseg").tolist() == [0, 4]
    with pytest.raises(InputError, match="1 labels are no whole numbers"):
        tissues.to_tissues(np.array([0.0, 7.5]), "synthseg")


def test_unknown_ids_are_listed_with_counts():
    with pytest.raises(InputError, match=r"-1 \(1 voxels\), 99 \(2 voxels\), 700 \(1 voxels\)"):
        tissues.to_tissues(np.array([2, 99, 99, 700, -1]), "synthseg")
    with pytest.raises(InputError, match="Did you mean 'synthseg'"):
        tissues.label_scheme("synth_seg")
    with pytest.raises(InputError, match="14"):
        tissues.conductivity_map(np.array([14]), tissues.conductivity_table("A"))


def test_tables_of_the_paper():
    a, b = tissues.conductivity_table("A"), tissues.conductivity_table("B")
    assert set(a) == set(b) == set(tissues.TISSUES)
    assert max(a.values()) == a["csf"] == 2.0
    assert max(b.values()) == b["csf"] == 1.654
    assert (a["gm"], a["wm"], a["skin"], a["cerebellum"]) == (0.1, 0.07, 0.1, 0.13)
    assert (b["gm"], b["wm"], b["skin"], b["bone_cortical"]) == (0.276, 0.126, 0.456, 0.007)
    with pytest.raises(InputError, match="fixed values"):
        tissues.conductivity_table("A", frequency=1e3)


def test_cole_cole_at_10_khz():
    published = {"blood": 0.700, "bone_cancellous": 0.0826, "bone_cortical": 0.0204, "gm": 0.1149,
                 "wm": 0.0695, "cerebellum": 0.1349, "csf": 2.000, "dura": 0.5013, "fat": 0.0430,
                 "muscle": 0.3408, "vitreous_humour": 1.500}  # fmt: skip
    table = tissues.conductivity_table("cole-cole")
    for name, value in published.items():
        assert table[name] == pytest.approx(value, abs=6e-5), name
    a = tissues.conductivity_table("A")
    assert {name for name in tissues.TISSUES if table[name] == a[name]} == set(
        tissues.COLE_COLE_OVERRIDDEN
    )
    assert tissues.conductivity_table("cole-cole", 100e3)["gm"] == pytest.approx(0.1337, abs=2e-4)


def test_quasi_static_ratio():
    ratio = tissues.conduction_to_displacement(10e3)
    assert ratio["gm"] == pytest.approx(9.3, abs=0.05)
    assert ratio["wm"] == pytest.approx(10.0, abs=0.05)
    assert min(ratio, key=ratio.get) == "gm"
    assert not set(tissues.COLE_COLE_OVERRIDDEN) & set(ratio)


@given(st.floats(1, 1e9), st.sampled_from(sorted(set(tissues.TISSUES) - {"skin", "mucous"})))
def test_cole_cole_is_passive_and_conducts_more_at_higher_frequency(frequency, tissue):
    low, high = tissues.cole_cole(tissue, np.array([frequency, 2 * frequency]))
    assert low.real > high.real > 1
    assert -2 * high.imag >= -low.imag * (1 - 1e-9)  # sigma = -omega eps0 Im eps


def test_eit_ranges():
    assert tuple(tissues.EIT_RANGES) == tissues.EIT_TISSUES
    for row in tissues.EIT_RANGES.values():
        assert row["min"] < row["lq"] < row["uq"] <= row["max"]
    assert tissues.EIT_RANGES["compact_bone"] == {
        "min": 0.0008, "lq": 0.002, "uq": 0.009, "max": 0.0131,
    }  # fmt: skip
    assert tissues.EIT_RANGES["gm"]["uq"] == 0.508


def test_conductivity_map_has_exact_air():
    labels = np.arange(14, dtype=np.uint8).reshape(7, 2, 1)
    table = tissues.conductivity_table("B")
    sigma = tissues.conductivity_map(labels, table)
    assert sigma.dtype == np.float32
    assert sigma[0, 0, 0] == 0.0
    np.testing.assert_array_equal(
        sigma.ravel()[1:], np.float32([table[n] for n in tissues.TISSUES])
    )
    table.pop("dura")
    with pytest.raises(InputError, match="lacks dura"):
        tissues.conductivity_map(labels, table)


def test_eit6_merges_tissue_by_tissue():
    expected = {"skin": 1, "fat": 1, "muscle": 1, "mucous": 1, "vitreous_humour": 1,
                "bone_cortical": 2, "bone_cancellous": 3, "dura": 4, "csf": 4, "gm": 5,
                "cerebellum": 5, "wm": 6}  # fmt: skip
    for name, number in expected.items():
        assert (
            tissues.to_eit6(np.full((2, 2, 2), ID[name], np.uint8)).tolist()
            == [[[number] * 2] * 2] * 2
        )


def test_eit6_blood_on_either_side_of_the_skull():
    # Along x: air, skin, blood in the scalp, bone, sinus under the bone, csf, brain.
    line = [0, ID["skin"], ID["blood"], *[ID["bone_cortical"]] * 2, *[ID["blood"]] * 3, ID["csf"],
            ID["gm"], 0]  # fmt: skip
    labels = np.zeros((11, 3, 3), np.uint8)
    labels[:, 1, 1] = line
    assert tissues.to_eit6(labels)[:, 1, 1].tolist() == [0, 1, 1, 2, 2, 4, 4, 4, 4, 5, 0]


def test_eit6_blood_against_the_slow_rule():
    rng = np.random.default_rng(3)
    labels = rng.choice(
        [0, 1, 3, 4, 7, 8, 12], size=(7, 6, 5), p=[0.2, 0.1, 0.1, 0.2, 0.1, 0.1, 0.2]
    )
    merged = tissues.to_eit6(labels.astype(np.uint8))
    points = np.argwhere(np.isin(labels, [1, 3, 7, 8]))
    for voxel in np.argwhere(labels == 12):
        distance = ((points - voxel) ** 2).sum(axis=1)
        nearest = labels[tuple(points[distance == distance.min()].T)]
        sides = {4 if number in (7, 8) else 1 for number in nearest}
        assert merged[tuple(voxel)] in sides


def test_eit6_round_trip():
    labels = np.arange(7, dtype=np.uint8).reshape(7, 1, 1)
    np.testing.assert_array_equal(tissues.to_eit6(tissues.to_tissues(labels, "eit6")), labels)


def test_real_label_map(data_dir):
    labels, _ = read_volume(data_dir / "head_labels" / "training_seg_01.nii.gz")
    labels = labels[::2, ::2, ::2]
    translated = tissues.to_tissues(labels, "synthseg")
    counts = np.bincount(translated.ravel(), minlength=14)
    assert counts[ID["dura"]] == 0  # the maps know none
    assert counts[ID["muscle"]] > np.count_nonzero(labels == 507)
    assert counts[ID["cerebellum"]] == np.isin(labels, (7, 8, 46, 47)).sum()
    merged = tissues.to_eit6(translated)
    assert ((merged == 0) == (translated == 0)).all()
    venous = labels == 514
    assert 0.2 < (merged[venous] == 4).mean() <= 1.0


def test_tables_a_and_b_hold_every_printed_value():
    """Table I of the CondNet paper, S/m."""
    printed = {
        "blood": (0.700, 0.700), "bone_cancellous": (0.080, 0.025),
        "bone_cortical": (0.020, 0.007), "cerebellum": (0.130, 0.276), "csf": (2.000, 1.654),
        "dura": (0.500, 0.500), "fat": (0.040, 0.040), "gm": (0.100, 0.276),
        "mucous": (0.070, 0.070), "muscle": (0.340, 0.400), "skin": (0.100, 0.456),
        "vitreous_humour": (1.500, 1.500), "wm": (0.070, 0.126),
    }  # fmt: skip
    for column, name in enumerate("AB"):
        table = tissues.conductivity_table(name)
        assert table == {tissue: values[column] for tissue, values in printed.items()}
