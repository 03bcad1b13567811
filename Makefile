# make demo    set up, and look at a real photo
# make test    set up everything, and run the tests
# make lint    format, lint, types and the import rule
# make check   lint and test: what must pass before a commit
# make -j2 weights DATA=fer2013.zip VOTES=ferplus_votes.csv
#              train the shipped weights again, into runs/averaged: a thread for each of the two seeds; called again, it goes on

PYTHON ?= python3
# Where PyTorch's own index can be reached, its CPU build saves gigabytes:
#   make test PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_ARGS ?=

SEEDS = 21 22
SECOND_GENERATION = ba9f32e

.PHONY: demo test lint check weights clean

demo: .venv-demo/ready
	.venv-demo/bin/cmaen inference --image examples/astronaut.png --annotated annotated.png --output faces.json

test: .venv/ready
	.venv/bin/python -m pytest

lint: .venv/ready
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

check: lint test

weights: runs/averaged/card.json

runs/averaged/card.json: $(SEEDS:%=runs/shipped-%/best/card.json)
	.venv/bin/cmaen average $(^:%/card.json=--checkpoint %) --output $(@D) --data $(DATA)
	.venv/bin/cmaen export --checkpoint $(@D) --precision int8 --data $(DATA)
	.venv/bin/cmaen calibrate --checkpoint $(@D) --data $(DATA)

runs/shipped-%/best/card.json: runs/second-generation/card.json .venv/ready
	OMP_NUM_THREADS=1 .venv/bin/cmaen train --config configs/shipped.yaml --data $(DATA) --votes $(VOTES) --seed $* \
	    --output runs/shipped-$* $(if $(wildcard runs/shipped-$*/last.ckpt),--resume)

runs/second-generation/card.json:
	mkdir -p $(@D)
	git archive $(SECOND_GENERATION) src/cmaen/weights | tar x -m -C $(@D) --strip-components 3

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
