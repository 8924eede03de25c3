# What a study asks for: the figures and tables of its report, and what is kept beside it.


def inversion_figures():
    """Figures of Experiments 2 to 5 that the study asks for."""
    kinds = list(STUDY["inverse"]["experiment"]["kinds"])
    kinds += ["noises"] if "inversion" in kinds else []
    measured = STUDY["inverse"]["measured"]
    return kinds + (["measured", "spectrum", "residuals"] if measured else [])


def figures():
    """Figures of the study, by the name under which the report shows them."""
    found = {}
    if "tms" in PIPELINES:
        for name in ("losses", "volumes"):
            found[name] = result(f"figures/{name}.png")
        for subject in SHOWN:
            for name in ("alignment", "anatomy", "conductivity", "spread"):
                found[f"{name}_{subject}"] = f"{OUT}/figures/{subject}_{name}.png"
        for subject in COHORT["test"]:
            for name in ("profile", "patches", *(["tables"] if TABLES[1:] else [])):
                found[f"{name}_{subject}"] = f"{OUT}/figures/{subject}_{name}.png"
            found[f"coil_{subject}"] = f"{OUT}/figures/{subject}_coil.png"
            found[f"efield_{subject}"] = f"{OUT}/figures/{subject}_efield.png"
            found[f"difference_{subject}"] = f"{OUT}/figures/{subject}_difference.png"
        found["sagittal"] = result("figures/sagittal.png")
    if "eit" in PIPELINES:
        for subject in HEADS:
            names = ["mesh", "electrodes", "greedy", "bound", "estimates"]
            if STUDY["rom"]["experiment"]["norms"]:
                names += ["convergence", "measures", "stopping", "basis"]
            names += inversion_figures()
            for name in names:
                found[f"{name}_{subject}"] = f"{OUT}/figures/{subject}_{name}.png"
    if "forward" in PIPELINES:
        for subject in HEADS:
            for name in ("mesh", "electrodes", "potential", "thickness"):
                found[f"{name}_{subject}"] = f"{OUT}/figures/{subject}_{name}.png"
    return found


def experiment_tables():
    """Tables of Experiments 2 to 5 that the report reads, by kind."""
    experiment = STUDY["inverse"]["experiment"]
    found = {}
    if "inversion" in experiment["kinds"]:
        found["sweeps"] = "eit/{subject}_inversion.tsv"
        if experiment["baseline_pairs"]:
            found["baselines"] = "eit/{subject}_baseline.tsv"
    for kind in ("references", "disturbances"):
        if kind in experiment["kinds"]:
            found[kind] = f"eit/{{subject}}_{kind}.tsv"
    if "references" in found:
        found["places"] = "eit/{subject}_places.tsv"
    if STUDY["inverse"]["measured"]:
        found["measured_summaries"] = "measured/{subject}_summary.tsv"
        found["measured_records"] = "measured/{subject}_record.json"
        found["measured_estimates"] = "measured/{subject}_estimates.tsv"
    return {
        key: expand(result(f"{{subject}}/{name}"), subject=HEADS)
        for key, name in found.items()
    }


def tables():
    """Tables and records that the report reads, by kind."""
    found = {}
    if "tms" in PIPELINES:
        found["alignments"] = expand(anat("desc-alignment.json"), subject=SHOWN)
        found["facts"] = expand(anat("head.json"), subject=LABELLED)
        found["networks"] = expand(networks("axis-{axis}_history.tsv"), axis=AXES)
        found["scores"] = result("tables/condnet_errors.tsv")
        found.update(generated_only(lens=result("tables/condnet_lens.tsv")))
        found["domains"] = expand(
            result("{subject}/cond/{subject}_domain.json"), subject=SHOWN
        )
        found["globalerror"] = [result("tms/globalerror.tsv")]
        found["peaks"] = expand(
            result("{subject}/tms/{subject}_pos-coil_peaks.tsv"),
            subject=COHORT["test"],
        )
        found["placements"] = expand(
            result("{subject}/tms/{subject}_desc-coil_placement.json"),
            subject=COHORT["test"],
        )
        found["registrations"] = expand(
            anat("desc-mni_transform.json"), subject=COHORT["test"]
        )
        found["warps"] = expand(mni_warp(), subject=COHORT["test"])
        for kind, name in (
            ("efields", "efield.nii.gz"),
            ("tissue_fields", "tissues.tsv"),
        ):
            found[kind] = expand(
                result(f"{{subject}}/tms/{{subject}}_pos-coil_cond-{{model}}_{name}"),
                subject=COHORT["test"],
                model=FIELDS,
            )
        if POSITIONS:
            found["positions"] = expand(
                result("{subject}/tms/{subject}_desc-positions_efield.tsv"),
                subject=COHORT["test"],
            )
    if "eit" in PIPELINES or "forward" in PIPELINES:
        found["qualities"] = expand(
            result("{subject}/head/{subject}_desc-quality.json"), subject=HEADS
        )
    if "forward" in PIPELINES:
        found["residuals"] = expand(
            result("{subject}/forward/{subject}_residuals.tsv"), subject=HEADS
        )
    if "eit" in PIPELINES:
        found["validations"] = expand(
            result("{subject}/rom/{subject}_validation.tsv"), subject=HEADS
        )
        if STUDY["rom"]["experiment"]["norms"]:
            found["convergences"] = expand(
                result("{subject}/rom/{subject}_convergence.tsv"), subject=HEADS
            )
        found["relative_errors"] = expand(
            result("{subject}/eit/{subject}_relativeerror.tsv"), subject=HEADS
        )
        found.update(experiment_tables())
    return found


def kept():
    """What a run makes again where it is missing, beside the report: results that people use."""
    found = [*tables().values(), *figures().values()]
    if "eit" in PIPELINES or "forward" in PIPELINES:
        found.append(
            expand(result("{subject}/head/{subject}_operators.h5"), subject=HEADS)
        )
    if "eit" in PIPELINES:
        for name in ("rom/{subject}_rom.h5", "eit/{subject}_estimates.tsv"):
            found.append(expand(result(f"{{subject}}/{name}"), subject=HEADS))
    return found


def predictions():
    """What is made besides the report: maps in the scans' own grids, and all of a new person."""
    found = []
    for subject in SHOWN if "tms" in PIPELINES else []:
        found += own_maps(subject)
    for subject in SCANS if "predict" in PIPELINES else []:
        found += own_maps(subject)
        found.append(f"{OUT}/{subject}/cond/{subject}_domain.json")
        for name in ("alignment", "anatomy", "conductivity"):
            found.append(result(f"figures/{subject}_{name}.png"))
    return found
