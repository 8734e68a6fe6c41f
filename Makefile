# `make repro` and `make test` work in a fresh clone; the set-up is done once and again only when pyproject.toml changes.
PYTHON ?= python3
BIN := .venv/bin
REAL ?= ../shared
SETS ?= birds,butterflies,flowers,food,monkeys

.PHONY: repro test test-bf16 slow lint docs linkcheck real clean

repro: .venv/ready
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro
	@cat out/report/results.txt

test: .venv/ready
	$(BIN)/pytest -q -n auto --dist worksteal

# The tests that meet `--compute auto` once more, as on a processor that is fast at bf16.
test-bf16: export UDTA_AUTO_ON_CPU = bfloat16
test-bf16: .venv/ready
	$(BIN)/pytest -q -n auto --dist worksteal tests/backbones tests/cli tests/evaluation tests/extraction tests/prediction

slow: .venv/ready
	$(BIN)/pytest -q -n auto --dist worksteal -m "slow and not gpu"

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Warnings are errors, all of them at once; every link inside is followed.
docs: .venv/ready
	$(BIN)/sphinx-build -q -W --keep-going -n -j auto docs build/docs
	@echo build/docs/index.html

# Links to other places, which needs a network.
linkcheck: .venv/ready
	$(BIN)/sphinx-build -q -b linkcheck docs build/linkcheck

# The photograph sets below $(REAL)/real with the MobileNetV2 of $(REAL)/weights; changes `run:` and `paths:` in params.yaml.
real: .venv/ready
	$(BIN)/python stages/select_real.py $(REAL) $(SETS)
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro
	@cat out/report/results.txt

.venv/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("udta needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[repro,parquet,dev]'
	touch .venv/ready

clean:
	rm -rf out stores .venv
