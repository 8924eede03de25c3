"""MR preprocessing: bias field, alignment, one grid, normalisation."""
