"""Loops over the voxels of synthetic images, compiled; every one repeats bit by bit."""

from __future__ import annotations

import numba
import numpy as np

from headcond.segmentation.anatomy import DIVIDED
from headcond.segmentation.classes import class_id

_FAT, _MUSCLE = class_id("fat"), class_id("muscle")
_UNIT_DEVIATION = np.float32(np.sqrt(3.0) / 65536)  # of the sum of four 16-bit numbers


@numba.njit(inline="always")
def _hash(number: int) -> int:
    """Mix the bits of a 64-bit number (splitmix64, Steele et al. 2014)."""
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))


@numba.njit(inline="always")
def _normal(key: int, index: int) -> float:
    """About normal: the sum of the four quarters of one hashed number, mean 0, variance 1."""
    bits = _hash(key + np.uint64(index) * np.uint64(0x9E3779B97F4A7C15))
    total = np.int32(bits & np.uint64(0xFFFF)) + np.int32(
        (bits >> np.uint64(16)) & np.uint64(0xFFFF)
    )
    total += np.int32((bits >> np.uint64(32)) & np.uint64(0xFFFF)) + np.int32(bits >> np.uint64(48))
    return (np.float32(total) - np.float32(131070.0)) * _UNIT_DEVIATION


@numba.njit(inline="always")
def _row(field: np.ndarray, at_i: float, at_j: float, row: np.ndarray) -> None:
    """The nodes along the last axis of `field` (d, h, w), interpolated at node (at_i, at_j)."""
    i, j = int(at_i), int(at_j)
    u, v = np.float32(at_i - i), np.float32(at_j - j)
    one = np.float32(1)
    for k in range(field.shape[2]):
        row[k] = (one - u) * ((one - v) * field[i, j, k] + v * field[i, j + 1, k]) + u * (
            (one - v) * field[i + 1, j, k] + v * field[i + 1, j + 1, k]
        )


@numba.njit(cache=True, fastmath=True)
def deform(
    classes: np.ndarray,
    depth: np.ndarray,
    matrix: np.ndarray,
    offset: np.ndarray,
    fields: np.ndarray,
    step: float,
    outside: int,
    out: np.ndarray,
) -> None:
    """Sample an anatomy at the displaced voxels of a training image.

    Parameters
    ----------
    classes, depth : of an `Anatomy`.
    matrix : (3, 3) float32, voxel of the image -> voxel of the anatomy.
    offset : (3,) float32, voxel of the anatomy at the image's voxel (0, 0, 0).
    fields : (4, d, h, w) float32 at every `step`-th voxel of the image: displacement in voxels of
        the anatomy, and the depth at which fat ends, in the unit of `depth`.
    step : voxels between the nodes of `fields`.
    outside : class beyond the anatomy.
    out : (D, H, W) uint8, receives the class of the nearest voxel.
    """
    nx, ny, nz = classes.shape
    divided = depth.shape[0] == 1
    rows = np.empty((4, fields.shape[3]), np.float32)
    inverse = np.float32(1.0 / step)
    half = np.float32(0.5)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for c in range(4):
                _row(fields[c], i * inverse, j * inverse, rows[c])
            x0 = matrix[0, 0] * i + matrix[0, 1] * j + offset[0] + half
            y0 = matrix[1, 0] * i + matrix[1, 1] * j + offset[1] + half
            z0 = matrix[2, 0] * i + matrix[2, 1] * j + offset[2] + half
            for k in range(out.shape[2]):
                at = np.float32(k) * inverse
                node = int(at)
                w = at - np.float32(node)
                x = x0 + matrix[0, 2] * k + rows[0, node] + w * (rows[0, node + 1] - rows[0, node])
                y = y0 + matrix[1, 2] * k + rows[1, node] + w * (rows[1, node + 1] - rows[1, node])
                z = z0 + matrix[2, 2] * k + rows[2, node] + w * (rows[2, node + 1] - rows[2, node])
                found = outside
                if x >= 0 and y >= 0 and z >= 0:
                    a, b, c = int(x), int(y), int(z)
                    if a < nx and b < ny and c < nz:
                        found = classes[a, b, c]
                        if not divided and depth[a, b, c] != DIVIDED:
                            end = rows[3, node] + w * (rows[3, node + 1] - rows[3, node])
                            found = _FAT if depth[a, b, c] <= end else _MUSCLE
                out[i, j, k] = found


@numba.njit(cache=True, fastmath=True)
def paint(
    classes: np.ndarray,
    mean: np.ndarray,
    deviation: np.ndarray,
    key: int,
    coarse: bool,
    out: np.ndarray,
) -> None:
    """Give every voxel the mean of its class and a random texture.

    Parameters
    ----------
    classes : (D, H, W) uint8; anything above 127 counts without `NOT_JUDGED`.
    mean, deviation : (number of classes,) float32.
    key : whole number that the texture follows from.
    coarse : let blocks of 2 x 2 x 2 voxels share their texture.
    out : (D, H, W) float32.
    """
    key = np.uint64(key)
    shift = 1 if coarse else 0
    height, width = np.int64(out.shape[1]), np.int64(out.shape[2])
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            first = ((np.int64(i) >> shift) * height + (np.int64(j) >> shift)) * width
            for k in range(out.shape[2]):
                c = classes[i, j, k] & 127
                out[i, j, k] = mean[c] + deviation[c] * _normal(key, first + (k >> shift))


