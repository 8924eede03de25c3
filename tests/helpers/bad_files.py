"""Broken input files, by area: what is wrong -> (write the file, read it, what the message tells).

Each entry is (name of the file, writer, reader, texts): the writer gets the path, the reader
too, and every text (regular expression) has to stand in the message of its `InputError`.
"""

from __future__ import annotations

import gzip
import json
import pickle
import struct
from pathlib import Path

import h5py
import nibabel
import numpy as np
import torch

from headcond.caps import cap_positions, read_simnibs_cap
from headcond.cohort.bids import find_image, read_scan
from headcond.cohort.labels import prepare_labels, read_labels
from headcond.condnet.checkpoint import load_checkpoint
from headcond.fem.operator import AffineOperator
from headcond.files import results
from headcond.files.results import read_components, read_json, read_volume
from headcond.rom.model import ReducedModel
from headcond.rom.pair_model import PairModel
from headcond.rom.parameters import Box
from headcond.tms import coil_files

AGAIN = "Export it as NIfTI again"
REMOVE = "Remove it|remove it"


def text(content):
    return lambda path: path.write_text(content)


def raw(content):
    return lambda path: path.write_bytes(content)


def nothing(path):
    """The file is absent."""


# --- images ----------------------------------------------------------------------------


def image(change=lambda data: data, affine=None, header=None):
    """Writer of a small good image after `change`, `header` changing named header fields."""

    def write(path):
        data = change(np.random.default_rng(0).uniform(1, 9, (6, 7, 8)).astype(np.float32))
        made = nibabel.Nifti1Image(data, np.eye(4) if affine is None else affine)
        nibabel.save(made, path)
        if header is not None:
            opened = gzip.open if path.suffix == ".gz" else open
            content = bytearray(opened(path, "rb").read())
            for offset, kind, *values in header:
                struct.pack_into("<" + kind * len(values), content, offset, *values)
            opened(path, "wb").write(bytes(content))

    return write


def cut(writer, keep):
    """Writer of the first part `keep` of what `writer` writes."""

    def write(path):
        writer(path)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(keep * len(whole))])

    return write


def flipped(writer, where):
    """Writer of the same with one byte changed at the part `where`."""

    def write(path):
        writer(path)
        whole = bytearray(path.read_bytes())
        whole[int(where * len(whole))] ^= 0xFF
        path.write_bytes(bytes(whole))

    return write


def hdf5_of_p(path):
    """HDF5, as MATLAB's version 7.3, with points alone."""
    with h5py.File(path, "w") as file:
        file["p"] = np.eye(3)


def spoiled(data, value):
    data[2, 3, 4] = value
    return data


def result(path):
    """A result with its sidecar."""
    results.write_volume(path, np.ones((4, 4, 4), np.float32), np.eye(4), units="1")


