# A virtual environment of its own, with exact versions; every target builds it first if needed.
PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
PYTEST := $(VENV)/bin/pytest --numprocesses auto --maxprocesses 4

# PyTorch without CUDA, gigabytes less: installed on Linux where there is no NVIDIA driver. If it
# cannot be reached within seconds, or is empty, the default build is installed.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

# 1 takes a few minutes on two cores; 10 makes ten times as many kills and fuzzed files.
CAMPAIGN_LENGTH ?= 1

# Else each of the tests' processes would compile all modules to bytecode again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: train test campaign test-device coverage docs docs-site lint types bench quality dist clean

train: $(INSTALLED)
	$(VENV)/bin/sinernn train configs/default.yaml

# tests/unit and tests/integration: what every change must pass.
test: $(INSTALLED)
	$(PYTEST)

# tests/campaign, and what is marked `campaign`: kills, faults, hostile files, many examples.
campaign: $(INSTALLED)
	$(VENV)/bin/pip install --constraint constraints.txt --editable '.[ray,mlflow]'
	CAMPAIGN_LENGTH=$(CAMPAIGN_LENGTH) $(PYTEST) -m campaign tests

# tests/device, where a device is present.
test-device: $(INSTALLED)
	$(VENV)/bin/pytest tests/device

coverage: $(INSTALLED)
	$(PYTEST) --cov --cov-report=term:skip-covered

# Generates the reference of the commands; runs the commands of the pages, and stores the figures
# that they show.
docs: $(INSTALLED)
	$(VENV)/bin/python docs/reference.py
	$(VENV)/bin/python docs/pages.py

# The documentation as a site of HTML files, in site/; a warning is an error.
docs-site: $(INSTALLED)
	$(VENV)/bin/mkdocs build

lint: $(INSTALLED)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

types: $(INSTALLED)
	$(VENV)/bin/pyright

bench: $(INSTALLED)
	$(VENV)/bin/pip install --constraint constraints.txt --editable '.[bench]'
	$(VENV)/bin/python benchmarks/speed.py
	$(VENV)/bin/python benchmarks/commands.py
	$(VENV)/bin/python benchmarks/listing.py
	$(VENV)/bin/python benchmarks/sweeps.py --memory 100 --memory 1000

quality: $(INSTALLED)
	$(VENV)/bin/pip install --constraint constraints.txt --editable '.[peers]'
	$(VENV)/bin/python benchmarks/quality.py --peers

# Wheel and sdist in dist/, the same bits from the same files.
dist: $(INSTALLED)
	$(VENV)/bin/python -m hatchling build --clean

clean:
	rm -rf $(VENV)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@if [ "$$(uname)" = Linux ] && [ -n "$(TORCH_INDEX)" ] && [ ! -e /proc/driver/nvidia/version ] \
		&& ! command -v nvidia-smi >/dev/null; then \
		$(VENV)/bin/pip install --constraint constraints.txt --no-deps --timeout 10 --retries 0 \
			--index-url "$(TORCH_INDEX)" torch \
		|| echo "no PyTorch from $(TORCH_INDEX); installing the default build"; \
	fi
	$(VENV)/bin/pip install --constraint constraints.txt --editable '.[dev]'
	touch $@