@numba.njit(cache=True, fastmath=True)
def _blur_first(image: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """Filter along the first axis, the edge repeated."""
    radius = len(weights) // 2
    last = image.shape[0] - 1
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            for k in range(image.shape[2]):
                out[i, j, k] = weights[radius] * image[i, j, k]
            for t in range(1, radius + 1):
                low, high, weight = max(i - t, 0), min(i + t, last), weights[radius + t]
                for k in range(image.shape[2]):
                    out[i, j, k] += weight * (image[low, j, k] + image[high, j, k])


@numba.njit(cache=True, fastmath=True)
def _blur_second(image: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """Filter along the second axis, the edge repeated."""
    radius = len(weights) // 2
    last = image.shape[1] - 1
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            for k in range(image.shape[2]):
                out[i, j, k] = weights[radius] * image[i, j, k]
            for t in range(1, radius + 1):
                low, high, weight = max(j - t, 0), min(j + t, last), weights[radius + t]
                for k in range(image.shape[2]):
                    out[i, j, k] += weight * (image[i, low, k] + image[i, high, k])


@numba.njit(cache=True, fastmath=True)
def _blur_third(image: np.ndarray, weights: np.ndarray) -> None:
    """Filter along the third axis in place, the edge repeated."""
    radius = len(weights) // 2
    width = image.shape[2]
    row = np.empty(width + 2 * radius, np.float32)
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            row[:radius] = image[i, j, 0]
            row[radius : radius + width] = image[i, j]
            row[radius + width :] = image[i, j, width - 1]
            for k in range(width):
                image[i, j, k] = weights[radius] * row[k + radius]
            for t in range(1, radius + 1):
                weight = weights[radius + t]
                for k in range(width):
                    image[i, j, k] += weight * (row[k + radius - t] + row[k + radius + t])


def blur(image: np.ndarray, sigmas: tuple[float, float, float]) -> np.ndarray:
    """Gaussian filter of an image; it may be overwritten.

    Parameters
    ----------
    image : (D, H, W) float32.
    sigmas : standard deviation along each axis, voxels; below 0.2 an axis is left as it is.
    """
    other = np.empty_like(image)
    for axis, sigma in enumerate(sigmas):
        if sigma < 0.2:
            continue
        radius = max(1, int(3 * sigma + 0.5))
        weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
        weights = (weights / weights.sum()).astype(np.float32)
        if axis == 2:
            _blur_third(image, weights)
        else:
            (_blur_first, _blur_second)[axis](image, weights, other)
            image, other = other, image
    return image


@numba.njit(cache=True, fastmath=True)
def acquire(
    image: np.ndarray,
    classes: np.ndarray,
    gain: np.ndarray,
    haze: np.ndarray,
    haze_level: float,
    noise: float,
    key: int,
) -> None:
    """Apply the coil's sensitivity, add haze in the air and Rician noise, in place.

    Parameters
    ----------
    image : (D, H, W) float32.
    classes : (D, H, W) uint8, 0 is air.
    gain, haze : (n, n, n) float32, sampled over the whole image with linear interpolation.
    haze_level : factor of `haze`; 0 leaves it out.
    noise : standard deviation of the real and the imaginary part.
    key : whole number that the noise follows from.
    """
    real_key, imaginary_key = _hash(np.uint64(key)), _hash(np.uint64(key) + np.uint64(1))
    nodes = gain.shape[0]
    scale = np.empty(3, np.float32)
    for axis in range(3):
        scale[axis] = np.float32((nodes - 1.001) / (image.shape[axis] - 1))
    gains, hazes = np.empty(nodes, np.float32), np.empty(nodes, np.float32)
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            _row(gain, i * scale[0], j * scale[1], gains)
            if haze_level > 0:
                _row(haze, i * scale[0], j * scale[1], hazes)
            first = (np.int64(i) * image.shape[1] + j) * image.shape[2]
            for k in range(image.shape[2]):
                at = k * scale[2]
                node = int(at)
                w = at - np.float32(node)
                value = image[i, j, k]
                if haze_level > 0 and classes[i, j, k] & 127 == 0:
                    value += haze_level * abs(hazes[node] + w * (hazes[node + 1] - hazes[node]))
                value *= gains[node] + w * (gains[node + 1] - gains[node])
                if noise > 0:
                    real = value + noise * _normal(real_key, first + k)
                    imaginary = noise * _normal(imaginary_key, first + k)
                    value = np.sqrt(real * real + imaginary * imaginary)
                image[i, j, k] = value
