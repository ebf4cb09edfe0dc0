# Everything runs through .venv and the lab (.venv/bin/python -m lab); `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m
NAME ?= stackroles
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help venv demo test lint type generate verify unit apiserver e2e long soak build images upgrade cluster clean mutants requirements

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# the environment is made again when what is asked of it changes
$(VENV)/.made: requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-index --no-build-isolation -e .
	@touch $@

venv: $(VENV)/.made ## make the Python environment in .venv

demo: $(VENV)/.made ## from nothing to a cloud that runs a guest, with a live view
	@$(RUN) lab demo --name $(NAME)

test: $(VENV)/.made ## every test slice within its budget: build, unit and apiserver, bring-up, the core end to end, some areas, one long case
	@$(RUN) lab test

lint: $(VENV)/.made ## style of Python and Go, and the direction of imports
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(VENV)/bin/lint-imports
	$(RUN) lab gofmt

type: $(VENV)/.made ## static types
	$(RUN) mypy

generate: $(VENV)/.made ## write what is generated: CRDs, RBAC, install.yaml, docs/api.md, docs/rollouts.md
	@$(RUN) lab bin > /dev/null && eval "$$($(RUN) lab env)" && $(RUN) stackroles.codegen

verify: $(VENV)/.made ## fail when a generated file is stale
	@$(RUN) lab bin > /dev/null && eval "$$($(RUN) lab env)" && $(RUN) stackroles.codegen --check

unit: $(VENV)/.made ## unit tests
	$(RUN) pytest tests/unit -n 2 -q

apiserver: $(VENV)/.made ## tests against a real API server and etcd
	$(RUN) pytest tests/apiserver -q

e2e: $(VENV)/.made ## the core and some areas on a cluster of their own, made anew
	$(RUN) lab test --slice build --slice bring-up --slice e2e --slice areas

long: $(VENV)/.made ## every area and long case on the tests' cluster, made anew; writes docs/long-cases.md
	$(RUN) lab test --slice build --slice bring-up
	$(RUN) lab long

soak: $(VENV)/.made ## the fault campaign on the running cluster NAME, or what is left of it; SEED, MINUTES, CYCLES
	@$(RUN) lab soak --name $(NAME) $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(CYCLES),--cycles $(CYCLES))

build: $(VENV)/.made ## programs, node image, operator and role images
	@$(RUN) lab build

images: $(VENV)/.made ## build the images and give the running cluster those it does not have
	@$(RUN) lab images build
	@$(RUN) lab images load --name $(NAME)

upgrade: $(VENV)/.made ## give the running operator and its roles this checkout: images, then the chart
	@$(RUN) lab upgrade --name $(NAME)

cluster: $(VENV)/.made ## three nodes with an underlay network and an audit log
	@$(RUN) lab cluster up --name $(NAME)

mutants: $(VENV)/.made ## faults put into the database's decisions, one at a time: how many of them its tests find
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --upgrade --target build/mutants/site --require-hashes -r requirements/mutants.txt
	@$(RUN) lab mutants

requirements: $(VENV)/.made ## write requirements/dev.txt and mutants.txt anew from pyproject.toml
	$(RUN) lab requirements

clean: $(VENV)/.made ## stop and remove what the project started; CACHES=1 also removes what it built
	@$(RUN) lab clean $(if $(CACHES),--caches)
