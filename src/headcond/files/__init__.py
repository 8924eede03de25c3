"""Files: atomic results with provenance, HDF5, MATLAB, Parquet, and checks of untrusted input."""
