# What a study makes: the figures and tables of its report, and the results that people use.


def per_subject(subjects, *names):
    """Figures of subjects, by the name under which the report shows them."""
    return {
        f"{name}_{subject}": figure(f"{subject}_{name}") for subject in subjects for name in names
    }


def figures():
    """Figures of the study, by the name under which the report shows them."""
    found = {}
    if "tms" in PIPELINES:
        several = ["tables"] if TABLES[1:] else []
        fields = ("coil", "efield", "difference")
        found |= {name: figure(name) for name in ("losses", "volumes", "sagittal")}
        found |= per_subject(SHOWN, "alignment", "anatomy", "conductivity", "spread")
        found |= per_subject(COHORT["test"], "profile", "patches", *several, *fields)
    if "forward" in PIPELINES or "eit" in PIPELINES:
        found |= per_subject(HEADS, "mesh", "electrodes")
    if "forward" in PIPELINES:
        found |= per_subject(HEADS, "potential", "thickness")
    if "eit" in PIPELINES:
        kinds = STUDY["inverse"]["experiment"]["kinds"]
        found |= per_subject(HEADS, "greedy", "bound", "estimates", *kinds)
        if STUDY["rom"]["experiment"]["norms"]:
            found |= per_subject(HEADS, "convergence", "measures", "stopping", "basis")
        if "inversion" in kinds:
            found |= per_subject(HEADS, "noises")
        if STUDY["inverse"]["measured"]:
            found |= per_subject(HEADS, "measured", "spectrum", "residuals")
    return found


def experiment_tables():
    """Tables of Experiments 1 to 5 that the report reads, by kind, as path patterns."""
    experiment, found = STUDY["inverse"]["experiment"], {}
    if STUDY["rom"]["experiment"]["norms"]:
        found["convergences"] = rom("convergence.tsv")
    if "inversion" in experiment["kinds"]:
        found["sweeps"] = eit("inversion.tsv")
        if experiment["baseline_pairs"]:
            found["baselines"] = eit("baseline.tsv")
    if "references" in experiment["kinds"]:
        found |= {"references": eit("references.tsv"), "places": eit("places.tsv")}
    if "disturbances" in experiment["kinds"]:
        found["disturbances"] = eit("disturbances.tsv")
    if STUDY["inverse"]["measured"]:
        found["measured_summaries"] = measured("summary.tsv")
        found["measured_records"] = measured("record.json")
        found["measured_estimates"] = measured("estimates.tsv")
    return found


def tables():
    """Tables and records that the report reads, by kind."""
    found, tests, models = {}, {}, {}
    if "tms" in PIPELINES:
        found["alignments"] = expand(anat("desc-alignment.json"), subject=SHOWN)
        found["domains"] = expand(cond("domain.json"), subject=SHOWN)
        found["facts"] = expand(anat("head.json"), subject=LABELLED)
        found["networks"] = expand(networks("axis-{axis}_history.tsv"), axis=AXES)
        found["scores"] = table("condnet_errors")
        found |= generated_only(lens=table("condnet_lens"))
        found["globalerror"] = [result("tms/globalerror.tsv")]
        tests["peaks"] = tms("pos-coil_peaks.tsv")
        tests["placements"] = tms("desc-coil_placement.json")
        tests["registrations"] = anat("desc-mni_transform.json")
        tests["warps"] = mni_warp()
        tests["efields"] = field("efield.nii.gz")
        tests["tissue_fields"] = field("tissues.tsv")
        if POSITIONS:
            tests["positions"] = tms("desc-positions_efield.tsv")
    if "eit" in PIPELINES or "forward" in PIPELINES:
        models["qualities"] = head("desc-quality.json")
    if "forward" in PIPELINES:
        models["residuals"] = forward("residuals.tsv")
    if "eit" in PIPELINES:
        models["validations"] = rom("validation.tsv")
        models["relative_errors"] = eit("relativeerror.tsv")
        models |= experiment_tables()
    for kinds, subjects in ((tests, COHORT["test"]), (models, HEADS)):
        for kind, name in kinds.items():
            found[kind] = expand(name, subject=subjects, model=FIELDS)
    return found


def kept():
    """What a run makes again where it is missing, next to the report: results that people use."""
    names = []
    if "eit" in PIPELINES or "forward" in PIPELINES:
        names.append(head("operators.h5"))
    if "eit" in PIPELINES:
        names += [rom("rom.h5"), eit("estimates.tsv")]
    return [*tables().values(), *figures().values(), expand(names, subject=HEADS)]


def predictions():
    """What is made besides the report: maps in the scans' own grids, and all of a new person."""
    found = [own_maps(subject) for subject in SHOWN if "tms" in PIPELINES]
    for subject in SCANS if "predict" in PIPELINES else []:
        found += [own_maps(subject), expand(cond("domain.json"), subject=subject)]
        found += per_subject([subject], "alignment", "anatomy", "conductivity").values()
    return found
