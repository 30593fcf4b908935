# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# mypy knows nothing of setuptools' package-dir: it gets the installed shape as a tree of links.
TYPED := build/typed

.PHONY: install demo tensorflow test test-devices check format clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "edgeeff needs Python 3.11 or later; say make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[all]' $(DEV)
	touch $(STAMP)

# What the tests and checks run with; the versions are in constraints.txt.
DEV := pytest pytest-xdist hypothesis selenium scikit-learn mypy ruff build

demo: install
	$(BIN)/edgeeff convert --variant lite0 --variant b0 --format onnx --format tflite
	$(BIN)/edgeeff bench --device host
	$(BIN)/edgeeff report

# TensorFlow for --via tensorflow, 1.5 GB: the tests that need it run where it is there, and in CI.
tensorflow: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[tensorflow]'

# A process a core.
test: install
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

# Devices of another architecture, under qemu: takes Debian, root, sshd (openssh-server) and Linux 6.7. What else they
# need (some 200 MB) is fetched into build/devices; nothing is installed.
test-devices: install
	$(BIN)/python tests/devices/prepare.py build/devices
	EDGEEFF_TEST_DEVICES=build/devices $(BIN)/python -m pytest tests/devices

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf $(TYPED) && mkdir -p $(TYPED)/edgeeff
	ln -s $(abspath $(wildcard edgeeff/*) converters devices benchmarks) $(TYPED)/edgeeff/
	cd $(TYPED) && $(abspath $(BIN))/mypy --config-file $(abspath pyproject.toml) --cache-dir $(abspath .mypy_cache) -p edgeeff

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info
