import copy
from pathlib import Path

import pytest
import yaml

from headcond.checks import InputError
from headcond.study import config, preflight
from headcond.study.paths import REPOSITORY

DEFAULT = REPOSITORY / "config.yaml"


@pytest.fixture
def default():
    return yaml.safe_load(DEFAULT.read_text())


def test_default_study_is_accepted_as_it_stands(default):
    assert config.read(DEFAULT) == default


def test_every_key_of_the_schema_is_described():
    schema = yaml.safe_load(config.SCHEMA.read_text())

    def walk(node, path):
        for key, child in node.get("properties", {}).items():
            here = f"{path}.{key}"
            if "properties" in child:
                assert child.get("additionalProperties") is False, f"{here} is open"
                walk(child, here)
            else:
                assert child.get("description"), f"{here} has no description"

    assert schema["additionalProperties"] is False
    walk(schema, "")


def broken(base, path, value):
    changed = copy.deepcopy(base)
    node = changed
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["condnett"], {}, "Unknown key 'condnett'. Did you mean 'condnet'"),
        (["rom", "snapshot"], 3, "Unknown key 'rom.snapshot'. Did you mean 'snapshots'"),
        (["condnet", "learning_rate"], "1e-3", "condnet.learning_rate.*write 1.0e-6"),
        (["condnet", "epochs"], 0, "condnet.epochs"),
        (["condnet", "axes"], ["axail"], "condnet.axes.0.*Did you mean 'axial'"),
        (["condnet", "tau"], 1.0, "condnet.tau"),
        (["condnet", "depth"], 8, "mri.shape: .* multiples of 256, 2 to the power"),
        (["condnet", "kernels", "map"], 4, "condnet.kernels.map: kernels must be odd, got 4"),
        (["condnet", "kernels", "decoder"], [5, 5], "condnet.kernels.decoder: .* or 5 with"),
        (["condnet", "kernels", "encoder"], [0], "condnet.kernels.encoder"),
        (["mri", "shape"], [100, 128, 128], "mri.shape: .* multiples of 64"),
        (["mri", "shape"], [8, 128, 128], "mri.shape.0"),
        (["cohort", "train"], ["01"], "cohort.train.0"),
        (["cohort", "test"], ["sub-01"], "cohort.test: sub-01 is in cohort.train"),
        (["cohort", "source"], "labels", "cohort.folder: needed"),
        (["cohort", "train"], ["sub-01"], "condnet.validation: subject needs two"),
        (["cohort", "train"], [], "cohort.train: at least one"),
        (["head", "subjects"], ["sub-99"], "head.subjects: sub-99"),
        (["head", "source"], "colin27", "head.folder: needed"),
        (["tms", "coil", "inner_diameter"], 0.2, "tms.coil.inner_diameter"),
        (["tms", "coil", "file"], "/nowhere/coil.ccd", "tms.coil.file: the file /nowhere"),
        (["tms", "subvoxel"], 2, "tms.subvoxel"),
        (["tms", "further_positions"], [{"position": "C3"}], "tms.further_positions.0"),
        (["seed"], -1, "seed"),
        (["condnet", "axes"], ["axial"], "condnet.axes"),
        (["condnet", "frequency"], 2500.0, "condnet.frequency: the tables A and B hold"),
        (["tms", "position"], "C33", "tms.position: 'C33'.*Did you mean 'C3'"),
        (["tms", "handle"], "nowhere", "tms.handle: 'nowhere'.* in all"),
        (["head", "electrodes", "cap"], "eit23", "head.electrodes.cap.*Did you mean 'eit32'"),
        (["head", "electrodes", "sink"], "Fp1", "head.electrodes.sink: 'Fp1'"),
        (["rom", "pairs"], 32, "rom.pairs: 32 pairs, but the cap eit32 has 32 electrodes"),
        (["rom", "pairs"], ["Fz", "Cz"], "rom.pairs: Cz is the sink"),
        (["rom", "pairs"], ["Fzz"], "rom.pairs: 'Fzz'"),
        (["inverse", "reference"], "Cz", "inverse.reference: Cz carries current"),
        (["inverse", "reference"], "F10", "inverse.reference: F10 carries current"),
        (["head", "mesh", "size"], 6.0, "head.mesh.size"),
        (["head", "electrodes", "diameter"], 12.0, "head.electrodes.diameter"),
        (["cohort", "voxel_size_mm"], 50.0, "cohort.voxel_size_mm"),
        (["cohort", "voxel_size_mm"], 3.0, "cohort.voxel_size_mm: generated heads need 2.5"),
        (["tms", "voxel_size_mm"], 1.5, "tms.voxel_size_mm: 1.5 mm does not divide"),
        (["tms", "further_tables"], ["A"], "tms.further_tables: names a table of condnet.tables"),
        (["tms", "further_positions"], [{"position": "C3", "handle": "CPP33"}],
         "tms.further_positions.0.handle: 'CPP33'"),
        (["tms", "further_positions"], [{"position": "C3", "handle": "CP3", "angle": 3}],
         "Unknown key 'tms.further_positions.0.angle'. Did you mean 'angles'"),
        (["tms", "matrices"], {"sub-77": [[1, 0, 0, 0]] * 4}, "tms.matrices.sub-77"),
        (["tms", "hand_knob", "registration"], "deformable", "generated heads come with"),
        (["condnet", "networks"], "/nowhere", "condnet.networks: the folder /nowhere"),
        (["tms", "didt"], float("nan"), "tms.didt: nan is not a finite number"),
        (["tms", "handle"], "C3", "tms.handle: must be another place"),
        (["rom", "training_points"], 3, "rom.training_points: fewer points"),
        (["condnet", "tables"], ["B"], "condnet.tables: the true conductivity"),
        (["inverse", "reference"], "avrage", "inverse.reference.*Did you mean 'average'"),
        (["seed"], 1.5, "seed"),
        (["study"], "../escape", "study"),
        (["rom", "pairs"], 0, "rom.pairs"),
        (["cohort", "neck"], "maksed", "cohort.neck.*Did you mean 'masked'"),
        (["condnet", "networks"], "/nowhere", "condnet.networks: the folder /nowhere does"),
        (["pipelines"], ["predict"], "condnet.networks: the pipeline predict needs trained"),
        (["rom", "pairs"], 99, "rom.pairs: 99 pairs, but the cap eit32 has 32"),
        (["head", "source"], "file", "head.unit: needed with head.source: file"),
        (["head", "electrodes", "cap"], "file", "cap: file needs head.source: file"),
        (["head", "electrodes", "contact_impedance"], -5.0, "head.electrodes.contact_impedance"),
        (["head", "electrodes", "relative_impedance"], {"Cz": 0}, "relative_impedance.Cz"),
        (["head", "spongy"], {"outer_mm": 1.0}, "head.spongy: the key 'inner_mm' is missing"),
        (["inverse", "measured"], "/nowhere/mine.tsv", "inverse.measured: the file /nowhere"),
        (["inverse", "measured"], "/nowhere/eit", "inverse.measured: the folder /nowhere"),
        (["inverse", "measured"], {"sub-77": "mine.tsv"}, "every head needs its measurement"),
        (["inverse", "measured"], {"sub-04": "/nowhere/a.tsv"}, "inverse.measured: the file /now"),
        (["rom", "trained"], "/nowhere", "rom.trained: the folder /nowhere"),
        (["inverse", "experiment", "kinds"], ["references"], "needs rom.box: merged_skull"),
        (["inverse", "experiment", "kinds"], ["inversions"], "Did you mean 'inversion'"),
        (["inverse", "experiment", "baseline_pairs"], 32, "eit32 allows at most 31"),
    ],
)  # fmt: skip
def test_mistakes_are_one_message_that_names_the_key(default, path, value, message):
    with pytest.raises(InputError, match=message) as caught:
        config.check(broken(default, path, value))
    assert "\n" not in str(caught.value)


