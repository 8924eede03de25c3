# headcond: MRI and EIT voltages to conductivity, fields and tables, in one report per study.
from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/cohort.smk"
include: "workflow/rules/mri.smk"
include: "workflow/rules/condnet.smk"
include: "workflow/rules/tms.smk"
include: "workflow/rules/head.smk"
include: "workflow/rules/forward.smk"
include: "workflow/rules/rom.smk"
include: "workflow/rules/inverse.smk"
include: "workflow/rules/experiments.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        result("report.html") if set(PIPELINES) - {"predict"} else [],
        predictions(),
        kept(),
