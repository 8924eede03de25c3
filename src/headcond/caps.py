"""Named electrode caps in MNI space, and their positions on one head."""

from __future__ import annotations

import csv
import difflib
import functools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mne
import numpy as np
from nibabel.affines import from_matvec

from headcond.checks import InputError, check_affine, check_finite, check_option, check_shape

# 32 of the 10-10 positions that cover the head down to Iz and the F9-P9 row; Cz is the usual sink.
EIT32 = (
    "Fpz", "AF7", "AF8", "F9", "F7", "F3", "Fz", "F4", "F8", "F10", "FC5", "FC1", "FC2", "FC6",
    "T7", "C3", "Cz", "C4", "T8", "CP5", "CP1", "CP2", "CP6", "P9", "P7", "P3", "Pz", "P4", "P8",
    "P10", "Oz", "Iz",
)  # fmt: skip

# The 32 injecting electrodes of UCL's scalp EIT of stroke (Goren et al. 2018, doi
# 10.1038/sdata.2018.112) in the order of their numbers, by the 10-10 names of their table, which
# calls the two lowest I2/O10 and I1/O9; number 33, NFpz, is the reference of all readings.
UCL32 = (
    "Fp2", "Fp1", "F8", "F4", "Fz", "F3", "F7", "FC6", "FC2", "FC1", "FC5", "T8", "C4", "Cz", "C3",
    "T7", "TP10", "CP6", "CP2", "CP1", "CP5", "TP9", "P4", "Pz", "P3", "P8", "PO4", "PO3", "P7",
    "I2", "I1", "Oz",
)  # fmt: skip

# HydroCel sensors at 10-20 positions (Luu & Ferree 2005, Determination of the HydroCel Geodesic
# Sensor Nets' average electrode positions and their 10-10 international equivalents).
_HYDROCEL = {
    "E22": "Fp1", "E9": "Fp2", "E11": "Fz", "E24": "F3", "E124": "F4", "E33": "F7", "E122": "F8",
    "E36": "C3", "E104": "C4", "E45": "T7", "E108": "T8", "E62": "Pz", "E52": "P3", "E92": "P4",
    "E58": "P7", "E96": "P8", "E70": "O1", "E83": "O2", "E75": "Oz",
}  # fmt: skip


@dataclass(frozen=True)
class Cap:
    """A cap: an MNE montage, or some names of one.

    Attributes
    ----------
    montage : MNE's name.
    names : subset in this order; empty for all.
    landmarks : the montage whose electrodes at positions of 10-05, and whose fiducials, fit
        this one's frame to MNI; empty where positions are in MNI already.
    same_place : names in `landmarks` -> names of 10-05; empty where the names agree.
    fiducials : further electrode -> the fiducial of 10-05 ("nasion", "lpa", "rpa") at its place.
    between : further electrode -> two or three electrodes or fiducials of the montage at equal
        distances from it: it is the middle of two, the circumcentre of three.
    """

    montage: str
    names: tuple[str, ...] = ()
    landmarks: str = ""
    same_place: tuple[tuple[str, str], ...] = ()
    fiducials: tuple[tuple[str, str], ...] = ()
    between: tuple[tuple[str, tuple[str, ...]], ...] = ()


CAPS: dict[str, Cap] = {
    "eit32": Cap("standard_1005", EIT32),
    "standard_1005": Cap("standard_1005"),
    "standard_1020": Cap("standard_1020"),
    "ucl33": Cap("standard_1005", UCL32, between=(("NFpz", ("nasion", "Fpz")),)),
    "biosemi32": Cap("biosemi32", landmarks="biosemi64"),
    "biosemi64": Cap("biosemi64", landmarks="biosemi64"),
    # ABC names are not those of 10-20, but the sphere is that of the 64.
    "biosemi128": Cap("biosemi128", landmarks="biosemi64"),
    # The 133 sensors of the ROM-pEIT paper. A1 of ABC-128 is the vertex itself and A24 is 10 mm
    # from the inion. For discs of 10 mm they keep their places and the two others move: Cz, the
    # sink, is 11.6 mm from A1, D1 and D15; the inion's electrode is 10.4 mm from A24 and A25.
    "paper133": Cap("biosemi128", landmarks="biosemi64",
                    fiducials=(("nasion", "nasion"), ("lpa", "lpa"), ("rpa", "rpa")),
                    between=(("inion", ("A24", "A25")), ("Cz", ("A1", "D1", "D15")))),
    "GSN-HydroCel-128": Cap("GSN-HydroCel-128", landmarks="GSN-HydroCel-129",
                            same_place=(*_HYDROCEL.items(), ("Cz", "Cz"))),
    "GSN-HydroCel-129": Cap("GSN-HydroCel-129", landmarks="GSN-HydroCel-129",
                            same_place=(*_HYDROCEL.items(), ("Cz", "Cz"))),
}  # fmt: skip


