"""Broken tables of measured voltages, in the manner of `bad_files`."""

from __future__ import annotations

import json

from headcond.inverse import measurement
from tests.helpers.bad_files import nothing, raw

ROWS = "frequency\tinjection\textraction\tcurrent\telectrode\tvoltage\n" + "".join(
    f"27\tA\tB\t2e-05\t{label}\t{value}\n"
    for label, value in (("C", "1e-5"), ("D", "2e-5"), ("E", "-1e-5"))
)
FACTS = {
    "format": measurement.FORMAT, "reference": "average", "kind": "signed", "noise": 8e-7,
    "units": measurement.UNITS,
}  # fmt: skip


def measured(old="", new="", **facts):
    """Writer of a small good table after a replacement, or of other facts in its sidecar."""

    def write(path):
        assert old in ROWS, "the case changes nothing"
        path.write_text(ROWS.replace(old, new) if old else ROWS)
        kept = {key: value for key, value in (FACTS | facts).items() if value is not ...}
        path.with_suffix(".json").write_text(json.dumps(kept))

    return write


def bare(path):
    """A table without its sidecar."""
    path.write_text(ROWS)


READ = measurement.read
TABLES = {
    "absent": ("m.tsv", nothing, READ, ["m.tsv: there is no such file"]),
    "no sidecar": ("m.tsv", bare, READ, ["m.json: there is no such file", "your-voltages.md"]),
    "a sidecar that is no JSON": ("m.tsv", lambda p: (measured()(p), p.with_suffix(".json")
                                  .write_text("{")), READ, ["m.json: cannot be read as JSON"]),
    "a sidecar of something else": ("m.tsv", measured(format="bids"), READ, ["needs .format"]),
    "no noise": ("m.tsv", measured(noise=...), READ, ["the key 'noise' is missing"]),
    "noise as text": ("m.tsv", measured(noise="1 uV"), READ, ["noise must be a number in V"]),
    "millivolts": ("m.tsv", measured(units={**measurement.UNITS, "voltage": "mV"}), READ,
                   ["units.voltage is 'mV'", "convert it"]),
    "an unknown kind": ("m.tsv", measured(kind="sined"), READ, ["Did you mean 'signed'"]),
    "a reference that injects": ("m.tsv", measured(reference="A"), READ,
                                 ["A-B uses the reference electrode A", "leave the pattern out"]),
    "no column of voltages": ("m.tsv", measured("voltage", "volts"), READ, ["no column 'voltage'"]),
    "a comma for a point": ("m.tsv", measured("2e-5", "0,00002"), READ,
                            ["row 3: voltage is '0,00002'", "Write n/a"]),
    "a tab too many": ("m.tsv", measured("2e-5", "2e-5\t"), READ, ["as many fields"]),
    "microamperes": ("m.tsv", measured("2e-05", "20"), READ, ["Give it in A"]),
    "a reading twice": ("m.tsv", measured("\tD\t", "\tC\t"), READ, ["C is read twice"]),
    "an electrode without a name": ("m.tsv", measured("\tD\t", "\t \t"), READ,
                                    ["row 3 names no electrode"]),
    "microvolts": ("m.tsv", measured("2e-5", "200"), READ, ["Give voltages in V"]),
    "bytes": ("m.tsv", lambda p: (measured()(p), raw(b"\xff\xfe\x00\x81")(p)), READ,
              ["m.tsv: cannot be read as a TSV table"]),
}  # fmt: skip
