"""The report of a study: one self-contained HTML page of text, tables and figures.

`page` renders sections; the other modules make them, one module per topic: `cohort`,
`conductivity`, `tms`, `head`, `forward`, `rom`, `estimates`, `experiments`.

A section is a tuple of parts, each with a title, paragraphs, a table and a figure, all optional:

>>> import pandas as pd
>>> from headcond.reporting.page import Part, Section, render
>>> table = pd.DataFrame({"tissue": ["GM", "CSF"], "conductivity (S/m)": [0.2757, 1.654]})
>>> part = Part("Table A", ("Values at 10 kHz.",), table)
>>> section = Section("tissues", "Conductivities", (part,))

`render` puts sections into a Jinja template; tables have four significant digits:

>>> import tempfile
>>> from pathlib import Path
>>> cells = "{{ (sections[0].parts[0].table|cells).rows|safe }}"
>>> with tempfile.TemporaryDirectory() as folder:
...     page, source = Path(folder, "report.html"), Path(folder, "template.html")
...     _ = source.write_text("{{ sections[0].title }}: " + cells)
...     render(page, source, {"study": "example"}, [section], [], pd.DataFrame())
...     print(page.read_text())
Conductivities: [['GM', '0.2757'], ['CSF', '1.654']]
"""
