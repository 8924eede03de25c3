"""Bad input, collected: every case ends in one message that names file or key and the mend."""

from __future__ import annotations

import copy
import hashlib
import re
import time

import meshio
import numpy as np
import pytest
import yaml

from headcond.checks import InputError
from headcond.files import results
from headcond.inverse.protocol import check_data, check_noise, make_protocol
from headcond.study import config, preflight
from headcond.study.paths import REPOSITORY
from tests.helpers.bad_files import AREAS, image, text
from tests.helpers.bad_measurements import TABLES, measured
from tests.helpers.bad_meshes import MESHES

CASES = {**AREAS, "mesh": MESHES, "table": TABLES}
SECONDS = 5.0  # of the processor, with the first use of a library
# What gets an array or a word, not the file; scripts name the file around it where they can.
WITHOUT_FILE = ("labels: an unknown scheme", "mesh: an unknown unit")


def contents(folder):
    """Digest of every file below a folder."""
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def refusal(call):
    """The message of the refusal in which `call` ends, soon."""
    began = time.process_time()
    with pytest.raises(InputError) as refused:
        call()
    assert time.process_time() - began < SECONDS
    return str(refused.value)


FILES = [
    pytest.param(f"{area}: {name}", *case, id=f"{area}: {name}")
    for area, cases in CASES.items()
    for name, case in cases.items()
]


@pytest.mark.parametrize(("case", "name", "write", "read", "told"), FILES)
def test_files(tmp_path, monkeypatch, case, name, write, read, told):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    write(path)
    (tmp_path / "earlier_result.tsv").write_text("subject\n01\n")
    before = contents(tmp_path)
    message = refusal(lambda: read(path))
    assert case in WITHOUT_FILE or path.name in message or str(path.parent) in message, message
    for part in told:
        assert re.search(part, message), f"{part!r} is not told: {message}"
    assert contents(tmp_path) == before


# Changes of the default study by dotted key, and what is told; ... takes the key away.
STUDIES = {
    "an unknown pipeline": ({"pipelines": ["tmss"]}, "pipelines.0.*Did you mean 'tms'"),
    "no pipeline": ({"pipelines": []}, "pipelines"),
    "a word for a number": ({"tms.distance": "4 mm"}, "tms.distance.*type number"),
    "an exponent that YAML reads as text": ({"tms.tolerance": "1e-6"}, "write 1.0e-6"),
    "a truth for a number": ({"rom.snapshots": True}, "rom.snapshots.*type integer"),
    "infinity": ({"inverse.noise": float("inf")}, "inverse.noise: inf is not a finite number"),
    "NaN in a list": ({"tms.hand_knob.centre_mni_mm": [0.0, float("nan"), 0.0]},
                      "centre_mni_mm.1: nan"),
    "a key away": ({"inverse.current": ...}, "inverse: the key 'current' is missing"),
    "a whole part away": ({"rom": ...}, "the key 'rom' is missing"),
    "a part that is a list": ({"mri": [1, 2]}, "mri.*type object"),
    "a key that is a number": ({"cohort.scans": {7: {}}}, "cohort.scans: the key 7 is not text"),
    "a date": ({"study": yaml.safe_load("2024-01-01")}, "put text in quotes"),
    "results that a shell would run": ({"results": "r; touch x #"}, "results: .*r; touch x"),
    "results that are a pattern": ({"results": "/tmp/{subject}"}, "results: .*letters, digits"),
    "a name that is a path": ({"study": "../../etc"}, "study: .*etc"),
    "a subject that is a path": ({"cohort.test": ["sub-../../x"]}, "cohort.test.0"),
    "a subject twice": ({"cohort.train": ["sub-01", "sub-01"]}, "cohort.train"),
    "a scan of a subject of the cohort": (
        {"cohort.scans": {"sub-01": {"t1": "a.nii", "t2": "b.nii"}}}, "cohort.scans.sub-01"),
    "a scan that is not there": (
        {"cohort.scans": {"sub-x": {"t1": "/nowhere/a.nii", "t2": "b.nii"}}},
        "cohort.scans.sub-x.t1: the file /nowhere/a.nii does not exist"),
    "a scan without its T2w": ({"cohort.scans": {"sub-x": {"t1": "a.nii"}}}, "'t2' is missing"),
    "an unset variable": ({"mri.template": "$NO_SUCH_VARIABLE/t.nii"},
                          "mri.template: the environment variable NO_SUCH_VARIABLE.*export it"),
    "label maps out of their folder": (
        {"cohort.source": "labels", "cohort.folder": "/", "cohort.scheme": "synthseg",
         "cohort.pattern": "../{id}.nii"}, "cohort.pattern: .*name files below it"),
    "label maps by their whole path": (
        {"cohort.source": "labels", "cohort.folder": "/", "cohort.scheme": "synthseg",
         "cohort.pattern": "/etc/{id}"}, "cohort.pattern: .*name files below it"),
    "a pattern without a subject": ({"cohort.pattern": "a.nii"}, "cohort.pattern"),
    "more points than memory": ({"rom.training_points": 10**12}, "rom.training_points"),
    "more samples than memory": ({"inverse.samples": 10**9}, "inverse.samples"),
    "a grid of a metre": ({"mri.shape": [100000, 128, 128]}, "mri.shape"),
    "a mesh of micrometres": ({"head.mesh.size": 1e-6}, "head.mesh.size"),
    "a contact without resistance": ({"head.electrodes.contact_impedance": 0}, "impedance"),
    "a cap that is not there": ({"head.electrodes.cap": "/nowhere/cap.csv"}, "/nowhere/cap.csv"),
    "an electrode of another cap": ({"head.electrodes.sink": "A1"}, "head.electrodes.sink: 'A1'"),
    "noise without size": ({"inverse.noise": 0}, "inverse.noise"),
    "an axis twice": ({"condnet.axes": ["axial", "axial", "axial"]}, "condnet.axes"),
    "a billion entries by aliases": ({"cohort.scans": ...}, "more than 100000 entries"),
}  # fmt: skip


