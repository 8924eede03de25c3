# The one self-contained page in which a study ends.


rule report_study:
    input:
        **tables(),
        figures=list(figures().values()),
    output:
        report=result("report.html"),
    log:
        logs("report_study"),
    conda:
        "../../envs/report.yaml"
    params:
        source=source("report/report_study.py"),
        study=config,
        figure_names=list(figures()),
        benchmarks=result("benchmarks"),
    script:
        "../../scripts/report/report_study.py"