# Offsets of NIfTI-1 header fields: dim, srow_x, datatype, vox_offset, qform_code and sform_code.
DIM, AFFINE, DATATYPE, OFFSET, CODES = 40, 280, 70, 108, 252
OF_CODES = {"color": np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])}
IMAGES = {
    "absent": ("a.nii.gz", nothing, read_volume, [AGAIN]),
    "empty": ("a.nii.gz", raw(b""), read_volume, [AGAIN]),
    "text called nii.gz": ("a.nii.gz", text("not an image"), read_volume, [AGAIN]),
    "text called nii": ("a.nii", text("not an image" * 99), read_volume, [AGAIN]),
    "a folder": ("a.nii", Path.mkdir, read_volume, [AGAIN]),
    "a PNG called nii": ("a.nii", raw(b"\x89PNG\r\n\x1a\n" + bytes(999)), read_volume, [AGAIN]),
    "header cut off": ("a.nii", cut(image(), 0.1), read_volume, [AGAIN]),
    "data cut off": ("a.nii", cut(image(), 0.6), read_volume, ["claims a shape", "damaged"]),
    "stream cut off": ("a.nii.gz", cut(image(), 0.6), read_volume, [AGAIN]),
    "stream damaged": ("a.nii.gz", flipped(image(), 0.5), read_volume, [AGAIN]),
    "a header of 35 TB": (
        "a.nii.gz", image(header=[(DIM + 2, "h", 32767, 32767, 32767)]), read_volume,
        ["claims a shape", "resampled"],
    ),
    "a bomb of zeros": (
        "a.nii.gz",
        image(header=[(DIM + 2, "h", 3000, 3000, 3000)]), read_volume, ["more than the file"],
    ),
    "a negative dimension": (
        "a.nii", image(header=[(DIM + 2, "h", -5)]), read_volume, ["a.nii"],
    ),
    "no dimension": ("a.nii", image(header=[(DIM, "h", 0)]), read_volume, ["a.nii"]),
    "an empty dimension": ("a.nii", image(header=[(DIM + 4, "h", 0)]), read_volume, ["a.nii"]),
    "an unknown type": ("a.nii", image(header=[(DATATYPE, "h", 77)]), read_volume, [AGAIN]),
    "one slice": ("a.nii", image(lambda d: d[:, :, 0]), read_volume, ["expected a 3-D volume"]),
    "a series": (
        "a.nii", image(lambda d: np.stack([d, d], -1)), read_volume,
        ["expected a 3-D volume", "Save one volume"],
    ),
    "colours": (
        "a.nii", image(lambda d: np.zeros(d.shape, OF_CODES["color"])), read_volume,
        ["not real numbers", "Export it"],
    ),
    "complex numbers": (
        "a.nii", image(lambda d: d.astype(np.complex64)), read_volume, ["not real numbers"],
    ),
    "a flat affine": (
        "a.nii", image(header=[(AFFINE, "f", *[0.0] * 12)]), read_volume,
        ["affine is singular"],
    ),
    "an affine of NaN": (
        "a.nii", image(header=[(AFFINE, "f", *[np.nan] * 12)]), read_volume, ["affine holds"],
    ),
    "a scan with NaN": (
        "a.nii", image(lambda d: spoiled(d, np.nan)), read_scan, ["NaN or infinite", "Export"],
    ),
    "a scan below zero": (
        "a.nii", image(lambda d: spoiled(d, -5)), read_scan, ["are negative", "set interpolation"],
    ),
    "a scan of one value": ("a.nii", image(lambda d: 0 * d), read_scan, ["the image is empty"]),
    "maps in three dimensions": ("a.nii", image(), read_components, ["expected a 4-D volume"]),
    "voxels inside the header": (
        "a.nii", image(header=[(OFFSET, "f", 0.0)]), read_volume, ["begin at byte 0, inside"],
    ),
    "voxels nowhere": (
        "a.nii", image(header=[(OFFSET, "f", np.nan)]), read_volume, ["begin at byte nan"],
    ),
    "a gigabyte of notes before the voxels": (
        "a.nii.gz", image(header=[(OFFSET, "f", 1e9)]), results.check_image, ["bytes after it"],
    ),
    "MINC, which may name other files": (
        "a.mnc", hdf5_of_p, results.check_image, ["MINC is not read; convert it to NIfTI"],
    ),
    "packed by bzip2": (
        "a.nii.bz2", raw(b"BZh91AY"), results.check_image, ["packed by bzip2 is not read"],
    ),
    "a format without orientation codes": (
        "a.hdr", lambda p: nibabel.AnalyzeImage(np.ones((2, 2, 2), np.float32), np.eye(4))
        .to_filename(p), read_volume, ["reads NIfTI", "orientation. Convert it"],
    ),
    "a scan whose sidecar is no JSON": (
        "a.nii", lambda p: (image()(p), p.with_suffix(".json").write_bytes(b"{\xe9")),
        read_volume, ["a.json: cannot be read as JSON", "write it as UTF-8, or move it away"],
    ),
    "a result cut short": (
        "a.nii.gz", cut(result, 0.7), read_volume, ["bytes were written|were written", REMOVE],
    ),
    "a result with one other byte": (
        "a.nii.gz", flipped(result, 0.9), read_volume, ["not what was written", REMOVE],
    ),
}  # fmt: skip

# --- label maps and cohorts ------------------------------------------------------------


def labels(change):
    return image(lambda data: change(np.zeros(data.shape, np.float32)))


def prepared(path):
    return prepare_labels(*read_labels(path, "synthseg"), "synthseg")


LABELS = {
    "fractions": ("a.nii", labels(lambda d: d + 2.5), lambda p: read_labels(p, "synthseg"),
                  ["no whole numbers", "interpolated"]),
    "NaN": ("a.nii", labels(lambda d: spoiled(d, np.nan)), lambda p: read_labels(p, "synthseg"),
            ["no whole numbers"]),
    "foreign ids": ("a.nii", labels(lambda d: spoiled(d, 999)),
                    lambda p: read_labels(p, "synthseg"), ["ids 999 .1 voxels. are not in"]),
    "charm's ids under another name": (
        "a.nii", labels(lambda d: spoiled(d, 525)), lambda p: read_labels(p, "brainweb20"),
        ["ids 525 .1 voxels. are not in the scheme 'brainweb20'"]),
    "an unknown scheme": ("a.nii", labels(lambda d: d), lambda p: read_labels(p, "synthsegg"),
                          ["synthsegg", "Did you mean 'synthseg'"]),
    "nothing but air": ("a.nii", labels(lambda d: d), prepared, ["every voxel is 0", "is empty"]),
    "a participant without images": ("participants.tsv", text("participant_id\n01\n"),
                                     lambda p: find_image(p.parent, "01", "T1w"), ["is missing"]),
}  # fmt: skip