def cap_positions(cap: str, mni: np.ndarray, names: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Positions of a cap's electrodes on one head, near its scalp.

    Parameters
    ----------
    cap : a name of `CAPS`, or the path of a SimNIBS cap (`read_simnibs_cap`), ending in .csv.
    mni : (4, 4) head world mm -> MNI mm.
    names : electrodes, in this order; all of the cap's if empty.

    Returns
    -------
    dict label -> (3,) head world millimetres. Project them before use
    (`headcond.head.electrodes.place_discs`, in metres).

    Raises
    ------
    InputError
        If there is no such cap, or it has no electrode of a name.
    """
    if cap.endswith(".csv"):
        template = read_simnibs_cap(cap)
    else:
        check_option("cap", cap, tuple(CAPS))
        template, _ = template_positions(cap)
    unknown = [name for name in names if name not in template]
    if unknown:
        near = difflib.get_close_matches(unknown[0], template, n=1, cutoff=0.3)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(f"Cap {cap} has no electrode {', '.join(unknown)}.{hint}")
    back = np.linalg.inv(check_affine("mni", mni))
    return {name: back[:3, :3] @ template[name] + back[:3, 3] for name in names or template}


def read_simnibs_cap(path: str | Path) -> dict[str, np.ndarray]:
    """Electrodes of a SimNIBS cap: rows of type, x, y, z (MNI millimetres), name.

    Rows of the types Electrode and ReferenceElectrode are electrodes, others (fiducials) not.

    Returns
    -------
    dict label -> (3,) MNI mm, in the file's order.

    Raises
    ------
    InputError
        If the file cannot be read as such a cap, a name is listed twice, or positions are not
        those of a head.
    """
    places: dict[str, np.ndarray] = {}
    try:
        with open(path, newline="") as file:
            for row in csv.reader(file):
                if row and row[0].strip() in ("Electrode", "ReferenceElectrode"):
                    name, xyz = row[4].strip(), np.array(row[1:4], float)
                    if name in places:
                        raise InputError(f"{path}: the electrode {name} is listed twice.")
                    places[name] = xyz
    except (OSError, UnicodeDecodeError, IndexError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a SimNIBS cap ({error}).") from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: a position is not a number ({error}).") from error
    if not places:
        raise InputError(f"{path}: holds no row of the type Electrode.")
    far = np.linalg.norm(list(places.values()), axis=1)
    if not (np.isfinite(far).all() and far.max() < 200 and far.max() > 30):
        raise InputError(
            f"{path}: electrodes up to {far.max():.3g} from the origin; caps are in millimetres."
        )
    return places


def fitted_cap(cap: str, fiducials: Mapping[str, Sequence[float]] | None) -> dict[str, np.ndarray]:
    """Positions of a cap's electrodes in a mesh's own coordinates.

    Parameters
    ----------
    cap : a named cap, which needs `fiducials`; or the path of a .csv file, whose positions are
        those of the mesh unless fiducials are given.
    fiducials : nasion, lpa and rpa of the head, mm. The similarity transform (rotation, one
        scale, shift) that maps the template's onto them by least squares moves the cap.

    Returns
    -------
    dict label -> (3,) mm.

    Raises
    ------
    InputError
        If fiducials are needed and missing, or on one line.
    """
    if fiducials is None:
        if not cap.endswith(".csv"):
            raise InputError(
                f"The cap {cap} needs head.fiducials, to be fitted to a given mesh; or name a "
                ".csv file with the electrodes' positions."
            )
        return cap_positions(cap, np.eye(4))
    for name in fiducials:
        check_option("fiducial", name, _FIDUCIALS)
    goal = np.array([fiducials[name] for name in _FIDUCIALS], float)
    check_finite("head.fiducials", check_shape("head.fiducials", goal, (3, 3)))
    template = _montage("standard_1005")[1]
    return cap_positions(
        cap, similarity_transform(goal, np.array([template[n] for n in _FIDUCIALS]))
    )


def similarity_transform(start: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Rotation, scale and shift (4, 4) of points (K, 3) onto others, by least squares.

    Umeyama (1991), IEEE PAMI 13:376-380.
    """
    one, two = start - start.mean(axis=0), goal - goal.mean(axis=0)
    if min(np.linalg.svd(side)[1][1] for side in (one, two)) < 1.0:
        raise InputError("The fiducials are on a line or in a point: state them in mm.")
    u, s, vt = np.linalg.svd(two.T @ one)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    linear = (s @ signs) / np.sum(one**2) * (u * signs) @ vt
    return from_matvec(linear, goal.mean(axis=0) - linear @ start.mean(axis=0))


def injection_pairs(
    electrodes: Sequence[str], sink: str, sources: int | Sequence[str]
) -> list[tuple[str, str]]:
    """Injection pairs (source, sink) against one common sink.

    Parameters
    ----------
    electrodes : labels on the head.
    sink : the electrode that all pairs share.
    sources : labels of the injecting electrodes, or their number: the first is then the one
        furthest from the sink, each next the one furthest from the sink and those before,
        on the cap's template. Labels that no single cap of `CAPS` has are taken at even
        steps of their order.

    Raises
    ------
    InputError
        If the sink or a source is not an electrode of the head, or there are too few.
    """
    missing = [
        name
        for name in (sink, *(() if isinstance(sources, int) else sources))
        if name not in electrodes
    ]
    if missing:
        raise InputError(f"The head has no electrode {', '.join(missing)}.")
    if not isinstance(sources, int):
        if sink in sources:
            raise InputError(f"{sink} is the sink of all pairs and cannot be a source.")
        return [(source, sink) for source in sources]
    others = [name for name in electrodes if name != sink]
    if not 1 <= sources <= len(others):
        raise InputError(f"{sources} injection pairs requested; {sink} allows 1 to {len(others)}.")
    template = next((t for t, _ in map(template_positions, CAPS) if {*electrodes} <= {*t}), None)
    if template is None:
        picks = (np.arange(sources) * len(others)) // sources
        return [(others[n], sink) for n in picks]
    places = np.array([template[name] for name in others])
    far = np.linalg.norm(places - template[sink], axis=1)
    pairs = []
    for _ in range(sources):
        best = int(np.argmax(far))
        pairs.append((others[best], sink))
        far = np.minimum(far, np.linalg.norm(places - places[best], axis=1))
    return pairs


@functools.cache
def template_positions(cap: str) -> tuple[dict[str, np.ndarray], float]:
    """Positions of a cap in MNI space and how well its frame fits.

    MNE's 10-05 positions are on the head of Colin27, in MNI coordinates, and used as they are.
    The others are on a sphere (BioSemi) or on an average head in a frame of its own
    (HydroCel): an affine map by least squares brings their electrodes at 10-05 positions and
    their fiducials onto those of 10-05.

    Returns
    -------
    positions : label -> (3,) MNI millimetres.
    error : root mean square distance of the fitted landmarks, mm; 0 where nothing was fitted.
    """
    entry = CAPS[cap]
    channels, fiducials = _montage(entry.montage)
    places = fiducials | channels
    if entry.names:
        channels = {name: channels[name] for name in entry.names}
    if not entry.landmarks:
        middles = {
            name: _equidistant([places[o] for o in others]) for name, others in entry.between
        }
        return channels | middles, 0.0
    source, source_fiducials = _montage(entry.landmarks)
    goal, goal_fiducials = _montage("standard_1005")
    same = dict(entry.same_place) or {name: name for name in source if name in goal}
    one = np.array([source[a] for a in same] + [source_fiducials[f] for f in _FIDUCIALS])
    two = np.array([goal[b] for b in same.values()] + [goal_fiducials[f] for f in _FIDUCIALS])
    design = np.column_stack([one, np.ones(len(one))])
    fit = np.linalg.lstsq(design, two, rcond=None)[0]
    error = float(np.sqrt(np.mean(np.sum((design @ fit - two) ** 2, axis=1))))
    places = {name: np.append(xyz, 1.0) @ fit for name, xyz in channels.items()}
    between = {name: _equidistant([places[o] for o in others]) for name, others in entry.between}
    return places | {name: goal_fiducials[f] for name, f in entry.fiducials} | between, error


def _equidistant(corners: Sequence[np.ndarray]) -> np.ndarray:
    """Point (3,) of the line or plane through two or three points, equally far from each."""
    spans = np.stack(corners[1:]) - corners[0]
    # The foot a + spans^T w has |foot - a| = |foot - b|: spans . (foot - a) = |span|^2 / 2.
    weights = np.linalg.solve(spans @ spans.T, 0.5 * np.sum(spans**2, axis=1))
    return corners[0] + weights @ spans


_FIDUCIALS = ("nasion", "lpa", "rpa")


@functools.cache
def _montage(name: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Channels and fiducials of an MNE montage, millimetres in its own frame."""
    renamed = name.replace("standard_", "colin27_")  # MNE 1.13 renamed the montages on Colin27
    if renamed in mne.channels.get_builtin_montages():
        name = renamed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        content = mne.channels.make_standard_montage(name).get_positions()
    channels = {key: 1e3 * np.asarray(xyz, float) for key, xyz in content["ch_pos"].items()}
    return channels, {key: 1e3 * np.asarray(content[key], float) for key in _FIDUCIALS}