def test_shapes_are_multiples_of_two_to_the_depth(default):
    default["condnet"]["depth"], default["mri"]["shape"] = 4, [80, 96, 112]
    config.check(default)


def test_missing_key_is_named(default):
    del default["rom"]["snapshots"]
    with pytest.raises(InputError, match="rom: the key 'snapshots' is missing"):
        config.check(default)


def test_missing_label_map_is_named(default, tmp_path):
    default["cohort"].update(
        source="labels", folder=str(tmp_path), pattern="seg_{id}.nii.gz", scheme="synthseg"
    )
    with pytest.raises(InputError, match=r"for sub-01\): the file .*seg_01.nii.gz does not exist"):
        config.check(default)


def test_a_head_file_must_be_there(default, tmp_path):
    head = default["head"]
    head |= {"source": "file", "unit": "mm", "files": {"sub-04": str(tmp_path / "head.msh")}}
    with pytest.raises(InputError, match=r"head.files.sub-04: the file .*head\.msh does not exist"):
        config.check(default)
    (tmp_path / "head.msh").touch()
    config.check(default)
    default["pipelines"] = ["forward"]
    default["forward"]["pairs"] = ["Cz"]
    with pytest.raises(InputError, match="forward.pairs: Cz is the sink"):
        config.check(default)
    head["files"] = {}
    with pytest.raises(InputError, match=r"head.files.sub-04: needed"):
        config.check(default)