# --- caps and coils --------------------------------------------------------------------

ROWS = "".join(f"Electrode,{x},0,90,E{x}\n" for x in range(40))


def cap(path):
    return cap_positions(str(path), np.eye(4))


CAPS = {
    "absent": ("a.csv", nothing, cap, ["cannot be read as a SimNIBS cap"]),
    "no electrode": ("a.csv", text("Fiducial,1,2,3,Nz\n"), cap, ["no row of the type Electrode"]),
    "a name twice": ("a.csv", text(ROWS + "Electrode,9,9,9,E3\n"), cap, ["E3 is listed twice"]),
    "metres": ("a.csv", text("Electrode,0.01,0.02,0.09,Cz\n"), cap, ["in millimetres"]),
    "words for numbers": ("a.csv", text("Electrode,left,0,90,Cz\n"), cap, ["is not a number"]),
    "a short row": ("a.csv", text("Electrode,1,2\n"), cap, ["cannot be read as a SimNIBS cap"]),
    "binary": ("a.csv", raw(bytes(range(256))), read_simnibs_cap, ["cannot be read"]),
}

DIPOLES = "2\n0 0 0 0 0 1\n0.1 0 0 0 0 1\n"


def definition(**element):
    content = {"type": 1, "points": [[0, 0, 0]], "values": [[0, 0, 1]], **element}
    return text(json.dumps({"coilElementList": [content]}))


COILS = {
    "absent": ("a.ccd", nothing, coil_files.read, ["cannot be read"]),
    "another format": ("a.stl", text("solid"), coil_files.read, ["ends in .ccd, .tcd"]),
    "empty": ("a.ccd", text(""), coil_files.read, ["expected a count"]),
    "fewer rows than announced": ("a.ccd", text("3" + DIPOLES[1:]), coil_files.read, ["3 dipoles"]),
    "rows of five": ("a.ccd", text("1\n0 0 0 0 1\n"), coil_files.read, ["1 dipoles announced"]),
    "words": ("a.ccd", text("1\n0 0 0 0 0 strong\n"), coil_files.read, ["rows of six numbers"]),
    "NaN": ("a.ccd", text("1\n0 0 0 0 0 nan\n"), coil_files.read, ["NaN or infinite"]),
    "millimetres": (
        "a.ccd",
        text("1\n40 0 0 0 0 1\n"),
        coil_files.read,
        ["not in the format's units"],
    ),
    "binary": ("a.ccd", raw(b"\xff\xfe\x00"), coil_files.read, ["cannot be read"]),
    "no JSON": ("a.tcd", text("{"), coil_files.read, ["is not JSON"]),
    "no elements": ("a.tcd", text("{}"), coil_files.read, ["no coilElementList"]),
    "an unknown element": ("a.tcd", definition(type=9), coil_files.read, ["type 9 is not one of"]),
    "packed arrays": (
        "a.tcd",
        definition(points="eJw="),
        coil_files.read,
        ["save the coil as plain"],
    ),
    "points without values": ("a.tcd", definition(values=[]), coil_files.read, ["element 0"]),
    "a grid of one component": ("a.nii.gz", image(), coil_files.read, ["shape .nx, ny, nz, 3."]),
    "a grid cut off": ("a.nii.gz", cut(image(), 0.5), coil_files.read, ["a.nii.gz"]),
    "a grid damaged": ("a.nii.gz", flipped(image(), 0.5), coil_files.read, [AGAIN]),
    "a grid of 160 TB": (
        "a.nii.gz",
        image(header=[(DIM + 2, "h", 30000, 30000, 30000)]),
        coil_files.read,
        ["claims a shape"],
    ),
    "a grid that begins nowhere": (
        "a.nii",
        image(header=[(OFFSET, "f", np.nan)]),
        coil_files.read,
        ["begin at byte nan"],
    ),
    "a grid without orientation": (
        "a.nii",
        image(header=[(CODES, "h", 0, 0)]),
        coil_files.read,
        ["no orientation is stated"],
    ),
}

# --- tables and models -----------------------------------------------------------------


def small_operator():
    pattern = np.arange(4, dtype=np.int32), np.array([0, 1, 2], np.int32)
    return AffineOperator(("gm", "contact"), *pattern, np.ones((2, 3)), ("A", "B"), 1)


def small_model():
    arrays = (np.ones((2, 1, 1)), np.ones(1), np.ones((2, 1)), np.eye(3), np.zeros(3))
    pair = PairModel("A", "B", *arrays, {"maximum": np.ones(1)}, "snapshots")
    box = Box(("gm",), [0.1], [1.0], {"contact": 0.2})
    return ReducedModel((pair,), box, ("A", "B"), 2e-5)


