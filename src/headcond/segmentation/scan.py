"""From a person's scans to tissues and conductivity: the call that everything else is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

from headcond.checks import InputError, check_affine, check_option, check_shape, voxel_sizes
from headcond.files.results import read_volume
from headcond.mri.align import rigid
from headcond.mri.resampling import resample, to_ras
from headcond.segmentation.conductivity import conductivity_interval, conductivity_of
from headcond.segmentation.network import SegmentationNetwork
from headcond.segmentation.prediction import predict
from headcond.segmentation.review import remarks, volumes
from headcond.segmentation.schemes import to_closed_eit6, to_simnibs
from headcond.segmentation.weights import load_weights
from headcond.tissues import conductivity_table

VOXEL_SIZE = 1.0
"""Edge of the voxels that the network sees, mm."""
VOXEL_RANGE = (0.3, 6.0)
"""Least and largest edge of a scan's voxels, mm."""
HEAD_RANGE = (110.0, 400.0)
"""Least and largest side of the box around what is not air, mm; smaller is no whole head."""
MARGIN = 12
"""Voxels of air kept around the head."""

_SCHEMES = {"headcond13": np.asarray, "eit6": to_closed_eit6, "simnibs": to_simnibs}

Scan = str | Path | nibabel.spatialimages.SpatialImage


@dataclass(frozen=True)
class Segmentation:
    """Tissues of a head on the grid of its scan.

    Attributes
    ----------
    box : (14, nx, ny, nz) float16, probabilities at 1 mm in RAS order, in the head's box; air
        first, then the thirteen tissues.
    box_affine : (4, 4) voxel of the box -> RAS world, mm.
    shape, affine : of the scan.
    """

    box: np.ndarray
    box_affine: np.ndarray
    shape: tuple[int, int, int]
    affine: np.ndarray

    @cached_property
    def _on_scan(self) -> np.ndarray:
        """Probabilities on the scan's grid, (14, ...) float16; outside the box is air."""
        out = np.empty((len(self.box), *self.shape), np.float16)
        for number in range(1, len(self.box)):
            out[number] = resample(
                self.box[number].astype(np.float32), self.box_affine, self.affine, self.shape
            )
        out[0] = np.clip(1 - out[1:].sum(axis=0, dtype=np.float32), 0, 1)
        return out

    @property
    def probabilities(self) -> nibabel.Nifti1Image:
        """Probabilities on the scan's grid, (nx, ny, nz, 14) float32."""
        return nibabel.Nifti1Image(
            np.moveaxis(self._on_scan, 0, -1).astype(np.float32), self.affine
        )

    @property
    def labels(self) -> nibabel.Nifti1Image:
        """The likeliest tissue on the scan's grid, (nx, ny, nz) uint8, ids of headcond13."""
        return nibabel.Nifti1Image(self._on_scan.argmax(axis=0).astype(np.uint8), self.affine)

    @property
    def confidence(self) -> nibabel.Nifti1Image:
        """Probability of the likeliest tissue, (nx, ny, nz) float32."""
        return nibabel.Nifti1Image(self._on_scan.max(axis=0).astype(np.float32), self.affine)

    @property
    def volumes(self) -> dict[str, float]:
        """Volume of every tissue, mL."""
        return volumes(self.box, VOXEL_SIZE)

    @property
    def remarks(self) -> list[str]:
        """Sentences on what looks wrong or was uncertain; empty if nothing stands out."""
        return remarks(self.box, VOXEL_SIZE)

    def labels_as(self, scheme: str) -> nibabel.Nifti1Image:
        """Labels on the scan's grid in another scheme, (nx, ny, nz) uint8.

        Parameters
        ----------
        scheme : "headcond13"; "eit6", the six tissues of the EIT head in a closed skull; or
            "simnibs", the ids of SimNIBS's `final_tissues`.
        """
        check_option("scheme", scheme, tuple(_SCHEMES))
        labels = np.asarray(self.labels.dataobj)
        return nibabel.Nifti1Image(_SCHEMES[scheme](labels).astype(np.uint8), self.affine)

    def conductivity(
        self, table: str | Mapping[str, float] = "B", method: str = "median"
    ) -> nibabel.Nifti1Image:
        """Conductivity on the scan's grid, (nx, ny, nz) float32, S/m.

        Parameters
        ----------
        table : "A", "B", or S/m of each tissue, such as
            `headcond.tissues.conductivity_table("cole-cole", frequency)`.
        method : see `headcond.segmentation.conductivity.conductivity_of`.
        """
        values = conductivity_table(table) if isinstance(table, str) else table
        return nibabel.Nifti1Image(conductivity_of(self._on_scan, values, method), self.affine)

    def conductivity_interval(
        self, table: str | Mapping[str, float] = "B"
    ) -> tuple[nibabel.Nifti1Image, nibabel.Nifti1Image]:
        """5 and 95 % quantile of the conductivity on the scan's grid, S/m."""
        values = conductivity_table(table) if isinstance(table, str) else table
        lower, upper = conductivity_interval(self._on_scan, values)
        return nibabel.Nifti1Image(lower, self.affine), nibabel.Nifti1Image(upper, self.affine)