def test_a_mesh_file_may_bring_its_electrodes(default, tmp_path):
    """`cap: file` in both pipelines; what depends on the electrodes' names is left to the run."""
    (tmp_path / "head.mat").touch()
    default["pipelines"] = ["eit", "forward"]
    default["head"] |= {
        "source": "file", "unit": "mm", "files": {"sub-04": str(tmp_path / "head.mat")}
    }  # fmt: skip
    default["head"]["electrodes"] |= {"cap": "file", "sink": "E1"}
    config.check(default)
    preflight.disk_demand(default)
    for section in ("rom", "forward"):
        changed = broken(default, [section, "pairs"], ["E2", "E1"])
        with pytest.raises(InputError, match=rf"{section}\.pairs: E1 is the sink"):
            config.check(changed)
    default["rom"]["pairs"] = ["E2", "E3"]
    default["inverse"]["reference"] = "E4"
    config.check(default)
    default["inverse"]["reference"] = "E3"
    with pytest.raises(InputError, match=r"inverse\.reference: E3 carries current"):
        config.check(default)


def test_slices_must_halve_as_often_as_the_network_does(default):
    default["mri"]["shape"] = [96, 160, 128]
    default["condnet"]["depth"] = 5
    config.check(default)
    default["condnet"]["depth"] = 6
    with pytest.raises(InputError, match=r"mri\.shape: \[96, 160, 128\] must be multiples of 64"):
        config.check(default)


def path_keys(part, key=""):
    """Keys of `format: path` in a part of the schema; * stands for a subject."""
    if part.get("format") == "path":
        yield key
    for option in part.get("oneOf", ()):
        yield from path_keys(option, key)
    children = {**part.get("properties", {}), "*": part.get("additionalProperties")}
    for name, child in children.items():
        if child:
            yield from path_keys(child, f"{key}.{name}".lstrip("."))


def test_every_path_of_a_study_is_expanded(monkeypatch):
    keys = set(path_keys(config.schema()))
    assert keys >= {
        "results", "cohort.folder", "cohort.scans.*.t1", "cohort.scans.*.t2", "mri.template",
        "condnet.networks", "tms.coil.file", "head.folder", "head.files.*", "rom.trained",
        "head.electrodes.cap", "inverse.measured", "inverse.measured.*",
    }  # fmt: skip
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("SCANS", "/scans")
    for key in keys:
        for written, meant in (("~/x", "/home/me/x"), ("${SCANS}/x", "/scans/x"), ("x", "x")):
            study, found = written, meant
            for name in reversed(key.split(".")):
                study, found = ({name.replace("*", "sub-01"): part} for part in (study, found))
            assert config.with_paths(study, config.schema()) == found, key


