"""Draw volume renders of the conductivity maps of the first test heads."""

from headcond.figures.names import map_name
from headcond.figures.rendering import plot_renders
from headcond.figures.slices import conductivity_limits
from headcond.figures.style import save
from headcond.files import results
from headcond.study.step import run
from headcond.tissues import conductivity_table


def main(maps, volumes, subjects, models, table, frequency, note, provenance):
    """Write Fig. 5 of the CondNet paper, one row per head; `maps` heads first."""
    rows, affines, paths = {}, {}, iter(maps)
    for subject in subjects:
        rows[subject] = {}
        for title in map(map_name, models):
            rows[subject][title], affines[subject] = results.read_volume(next(paths))
    limits = conductivity_limits(conductivity_table(table, frequency))
    save(plot_renders(rows, affines, limits), volumes, note, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
