"""Draw the images of a subject and its tissues."""

import numpy as np

from headcond.figures.slices import bounding_box, plot_anatomy
from headcond.figures.style import save, upper_limit
from headcond.files import results
from headcond.study.step import run
from headcond.tissues import TISSUES


def main(t1, t2, labels, anatomy, note, provenance):
    """Write three planes of T1w, T2w and, where there are any, labels."""
    images = {}
    for title, path in (("T1w", t1), ("T2w", t2)):
        images[title], affine = results.read_volume(path)
    tissue = results.read_volume(labels, dtype="uint8")[0] if labels else None
    head = tissue > 0 if labels else images["T1w"] > 0.1 * upper_limit(images["T1w"])
    box = bounding_box(head)
    cropped = {title: image[box] for title, image in images.items()}
    tissue = tissue[box] if labels else None
    centre = np.array(next(iter(cropped.values())).shape) // 2
    figure = plot_anatomy(cropped, tissue, TISSUES, affine, centre)
    save(figure, anatomy, note, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
