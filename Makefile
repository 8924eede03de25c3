# headcond: `make run` runs the default study, `make test` the tests; `make help` lists all targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
STUDY ?=
PROFILE ?= default
CORES ?= $(shell nproc)
ARGS ?=
SUBJECT ?= sub-new
STEPS ?= 5

export PATH := $(abspath $(VENV))/bin:$(PATH)
# Ranks and side-by-side jobs share the cores; nested BLAS threads would fight over them.
export OPENBLAS_NUM_THREADS ?= 1
# Thread counts of the tests, so that a busy machine does not stall in OpenMP barriers.
TEST_THREADS := OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1

STUDY_FILES := $(if $(STUDY),--configfile $(STUDY))
PYTHON_FILES := src scripts tests benchmarks workflow envs docs
SNAKE_FILES := Snakefile workflow/rules

.PHONY: help setup run predict estimate verify test test-slow test-slurm test-faults lint format docs lock \
	licences audit clean distclean

# On a cluster the profile says how many jobs run at once; cores here are those of the login node.
CORE_LIMIT := $(if $(filter default,$(PROFILE))$(filter-out file,$(origin CORES)),--cores $(CORES))

help: ## Show this list
	@echo "make TARGET [STUDY=studies/x.yaml] [PROFILE=default|slurm] [CORES=n] [ARGS='...']"
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 16

setup: ## Make the virtual environment (the other targets call it)
	@envs/install.sh $(VENV)

run: setup ## Run a study (STUDY, PROFILE, CORES, ARGS for Snakemake) and print the path of its report
	@python -m headcond.study.config config.yaml $(STUDY) > /dev/null
	@snakemake --workflow-profile profiles/$(PROFILE) $(CORE_LIMIT) $(STUDY_FILES) $(ARGS)
	@echo "Report: $$(python -m headcond.study.config config.yaml $(STUDY))"

predict: setup ## Conductivity of a new person (NETWORKS=folder T1=file T2=file OUT=folder, SUBJECT)
	@python -m headcond.study.prediction "$(NETWORKS)" "$(T1)" "$(T2)" "$(OUT)" "$(SUBJECT)"
	@snakemake --workflow-profile profiles/$(PROFILE) $(CORE_LIMIT) --configfile "$(OUT)/study.yaml" $(ARGS)
	@echo "Conductivity: $(OUT)/$(SUBJECT)/cond, pictures: $(OUT)/figures"
	@! grep -q '"outside": true' "$(OUT)/$(SUBJECT)/cond/$(SUBJECT)_domain.json" || \
		echo "WARNING: these scans are OUTSIDE the training domain (see $(OUT)/$(SUBJECT)/cond/$(SUBJECT)_domain.json)"

estimate: setup ## Conductivities from your own voltages (MEASUREMENT=table MODEL=rom.h5 OUT=folder, ARGS)
	@python scripts/inverse/estimate.py "$(MEASUREMENT)" "$(MODEL)" "$(OUT)" $(ARGS)
	@echo "Estimates: $(OUT)/summary.tsv and estimates.tsv, pictures next to them, choices in record.json"

verify: setup ## Run STEPS (5) steps of a finished study again elsewhere and compare the results
	@python workflow/verify.py --steps $(STEPS) --cores $(CORES) config.yaml $(STUDY)

test: setup ## Run the tests (slow ones excluded)
	@$(TEST_THREADS) python -m pytest -m "not slow and not slurm and not faults" $(ARGS)

test-slow: setup ## Run the slow tests
	@$(TEST_THREADS) python -m pytest -m "slow and not slurm and not faults" $(ARGS)

test-slurm: setup ## Run a small study through a Slurm of one node (root installs it by apt-get)
	@$(TEST_THREADS) python -m pytest -m slurm tests/workflow $(ARGS)

test-faults: setup ## Kill jobs, fill disks and break files of a small study; it must recover
	@$(TEST_THREADS) python -m pytest -m faults tests/workflow $(ARGS)

lint: setup ## Check style: ruff, snakefmt, snakemake --lint
	@ruff check $(PYTHON_FILES)
	@ruff format --check $(PYTHON_FILES)
	@snakefmt --check $(SNAKE_FILES)
	@snakemake --lint

docs: setup ## Build the documentation into site/ (no network; a dead link is an error)
	@NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet
	@echo "Documentation: site/index.html"

format: setup ## Format the code: ruff, snakefmt
	@ruff check --fix $(PYTHON_FILES)
	@ruff format $(PYTHON_FILES)
	@snakefmt $(SNAKE_FILES)

lock: setup ## Compile pyproject.toml and requirements.in into requirements.lock
	@envs/lock.sh $(VENV)

licences: setup ## Write docs/reference/licences.md: packages and data, from what is installed
	@python envs/licences.py

audit: setup ## Check every locked package against the advisories of PyPI (needs a network)
	@python -m uv tool run pip-audit --strict --no-deps --disable-pip -r requirements.lock

clean: ## Remove results and caches; the virtual environment stays
	@rm -rf results site .snakemake .pytest_cache .ruff_cache .hypothesis build lightning_logs
	@find src scripts tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Remove the virtual environment too
	@rm -rf $(VENV)