def changed(changes):
    made = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    for key, value in changes.items():
        *parents, last = key.split(".")
        part = made
        for name in parents:
            part = part[name]
        if value is ...:
            del part[last]
        else:
            part[last] = copy.deepcopy(value)
    return made


def bomb():
    """Lists of ten references to the list before: 10^9 entries in a few hundred bytes."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    return yaml.safe_load("\n".join(lines))


@pytest.mark.parametrize(("changes", "told"), STUDIES.values(), ids=STUDIES)
def test_studies(changes, told):
    made = changed(changes)
    if "entries" in told:
        made["cohort"]["scans"] = bomb()
    message = refusal(lambda: config.check(made))
    assert re.search(told, message), message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("rom: [1, 2\n", "cannot be read as YAML"),
        ("- a\n- b\n", "a study file must be a mapping"),
        ("", "a study file must be a mapping"),
        ("rom: !!python/object/apply:os.system ['touch sprung']\n", "cannot be read as YAML"),
        ("\x00\x01", "cannot be read as YAML"),
        ("[" * 5000, "cannot be read as YAML"),
        (None, "cannot be read as YAML"),
    ],
)
def test_study_files(tmp_path, monkeypatch, content, told):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_text(content)
    message = refusal(lambda: config.read(path))
    assert message.startswith(f"{path}: ") and told in message, message
    assert not (tmp_path / "sprung").exists()


PROTOCOL = make_protocol([("A", "B")], "ABCDE")
MEASURED = {
    "no pair": (lambda: make_protocol([], "ABC"), "no injection pair"),
    "an electrode twice": (lambda: make_protocol([("A", "B")], "ABB"), "not unique"),
    "an unknown electrode": (lambda: make_protocol([("A", "X")], "ABCD"), "extracting.*'X'"),
    "its own sink": (lambda: make_protocol([("A", "A")], "ABCD"), "Pair 0 .*same electrode 'A'"),
    "a reference with current": (
        lambda: make_protocol([("A", "B")], "ABCD", "B"), "leave the pair"),
    "an unknown reference": (lambda: make_protocol([("A", "B")], "ABCD", "Z"), "reference.*'Z'"),
    "too few readings": (lambda: make_protocol([("A", "B")], "ABC"), "leave it out"),
    "gaps of no pair": (lambda: make_protocol([("A", "B")], "ABCDE", missing={("C", "B"): ["D"]}),
                        "not injected"),
    "NaN": (lambda: check_data(np.full((1, 5), np.nan), PROTOCOL), "list them as missing"),
    "other electrodes": (lambda: check_data(np.zeros((1, 4)), PROTOCOL), "5 electrodes"),
    "no noise": (lambda: check_noise(0.0, PROTOCOL), "noise must be above 0 V"),
    "noise that is none": (lambda: check_noise(np.nan, PROTOCOL), "noise"),
    "noise of two pairs": (lambda: check_noise([1.0, 1.0], PROTOCOL), "noise must have shape"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "told"), MEASURED.values(), ids=MEASURED)
def test_measurements(call, told):
    assert re.search(told, refusal(call))


def test_files_of_a_study_are_looked_into_before_it_starts(tmp_path):
    """Headers only; the key is told with the file."""
    good, bad = tmp_path / "good.nii", tmp_path / "bad.nii"
    image()(good)
    image(lambda data: np.stack([data, data], -1))(bad)
    text("1\n")(tmp_path / "coil.ccd")
    scans = {"sub-x": {"t1": str(good), "t2": str(bad)}}
    made = config.check(changed({"cohort.scans": scans, "results": str(tmp_path / "results")}))
    message = refusal(lambda: preflight.check_files(made))
    assert message.startswith(f"cohort.scans.sub-x.t2: {bad}: expected 3 dimensions"), message
    made["cohort"]["scans"]["sub-x"]["t2"] = str(good)
    preflight.check_files(made)
    made["tms"]["coil"]["file"] = str(tmp_path / "coil.ccd")
    message = refusal(lambda: preflight.check_files(made))
    assert message.startswith("tms.coil.file: ") and "coil.ccd" in message
    del made["tms"]["coil"]["file"]
    made["inverse"]["measured"] = str(tmp_path / "mine.tsv")
    measured("2e-05", "20")(tmp_path / "mine.tsv")
    message = refusal(lambda: preflight.check_files(made))
    assert message.startswith("inverse.measured: ") and "mine.tsv" in message, message
    made["inverse"]["measured"] = {"sub-04": made["inverse"]["measured"]}
    message = refusal(lambda: preflight.check_files(made))
    assert message.startswith("inverse.measured.sub-04: ") and "mine.tsv" in message, message
    measured()(tmp_path / "mine.tsv")
    made["head"] |= {"source": "file", "files": {"sub-04": str(tmp_path / "head.vtu")}}
    text("no mesh")(tmp_path / "head.vtu")
    message = refusal(lambda: preflight.check_files(made))
    assert message.startswith("head.files.sub-04: ") and "head.vtu" in message, message
    meshio.Mesh(np.eye(4, 3), [("tetra", [[0, 1, 2, 3]])]).write(tmp_path / "head.vtu")
    preflight.check_files(made)
    made["condnet"]["networks"] = str(tmp_path)
    network = tmp_path / "axis-axial_network.ckpt"
    network.write_bytes(bytes(99))
    results.write_sidecar(network)
    preflight.check_files(made)
    network.write_bytes(bytes(98))
    message = refusal(lambda: preflight.check_files(made))
    assert message.startswith(f"condnet.networks: {network}: it has 98 bytes, 99"), message
    preflight.check_output(made)
    (tmp_path / "file").write_text("")
    made["results"] = str(tmp_path / "file")
    assert "results: nothing can be written" in refusal(lambda: preflight.check_output(made))


def test_there_are_enough_cases():
    counts = {area: len(cases) for area, cases in CASES.items()}
    counts |= {"config": len(STUDIES) + 7, "measurement": len(MEASURED)}
    assert sum(counts.values()) >= 80 and min(counts.values()) >= 7, counts