def test_results_may_be_in_the_home_folder(default, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    for results in ("~/results", "$HOME/results"):
        checked = config.check(default | {"results": results})
        assert str(config.report_path(checked)) == "/home/me/results/default/report.html"
    assert "HOME" not in config.check(default)["results"]


def test_unset_variable_is_named(default, monkeypatch):
    monkeypatch.delenv("HEADCOND_NOWHERE", raising=False)
    default["cohort"].update(
        source="labels", folder="$HEADCOND_NOWHERE/x", pattern="{id}", scheme="synthseg"
    )
    with pytest.raises(
        InputError, match="cohort.folder: the environment variable HEADCOND_NOWHERE"
    ):
        config.check(default)


def test_a_study_file_changes_only_what_it_says(tmp_path):
    change = tmp_path / "study.yaml"
    change.write_text("study: other\nrom:\n  snapshots: 3\n")
    merged = config.read(DEFAULT, change)
    assert merged["rom"]["snapshots"] == 3 and merged["study"] == "other"
    assert merged["rom"]["pairs"] == config.read(DEFAULT)["rom"]["pairs"]


def test_no_mapping_is_refused(tmp_path):
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n- 2\n")
    with pytest.raises(InputError, match=r"list\.yaml: a study file must be a mapping"):
        config.read(path)


def finished_networks(folder):
    """Files where a finished study has its networks."""
    folder.mkdir(parents=True, exist_ok=True)
    for axis in ("sagittal", "coronal", "axial"):
        for name in ("network.ckpt", "history.tsv"):
            (folder / f"axis-{axis}_{name}").touch()
    (folder / "domain.json").touch()


def test_networks_of_another_study_must_be_there(default, tmp_path):
    default["condnet"]["networks"] = str(tmp_path)
    with pytest.raises(
        InputError, match="condnet.networks: .*sagittal_network.ckpt does not exist"
    ):
        config.check(default)
    finished_networks(tmp_path)
    default["cohort"]["train"] = []  # nothing is trained
    assert config.check(default)["condnet"]["networks"] == str(tmp_path)


@pytest.mark.parametrize("path", sorted((REPOSITORY / "studies").glob("*.yaml")))
def test_shipped_studies_are_accepted(path, data_dir, monkeypatch, tmp_path):
    monkeypatch.setenv("HEADCOND_DATA", str(data_dir.resolve()))
    for name in ("HEADCOND_NAMIC", "EGI_DATA"):
        monkeypatch.setenv(name, str(tmp_path))  # nobody's to give: empty files
    monkeypatch.chdir(tmp_path)  # where networks of another study are looked for
    asked = yaml.safe_load(path.read_text())
    cohort = asked.get("cohort", {})
    if cohort.get("source") == "bids":
        for subject in cohort.get("train", []) + cohort.get("test", []):
            (tmp_path / subject / "anat").mkdir(parents=True)
            for suffix in ("T1w", "T2w", f"desc-{cohort['scheme']}_dseg"):
                (tmp_path / subject / "anat" / f"{subject}_{suffix}.nii.gz").touch()
    measured = asked.get("inverse", {}).get("measured", {})
    for name in measured.values() if isinstance(measured, dict) else ():
        (tmp_path / Path(name).name).touch()
    trained = asked.get("rom", {}).get("trained")
    if trained:
        with pytest.raises(InputError, match="rom.trained: the folder"):
            config.read(DEFAULT, path)
        (tmp_path / trained / "sub-04" / "rom").mkdir(parents=True)
        with pytest.raises(InputError, match="rom.trained: the file .*sub-04_rom.h5 does not"):
            config.read(DEFAULT, path)
        (tmp_path / trained / "sub-04" / "rom" / "sub-04_rom.h5").touch()
    other = asked.get("condnet", {}).get("networks")
    if other:
        with pytest.raises(InputError, match="condnet.networks: the folder"):
            config.read(DEFAULT, path)
        finished_networks(tmp_path / other)
    config.read(DEFAULT, path)


def test_main_prints_the_report(capsys):
    assert config.main([str(DEFAULT)]) == 0
    assert capsys.readouterr().out.strip() == "results/default/report.html"
    assert config.main(["/nowhere.yaml"]) == 1
    assert "/nowhere.yaml" in capsys.readouterr().err


def test_subvoxel_reference_needs_finer_labels(default, tmp_path):
    default["tms"]["subvoxel"] = True
    config.check(default)  # generated heads can be drawn as fine as one likes
    (tmp_path / "1.nii.gz").touch()
    default["cohort"] |= {
        "source": "labels", "folder": str(tmp_path), "pattern": "1.nii.gz{id}",
        "scheme": "synthseg", "voxel_size_mm": 1.0,
    }  # fmt: skip
    for name in (*default["cohort"]["train"], *default["cohort"]["test"]):
        (tmp_path / f"1.nii.gz{name.removeprefix('sub-')}").touch()
    with pytest.raises(InputError, match="tms.subvoxel: label maps hold nothing finer"):
        config.check(default)
    default["cohort"]["voxel_size_mm"] = 2.0
    config.check(default)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rom:\n  pairs: 4\nrom:\n  pairs: 8\n", "the key rom appears twice"),
        ("rom: {pairs: 4, pairs: 8}\n", "the key pairs appears twice"),
        ("study: 2024-99-99\n", "cannot be read as YAML"),
        (f"seed: {10**30}\n", "seed: a whole number beyond 64 bits"),
        (f"seed: 0x{'f' * 5000}\n", "seed: a whole number beyond 64 bits"),
        ('results: "a\\0b"\n', "results: a text with a null character"),
    ],
)
def test_a_study_file_that_says_something_odd_is_refused(tmp_path, text, message):
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        config.read(config.REPOSITORY / "config.yaml", path)
