# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
#
# Two commands on a fresh machine with python3-dev, python3-venv, make, g++ and cmake:
#   make demo    compare three ways to run a policy on a simulated robot, over real ROS 2 topics
#   make demo ARGS=--full    run everything at once for two minutes: policy, detector, alerts, bridge, energy, bag
#   make test    run the tests
# Another interpreter, and arguments: make test PYTHON=python3.12 VENV=.venv312 ARGS="-k mailbox"
# The wheels of ROS 2 Kilted, in an environment of their own: make test DISTRO=kilted

PYTHON ?= python3
DISTRO ?= jazzy
SUFFIX := $(if $(filter-out jazzy,$(DISTRO)),-$(DISTRO))
VENV ?= .venv$(SUFFIX)
ARGS ?=

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# A process of another environment made of ROS wheels hands down this mark, which keeps ours from finding its
# libraries (see ros_wheels_bootstrapper in site-packages).
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE

# A sourced ROS installation is used as it is: its rclpy, its messages and the NumPy that they were built for.
ROS := $(if $(ROS_DISTRO),$(shell $(PYTHON) -c 'import rclpy' 2>/dev/null && echo $(ROS_DISTRO)))
ifeq ($(ROS),)
  ifeq ($(filter jazzy kilted,$(DISTRO)),)
    $(error there are wheels of jazzy and kilted, not of DISTRO=$(DISTRO))
  endif
  KIND := wheels$(SUFFIX)
  ROS_EXTRA := ros$(SUFFIX),
  # Half a ROS installation, or one for another Python, must not leak into the environment.
  unexport PYTHONPATH AMENT_PREFIX_PATH COLCON_PREFIX_PATH CMAKE_PREFIX_PATH ROS_DISTRO ROS_VERSION
else
  KIND := $(ROS)
  VENV_FLAGS := --system-site-packages
endif

BIN := $(VENV)/bin
STAMPS := $(VENV)/.lowlat
CREATED := $(STAMPS)/created-$(KIND)

.PHONY: help
help:
	@sed -n 's/^#   make/make/p' $(firstword $(MAKEFILE_LIST))
	@echo "make lint    check style and types"
	@echo "make bench   list the benchmarks; lowlat bench NAME runs one"
	@echo "make release-check    build sdist and wheel, look into them, and run what they install"
	@echo "make clean   delete the environment and all that was built"

.PHONY: demo
demo: $(STAMPS)/demo interfaces
	@$(BIN)/lowlat demo $(ARGS)

.PHONY: test
test: $(STAMPS)/dev interfaces
	@$(BIN)/pytest -n $$(($$(nproc) + 1)) $(ARGS)

.PHONY: lint
lint: $(STAMPS)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: bench
bench: $(STAMPS)/demo
	@$(BIN)/lowlat bench

# In a temporary folder and environments of its own; ARGS="--out dist" keeps the sdist and the wheel.
.PHONY: release-check
release-check:
	@$(PYTHON) -m release.check $(ARGS)

# The message packages that a ROS installation has and the wheels lack; built only where they are missing.
.PHONY: interfaces
interfaces: $(CREATED)
	@$(BIN)/python interfaces/build.py

.PHONY: clean
clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache

# The environment is made anew when ROS was sourced since, or is not any more.
$(CREATED):
	@if compgen -G '$(STAMPS)/created-*' >/dev/null; then rm -rf $(VENV); fi
	@$(PYTHON) -m venv $(VENV_FLAGS) $(VENV) || { \
	  echo "make: no virtual environment; try: apt install python3-venv python3-dev" >&2; exit 1; }
	@mkdir -p $(STAMPS)
	@$(if $(ROS),$(PYTHON) -c 'import numpy; print(f"numpy=={numpy.__version__}")',:) > $(STAMPS)/constraints.txt
	@touch $@

PIP = @echo "installing into $(VENV), $(if $(ROS),beside ROS 2 $(ROS),with ROS 2 $(DISTRO) from wheels)" >&2; \
  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(STAMPS)/constraints.txt

$(STAMPS)/demo: $(CREATED) setup.py pyproject.toml
	$(PIP) -e '.[$(ROS_EXTRA)sim,viz]'
	@touch $@

$(STAMPS)/dev: $(CREATED) setup.py pyproject.toml
	$(PIP) -e '.[$(ROS_EXTRA)dev]'
	@touch $@ $(STAMPS)/demo