def segment(
    t1: Scan | None,
    t2: Scan | None = None,
    *,
    flip: bool = False,
    network: SegmentationNetwork | None = None,
) -> Segmentation:
    """Segment a head into air and thirteen tissues.

    Parameters
    ----------
    t1, t2 : T1- and T2-weighted scan of one person, each a file or a nibabel image, on any grid;
        one of them may be missing. A T2-weighted scan is aligned to the T1-weighted one.
    flip : average over the head and its mirror image; a little better, twice the time.
    network : weights other than the shipped ones.

    Returns
    -------
    Segmentation on the grid of the T1-weighted scan, or of the T2-weighted one if it is alone.

    Raises
    ------
    InputError
        If there is no scan, or one is not a head that the network can see.

    Examples
    --------
    >>> import headcond.segmentation as segmentation
    >>> head = segmentation.segment("t1.nii.gz")  # doctest: +SKIP
    >>> head.labels.to_filename("labels.nii.gz")  # doctest: +SKIP
    >>> head.conductivity("B").to_filename("conductivity.nii.gz")  # doctest: +SKIP
    """
    first = None if t1 is None else _read("T1", t1)
    second = None if t2 is None else _read("T2", t2)
    reference = first or second
    if reference is None:
        raise InputError("Neither a T1- nor a T2-weighted scan was given.")
    if network is None:
        network = load_weights()
    image, affine = reference
    shape, target = head_box("T1" if first else "T2", image, affine)
    scans = [None, None]
    scans[0 if first else 1] = resample(image, affine, target, shape)
    if first and second:
        moved = rigid(second[0], second[1], image, affine)
        # World points of the T1 scan -> those of the T2 scan, so the T2 scan is read only once.
        scans[1] = resample(second[0], second[1], moved.transform @ target, shape)
    box = predict(network, scans[0], scans[1], flip=flip)
    return Segmentation(box, target, tuple(image.shape), affine)


