"""The report of a study: one self-contained page of sections, tables and figures."""
