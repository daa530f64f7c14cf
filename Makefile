# make demo | test | soak | lint | docs | bench | bench-accuracy | model | clean
#
# One virtual environment in .venv, filled in two steps: the device's part (all that `make demo` needs), and on
# top of it the training side and the developers' tools. Each step leaves a stamp and is done once.
#
# make test-pi, as root, tests the device's part on an emulated Raspberry Pi.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEVICE := $(VENV)/.device
WEB := $(VENV)/.web
DEV := $(VENV)/.dev

MINUTES ?= 60
KILLS ?= 1000

.PHONY: demo test soak pins lint docs typecheck bench bench-accuracy model real-model moisture ore-model clean

# `make demo PAGE=1` ends with the address of a page for a phone, and serves it until Ctrl-C.
PAGE ?=

demo: $(DEVICE) $(if $(PAGE),$(WEB))
	$(BIN)/stibium demo $(if $(PAGE),--page)

# Four at a time on two cores: most tests wait for a port or a process. `make test TESTS=tests/edge/gates JOBS=1` for a part.
# A process that dies ends the run by the name of its test: xdist would put another in its place and, where the last tests
# were running, wait for it for ever.
JOBS ?= 4
TESTS ?=

test: $(DEV)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup --max-worker-restart 0 $(TESTS)

# The fault tests for as long as a day in the field: an hour of replay with mishaps every few seconds, 1,000 kills, 10,000
# measurements in a row, 10,000 files at once. `make soak MINUTES=5 KILLS=100` for a shorter one. First the property tests, with
# examples that nobody has seen: `make test` tries the same ones each time.
soak: $(DEV)
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m hypothesis --hypothesis-profile search --ignore tests/pi tests
	$(BIN)/python tests/hil/soak.py --minutes $(MINUTES) --kills $(KILLS) $(OPTIONS)

# The device's dependencies with their hashes, for install.sh; `make lint` looks whether they fit pyproject.toml.
pins: $(DEV)
	$(BIN)/python firmware_configs/raspberrypi/pin.py $(OPTIONS)

lint: $(DEV) typecheck
	$(BIN)/python firmware_configs/raspberrypi/pin.py --check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Neither a type checker nor import-linter follows an editable install of mapped folders: each gets the package's real
# shape, the linter without the root module, so that the folders are roots of their own.
typecheck: $(DEV)
	@rm -rf build/tree && mkdir -p build/tree/types/stibium build/tree/imports/stibium
	@for p in train edge converters firmware_configs; do for t in types imports; do \
		ln -s "$(CURDIR)/$$p" build/tree/$$t/stibium/$$p; done; done
	@ln -s "$(CURDIR)/edge/api/__init__.py" "$(CURDIR)/edge/api/py.typed" build/tree/types/stibium/
	MYPYPATH=build/tree/types $(BIN)/mypy --config-file pyproject.toml -p stibium
	PYTHONPATH=build/tree/imports $(BIN)/lint-imports --no-cache

# The documentation as a site, in build/docs: strict, the tutorial run, every link within it checked; two minutes.
docs: $(DEV)
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "build/docs/index.html"

bench: $(DEV)
	$(BIN)/python benchmarks/run.py

# Models against each other on real soils; OPTIONS='--sets CV.98 --fast' and the like. Soil data that cannot be had are
# reported as skipped.
bench-accuracy: $(DEV)
	-$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python benchmarks/accuracy.py $(OPTIONS)
	$(BIN)/python benchmarks/published_folds.py $(FOLDS_OPTIONS)

# Makes the shipped bundle and demo samples again from nothing: simulate, train, export.
model: $(DEV)
	$(BIN)/python -m stibium.train.ship

# The demonstration's model of real soils, from the survey's table (SOILS=FILE); some minutes.
SOILS ?=
real-model: $(DEV)
	$(BIN)/python -m stibium.train.ship_real $(SOILS)

# The device's part on an emulated Raspberry Pi: needs root, Debian and a network. Its Debian is built once, in some
# minutes, and kept in ~/.cache/stibium; `make test` uses it from then on.
.PHONY: test-pi
test-pi: $(DEV)
	STIBIUM_PI=build $(BIN)/python -m pytest tests/pi

# Makes the shipped differences of wet and dry soils again, from the table of soils that SOILS names.
moisture: $(DEV)
	$(BIN)/python -m stibium.train.ship_moisture $(SOILS)

# The same for the shipped model of ore or gangue; a quarter of an hour.
ore-model: $(DEV)
	$(BIN)/python -m stibium.train.ore.ship

# pip says what it collects, so that nobody takes minutes of installing for a hang.
$(DEVICE): pyproject.toml
	@echo "Installing the device's part into $(VENV) (NumPy, a TFLite runtime, pyserial, click); half a minute."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --progress-bar off --disable-pip-version-check --editable .
	@touch $@

$(WEB): $(DEVICE)
	$(BIN)/python -m pip install --progress-bar off --disable-pip-version-check --editable '.[web]'
	@touch $@

$(DEV): $(DEVICE)
	@echo "Installing the training side and the developers' tools (TensorFlow among them); about three minutes."
	$(BIN)/python -m pip install --progress-bar off --disable-pip-version-check --editable '.[train,dev]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
