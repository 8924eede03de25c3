"""Files: atomic results with provenance, HDF5, MATLAB, Parquet, and checks of untrusted input.

Every result has a JSON sidecar with its units, provenance and digest; a file that has changed
since is refused:

>>> import tempfile
>>> from pathlib import Path
>>> import numpy as np
>>> from headcond.files import results
>>> folder = tempfile.TemporaryDirectory()
>>> path = Path(folder.name) / "sub-01_condmap.nii.gz"
>>> results.write_volume(path, np.full((2, 3, 4), 0.3, np.float32), np.eye(4), units="S/m")
>>> data, affine = results.read_volume(path)
>>> data.shape, results.read_json(results.sidecar_path(path))["units"]
((2, 3, 4), 'S/m')
>>> cut = path.write_bytes(path.read_bytes()[:-1])
>>> results.read_volume(path)  # doctest: +ELLIPSIS
Traceback (most recent call last):
    ...
headcond.checks.InputError: ...sub-01_condmap.nii.gz: it has ... bytes, ... were written. ...
>>> folder.cleanup()
"""
