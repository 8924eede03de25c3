"""Published results of the ROM-pEIT paper and of Fernandez-Corazza et al. (2018)."""

from __future__ import annotations

# Experiment 2: mean relative error, %, of all pairs (text to Figs. 5 and 6).
EXPERIMENT_2 = {"spongy_bone": 1.0, "csf": 3.0, "gm": 4.0, "wm": 7.0}
# Table 2, S/m: the conductivities of the simulated head.
TABLE_2_TRUTH = {"scalp": 0.369, "compact_bone": 0.0059, "spongy_bone": 0.038, "csf": 1.626,
                 "gm": 0.421, "wm": 0.134}  # fmt: skip
# Table 2, S/m: mean and deviation over patterns for the worst reference.
TABLE_2 = {"scalp": (0.362, 0.022), "skull": (0.0087, 0.0012), "csf": (1.602, 0.157),
           "gm": (0.325, 0.098), "wm": (0.101, 0.025)}  # fmt: skip
# Table 3, S/m, outer tissues with the inner ones fixed: full range, and spongy bone to 0.3 S/m.
_OUTER = ("scalp", "compact_bone", "spongy_bone")
TABLE_3 = {
    "AM": dict(zip(_OUTER, ((0.243, 0.045), (0.0055, 0.0020), (0.034, 0.014)), strict=True)),
    "CA": dict(zip(_OUTER, ((0.287, 0.062), (0.0048, 0.0013), (0.048, 0.030)), strict=True)),
    "AA": dict(zip(_OUTER, ((0.360, 0.088), (0.0048, 0.0019), (0.011, 0.017)), strict=True)),
}
TABLE_3_WIDE = {
    "AM": dict(zip(_OUTER, ((0.214, 0.058), (0.0055, 0.0025), (0.195, 0.128)), strict=True)),
    "CA": dict(zip(_OUTER, ((0.277, 0.064), (0.0041, 0.0011), (0.225, 0.103)), strict=True)),
    "AA": dict(zip(_OUTER, ((0.345, 0.098), (0.0048, 0.0021), (0.174, 0.143)), strict=True)),
}
# Table 4, S/m, all tissues, full range.
_ALL = (*_OUTER, "csf", "gm", "wm")
TABLE_4 = {
    "AM": dict(zip(_ALL, ((0.237, 0.042), (0.0064, 0.0025), (0.035, 0.014), (1.455, 0.145),
                          (0.303, 0.278), (0.118, 0.072)), strict=True)),
    "CA": dict(zip(_ALL, ((0.271, 0.064), (0.0060, 0.0027), (0.045, 0.029), (1.448, 0.138),
                          (0.231, 0.219), (0.114, 0.063)), strict=True)),
    "AA": dict(zip(_ALL, ((0.337, 0.094), (0.0059, 0.0028), (0.018, 0.027), (1.433, 0.219),
                          (0.219, 0.259), (0.099, 0.060)), strict=True)),
}  # fmt: skip


def experiment_5(variant: str, name: str) -> str:
    """The paper's mean ± deviation in mS/m for a tissue in a variant of `measured.variants`."""
    wide = "spongy bone to 0.3" in variant
    if variant.startswith("outer"):
        table = TABLE_3_WIDE if wide else TABLE_3
    else:
        table = {} if wide else TABLE_4  # with all tissues free the paper has no wide range
    return "; ".join(
        f"{who} {1e3 * row[name][0]:.4g} ± {1e3 * row[name][1]:.3g}"
        for who, row in table.items()
        if name in row
    )