def hdf5(made, change=lambda file: None):
    """Writer of a model or operator after `change`."""

    def write(path):
        made().write(path)
        with h5py.File(path, "r+") as file:
            change(file)

    return write


def replaced(name, **options):
    """Change that puts another dataset in the place of `name`."""

    def change(file):
        del file[name]
        file.create_dataset(name, **options)

    return change


def linked(name, link):
    def change(file):
        del file[name]
        file[name] = link

    return change


def elsewhere(file):
    del file["pairs/A/b_N"]
    file["pairs/A"].create_dataset("b_N", (1,), "f8", external=[("/etc/hostname", 0, 8)])


class Trap:
    """Pickled, it would run a command when it is read."""

    def __reduce__(self):
        return (Path("trap_was_sprung").touch, ())


HUGE = {"shape": (1 << 40,), "dtype": "f8", "chunks": (1 << 10,)}
B_N = "pairs/A/b_N"
MODELS = {
    "absent": ("a_rom.h5", nothing, ReducedModel.read, [REMOVE]),
    "no HDF5": ("a_rom.h5", text("x" * 999), ReducedModel.read, [REMOVE]),
    "cut off": ("a_rom.h5", cut(hdf5(small_model), 0.7), ReducedModel.read, [REMOVE]),
    "another program's": ("a_rom.h5", lambda p: h5py.File(p, "w").close(), ReducedModel.read,
                          ["not a reduced model", "train it"]),
    "an operator in its place": ("a_rom.h5", hdf5(small_operator), ReducedModel.read,
                                 ["not a reduced model"]),
    "a missing array": ("a_rom.h5", hdf5(small_model, lambda f: f.pop(B_N)), ReducedModel.read,
                        ["b_N", REMOVE]),
    "an array of another size": ("a_rom.h5", hdf5(small_model, replaced(B_N, data=np.ones(3))),
                                 ReducedModel.read, ["pair A, A_N", "Train the model again"]),
    "NaN": ("a_rom.h5", hdf5(small_model, replaced(B_N, data=[np.nan])), ReducedModel.read,
            ["b_N holds 1 values"]),
    "words for numbers": ("a_rom.h5", hdf5(small_model, replaced(B_N, data="x")),
                          ReducedModel.read, [REMOVE]),
    "an array of 8 TB": ("a_rom.h5", hdf5(small_model, replaced(B_N, **HUGE)), ReducedModel.read,
                         ["b_N claims", "damaged"]),
    "a link to another file": (
        "a_rom.h5", hdf5(small_model, linked(B_N, h5py.ExternalLink("/etc/x.h5", "/x"))),
        ReducedModel.read, ["is a link, .*resolved"]),
    "data in another file": ("a_rom.h5", hdf5(small_model, elsewhere), ReducedModel.read,
                             ["in other files"]),
    "attributes that are no JSON": (
        "a_rom.h5", hdf5(small_model, lambda f: f.attrs.modify("fixed", "{")),
        ReducedModel.read, [REMOVE]),
    "an operator cut off": ("a.h5", cut(hdf5(small_operator), 0.6), AffineOperator.read, [REMOVE]),
    "an operator of another size": (
        "a.h5", hdf5(small_operator, replaced("indptr", data=np.arange(9))), AffineOperator.read,
        ["indptr must have shape"]),
    "an operator of 8 TB": ("a.h5", hdf5(small_operator, replaced("indices", **HUGE)),
                            AffineOperator.read, ["indices claims"]),
    "a network that is none": ("a.ckpt", text("x"), load_checkpoint, [REMOVE]),
    "a network with a trap": ("a.ckpt", lambda p: torch.save({"format": Trap()}, p),
                              load_checkpoint, [REMOVE]),
    "a bare pickle": ("a.ckpt", raw(pickle.dumps(Trap())), load_checkpoint, [REMOVE]),
    "another program's network": ("a.ckpt", lambda p: torch.save({"epoch": 3}, p),
                                  load_checkpoint, ["train the axis again"]),
    "a network without weights": (
        "a.ckpt", lambda p: torch.save({"format": "headcond CondNet 1"}, p), load_checkpoint,
        ["cannot be built", REMOVE]),
    "a record that is no JSON": ("a.json", text("{"), read_json, [REMOVE]),
    "a record nested too deep": ("a.json", text("[" * 99999), read_json, [REMOVE]),
    "a record of the wrong kind": ("a.json", text("[1]"), read_json, ["expected a JSON object"]),
    "an empty table": ("a.tsv", raw(b""), results.read_table, [REMOVE]),
    "a table of bytes": ("a.tsv", raw(b"\xff\xfe\x00\x81"), results.read_table, [REMOVE]),
}  # fmt: skip

AREAS = {
    "image": IMAGES, "labels": LABELS, "cap": CAPS, "coil": COILS, "model": MODELS,
}  # fmt: skip
