"""Conversion between voxel arrays with RAS affines and SimpleITK images, which use LPS."""

from __future__ import annotations

import numpy as np
import SimpleITK

from headcond.checks import InputError, check_affine, check_finite, check_shape

_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def image_from_array(data: np.ndarray, affine: np.ndarray) -> SimpleITK.Image:
    """SimpleITK image of a volume (nx, ny, nz) whose `affine` leads to RAS+ mm."""
    lps = _FLIP @ np.asarray(affine, float)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(np.transpose(data)))
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


def array_from_image(image: SimpleITK.Image) -> np.ndarray:
    """Voxels (nx, ny, nz) of a SimpleITK image."""
    return np.ascontiguousarray(SimpleITK.GetArrayFromImage(image).transpose())


def matrix_from_transform(transform: SimpleITK.Transform) -> np.ndarray:
    """RAS matrix (4, 4) of a linear SimpleITK transform, read off its action on points."""
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    matrix = np.eye(4)
    # A long lever keeps the subtraction from cancelling digits.
    for axis, point in enumerate(1000.0 * np.eye(3)):
        matrix[:3, axis] = (np.array(transform.TransformPoint(point.tolist())) - origin) / 1000.0
    matrix[:3, 3] = origin
    return _FLIP @ matrix @ _FLIP


def transform_from_matrix(matrix: np.ndarray) -> SimpleITK.AffineTransform:
    """SimpleITK affine transform of a RAS matrix (4, 4)."""
    lps = _FLIP @ np.asarray(matrix, float) @ _FLIP
    transform = SimpleITK.AffineTransform(3)
    transform.SetMatrix(lps[:3, :3].ravel().tolist())
    transform.SetTranslation(lps[:3, 3].tolist())
    return transform


def to_lps(point: np.ndarray) -> list[float]:
    """The LPS coordinates of a RAS point (3,)."""
    return (_FLIP[:3, :3] @ np.asarray(point, float)).tolist()


def resample(
    moving: np.ndarray,
    moving_affine: np.ndarray,
    shape: tuple[int, ...],
    affine: np.ndarray,
    matrix: np.ndarray,
) -> np.ndarray:
    """Linear interpolation of `moving` on another grid, 0 outside its field of view.

    `matrix` (4, 4) leads from world points of the grid to world points of `moving`.
    """
    grid = image_from_array(np.zeros(shape, np.uint8), affine)
    image, transform = image_from_array(moving, moving_affine), transform_from_matrix(matrix)
    linear, kind = SimpleITK.sitkLinear, SimpleITK.sitkFloat32
    return array_from_image(SimpleITK.Resample(image, grid, transform, linear, 0.0, kind))


def registration(
    step: float, iterations: int, sampling: float, seed: int, levels: tuple[int, ...]
) -> SimpleITK.ImageRegistrationMethod:
    """Mattes mutual information over a pyramid, by gradient descent of regular steps.

    One thread and a seeded sample of voxels: the same input gives the same bits.
    """
    method = SimpleITK.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetNumberOfWorkUnits(1)
    method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=48)
    method.SetMetricSamplingStrategy(method.RANDOM)
    # Seed 0 means "the clock" to ITK.
    method.SetMetricSamplingPercentage(sampling, seed % (2**31 - 1) + 1)
    method.SetInterpolator(SimpleITK.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=step, minStep=1e-3, numberOfIterations=iterations,
        relaxationFactor=0.8, gradientMagnitudeTolerance=1e-6,
    )  # fmt: skip
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(list(levels))
    method.SetSmoothingSigmasPerLevel([0.5 * level if level > 1 else 0.0 for level in levels])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    return method


def otsu(data: np.ndarray) -> np.ndarray:
    """Voxels (bool) above the Otsu threshold of a volume."""
    values = np.asarray(data, np.float32)
    image = SimpleITK.GetImageFromArray(values)
    return SimpleITK.GetArrayFromImage(SimpleITK.OtsuThreshold(image, 0, 1, 256)).astype(bool)


def mutual_information(first: np.ndarray, second: np.ndarray, bins: int = 64) -> float:
    """Mutual information, in nats, of two sets of values: a plug-in joint histogram.

    Values are binned by rank (equal counts, ties share a bin), so that neither the scale
    nor a few bright voxels dominate the histogram.
    """
    pairs = _ranks(first, bins) * bins + _ranks(second, bins)
    joint = np.bincount(pairs, minlength=bins**2).reshape(bins, bins) / pairs.size
    independent = np.outer(joint.sum(1), joint.sum(0))
    filled = joint > 0
    return float(np.sum(joint[filled] * np.log(joint[filled] / independent[filled])))


def _ranks(values: np.ndarray, bins: int) -> np.ndarray:
    values = np.ravel(values)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, values, side="right")


def check_image(name: str, data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a finite, non-constant 3-D volume as float32 and its affine, or raise."""
    values = check_finite(name, check_shape(name, data, (None, None, None)))
    if values.size == 0 or values.min() == values.max():
        raise InputError(f"{name} is constant: it shows nothing. Give the image itself.")
    return values.astype(np.float32), check_affine(f"{name}'s affine", affine)


def centre_of_mass(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """World point (3,) at the centre of a mask's voxels."""
    voxel = np.array([np.mean(index) for index in np.nonzero(mask)])
    return affine[:3, :3] @ voxel + affine[:3, 3]


def execute(
    method: SimpleITK.ImageRegistrationMethod,
    fixed: SimpleITK.Image,
    moving: SimpleITK.Image,
    failure: type[Exception],
) -> None:
    """Run a registration in place on its initial transform; an ITK error becomes `failure`."""
    try:
        method.Execute(fixed, moving)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise failure(f"Mutual information could not be maximised: {reason}") from error
