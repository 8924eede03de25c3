"""The coil that a study describes."""

from headcond.study_paths import expand
from headcond.tms.coil import Coil, figure_of_eight, read


def make_coil(settings) -> Coil:
    """Coil of the study's `tms.coil`: a dipole file if it names one, else the figure of eight."""
    if "file" in settings:
        return read(expand("tms.coil.file", settings["file"]))
    return figure_of_eight(
        settings["outer_diameter"],
        settings["inner_diameter"],
        settings["turns"],
        settings["wing_distance"],
    )
