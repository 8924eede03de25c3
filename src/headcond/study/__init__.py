"""Studies: configuration and its checks, paths, prediction, comparison, the frame of a step.

>>> from headcond.study import config
>>> default = {"study": "default", "rom": {"snapshots": 15, "pairs": 8}}
>>> config.merge(default, {"study": "more", "rom": {"snapshots": 25}})
{'study': 'more', 'rom': {'snapshots': 25, 'pairs': 8}}
>>> schema = config.schema()
>>> schema["properties"]["rom"]["properties"]["snapshots"]["description"]
'Largest number of snapshots per pair.'

`config.read` merges and checks the files of a study. Studies run from a clone of headcond, whose
Snakefile, rules and scripts the wheel does not hold.
"""
