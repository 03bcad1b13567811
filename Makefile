# make demo    set up and look at a real photo
# make test    set up everything and run the tests
# make check   what must pass before a commit: format, lint, types, import rule, tests

PYTHON ?= python3
# Where PyTorch has a CPU index it saves gigabytes: make test PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_ARGS ?=

.PHONY: demo test check clean

demo: .venv-demo/ready
	.venv-demo/bin/cmaen inference --image examples/astronaut.png --annotated annotated.png --output faces.json

test: .venv/ready
	.venv/bin/python -m pytest

check: .venv/ready
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/python -m pytest

.venv-demo/ready: pyproject.toml
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/python -m pip install --quiet $(PIP_ARGS) -e ".[detect]"
	touch $@

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet $(PIP_ARGS) -e ".[detect,dev]"
	touch $@

clean:
	rm -rf .venv .venv-demo