def head_box(
    name: str, image: np.ndarray, affine: np.ndarray
) -> tuple[tuple[int, int, int], np.ndarray]:
    """Grid of 1 mm along the world's axes around the head in a scan.

    Parameters
    ----------
    name : of the scan, for messages.
    image : (nx, ny, nz) scan; what is brighter than the air counts as the head.
    affine : (4, 4) voxel -> RAS world, mm.

    Returns
    -------
    shape, affine : of the grid, with `MARGIN` voxels around the head where the scan has them.

    Raises
    ------
    InputError
        If the box of what is not air is smaller or larger than a head's.
    """
    step = tuple(max(1, round(2 / size)) for size in voxel_sizes(affine))
    coarse = image[tuple(slice(None, None, s) for s in step)]
    coarse_affine = affine @ np.diag([*step, 1.0])
    positive = coarse[coarse > 0]
    if positive.size < 1000:
        raise InputError(f"The {name} scan has hardly a voxel above 0: is it an image?")
    bright = coarse > 0.12 * np.percentile(positive, 98)
    bright = ndimage.binary_opening(bright)
    pieces, count = ndimage.label(bright)
    if not count:
        raise InputError(f"The {name} scan shows no head: nothing stands out from the background.")
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    points = np.argwhere(pieces == sizes.argmax()) @ coarse_affine[:3, :3].T + coarse_affine[:3, 3]
    extent = np.ptp(points, axis=0)
    if extent.min() < HEAD_RANGE[0] or extent.max() > HEAD_RANGE[1]:
        sides = " x ".join(f"{side:.0f}" for side in extent)
        raise InputError(
            f"What the {name} scan shows measures {sides} mm, which is not a whole head "
            f"({HEAD_RANGE[0]:.0f} to {HEAD_RANGE[1]:.0f} mm). Give a scan of "
            "the whole head, not skull-stripped, with its voxel size in the header."
        )
    corners = np.array(np.meshgrid(*[(-0.5, side - 0.5) for side in image.shape])).reshape(3, -1)
    field = corners.T @ affine[:3, :3].T + affine[:3, 3]
    low = np.maximum(points.min(axis=0) - MARGIN, field.min(axis=0))
    high = np.minimum(points.max(axis=0) + MARGIN, field.max(axis=0))
    target = np.diag([VOXEL_SIZE] * 3 + [1.0])
    canonical = to_ras(image[:1, :1, :1], affine)[1]
    # On the scan's own voxel centres where its axes are the world's: nothing is interpolated then.
    target[:3, 3] = canonical[:3, 3] + np.floor((low - canonical[:3, 3]) / VOXEL_SIZE) * VOXEL_SIZE
    shape = np.ceil((high - target[:3, 3]) / VOXEL_SIZE).astype(int) + 1
    return tuple(int(side) for side in shape), target


def _read(name: str, scan: Scan) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (nx, ny, nz) float32 and affine of a scan, checked."""
    if isinstance(scan, nibabel.spatialimages.SpatialImage):
        data = np.asanyarray(scan.dataobj, np.float32)
        affine = np.asarray(scan.affine, float)
        if data.ndim == 4 and data.shape[3] == 1:
            data = data[..., 0]
        where = f"The {name} scan"
        header = scan.header
        if isinstance(scan, nibabel.Nifti1Pair) and not (
            int(header["qform_code"]) or int(header["sform_code"])
        ):
            raise InputError(
                f"{where}: its header does not say which way its axes run, so left and right are "
                "unknown. Convert it again from the scanner's files."
            )
    elif isinstance(scan, str | Path):
        data, affine = read_volume(scan)
        where = str(scan)
    else:
        raise InputError(
            f"The {name} scan must be a file or a nibabel image, got {type(scan).__name__}."
        )
    data = check_shape(f"{where}:", data, (None, None, None))
    affine = check_affine(f"{where}: its affine", affine)
    if not np.isfinite(data).all():
        raise InputError(f"{where}: holds values that are not finite. Export it again.")
    sizes = voxel_sizes(affine)
    if sizes.min() < VOXEL_RANGE[0] or sizes.max() > VOXEL_RANGE[1]:
        raise InputError(
            f"{where}: its voxels measure {' x '.join(f'{s:.2f}' for s in sizes)} mm, outside "
            f"{VOXEL_RANGE[0]} to {VOXEL_RANGE[1]} mm. Check the unit in its header."
        )
    negative = float((data < 0).mean())
    if negative > 0.05 and data.min() < -200:
        raise InputError(
            f"{where}: {100 * negative:.0f} % of its voxels are negative, down to "
            f"{data.min():.0f}, as in CT. headcond reads T1- and T2-weighted MRI."
        )
    return np.maximum(data, 0), affine
