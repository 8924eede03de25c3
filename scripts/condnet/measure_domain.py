"""Measure the training domain: what the images of the training heads have in common."""

from headcond.condnet.domain import fit_domain, image_statistics
from headcond.condnet.slices import describe_grid
from headcond.files import results
from headcond.study.step import run


def main(T1w, T2w, domain, subjects, normalisation, provenance):
    """Write descriptions of the training heads, their distances and the limits of the domain."""
    heads = {}
    for subject, *paths in zip(subjects, T1w, T2w, strict=True):
        (t1, affine), (t2, _) = map(results.read_volume, paths)
        grid = describe_grid(t1.shape, affine)
        heads[subject] = image_statistics(t1, t2, grid["voxel_size"][0])
    facts = {"grid": grid, "normalisation": normalisation}
    results.write_json(domain, {**facts, **fit_domain(heads), "provenance": provenance})


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
