"""TMS fields: coils, their placement, and scalar-potential finite differences."""

import os

# The sweeps meet at some thousand barriers per solve. GNU OpenMP lets threads spin there, which
# on cores that others use too made a solve ten times slower; asleep they cost nothing. The
# library reads this once, when Numba loads it; who sets it before is left alone.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
