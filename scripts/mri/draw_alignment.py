"""Draw T1w and T2w of a subject in alternate squares, before and after their alignment."""

from headcond.figures.alignment import plot_alignment
from headcond.figures.style import save
from headcond.files import results
from headcond.mri.resampling import resample
from headcond.study.step import run


def main(t1, t2, own_t2, alignment, figure, note, provenance):
    """Write three planes as the scanner's world has them, and as alignment left them."""
    fixed, affine = results.read_volume(t1)
    aligned, _ = results.read_volume(t2)
    moving, moving_affine = results.read_volume(own_t2)
    before = resample(moving, moving_affine, affine, fixed.shape)
    quality = results.read_json(alignment)["quality"]
    save(plot_alignment(fixed, before, aligned, affine, quality), figure, note, provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
