# Thimble: the workshop's targets. `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

# The text as it was typed: a dollar sign in it is not make's.
ifdef ASK
override export ASK := $(value ASK)
endif

.PHONY: help run figures membench audit soak chaos fuzz
.PHONY: qemu size flash setup configure backup restore erase firmware test lint clean
help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 …" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "Python's venv is missing: apt-get install python3-venv" >&2; exit 1; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

run: $(STAMP) ## talk to the firmware [ASK="text"] [CONFIG=file] [ROOT=dir] [HEAP=176k] [PROFILE=pico_w] [CODE=rom|mpy|frozen]
	@exec $(BIN)/python -m tools.run $(if $(filter-out undefined,$(origin ASK)),--ask) \
	  $(if $(CONFIG),--config '$(CONFIG)') $(if $(ROOT),--root '$(ROOT)') \
	  $(if $(HEAP),--heap $(HEAP)) $(if $(PROFILE),--profile $(PROFILE)) $(if $(CODE),--code $(CODE))

figures: $(STAMP) ## the figures of the README, beside the naive bot [ARGS="heap rom mpy frozen long scan start instructions trim"]
	@$(BIN)/python -m tools.bench.figures $(ARGS)

membench: $(STAMP) ## memory stage by stage, beside the naive bot [BURST=1000] [ARGS="--all"]
	@$(BIN)/python -m tools.bench.membench $(if $(BURST),--burst $(BURST)) $(ARGS)

audit: $(STAMP) ## what a message allocates, by stage, file and function [ARGS="--messages 200"]
	@$(BIN)/python -m tools.bench.audit $(ARGS)

soak: $(STAMP) ## random messages, and what is left of the heap behind them [MESSAGES=10000]
	@$(BIN)/python -m tools.bench.soak $(if $(MESSAGES),--messages $(MESSAGES)) $(ARGS)

chaos: $(STAMP) ## what the network can do wrong, done to running relays; prints tables [ARGS="faults storm soak people"]
	@$(BIN)/python -m tools.chaos $(ARGS)

fuzz: $(STAMP) ## odd and broken input for every reader [MINUTES=1] [SEED=] [ARGS="scan sse http …"]
	@$(BIN)/python -m tools.fuzz --minutes $(or $(MINUTES),1) $(if $(SEED),--seed $(SEED)) $(ARGS)

qemu: $(STAMP) ## an emulated board (Cortex-M3) with the firmware frozen; says how mpremote connects
	@exec $(BIN)/python -m tools.qemu

size: $(STAMP) ## bytes of flash and heap that each frozen module takes (Cortex-M3)
	@$(BIN)/python -m tools.size

flash: $(STAMP) ## the firmware onto a board with stock MicroPython BOARD=esp32_s3|pico_w|qemu [PORT=…]
	@exec $(BIN)/python -m tools.flash $(BOARD) $(if $(PORT),--port '$(PORT)')

backup: $(STAMP) ## a board's configuration, journal and conversations into FILE= (secrets too) [PORT=…]
	@exec $(BIN)/python -m tools.backup save --file '$(FILE)' $(if $(PORT),--port '$(PORT)')

restore: $(STAMP) ## puts back what make backup saved FILE= [PORT=…]
	@exec $(BIN)/python -m tools.backup restore --file '$(FILE)' $(if $(PORT),--port '$(PORT)')

erase: $(STAMP) ## removes configuration, journal and conversations from a board [PORT=…]
	@exec $(BIN)/python -m tools.backup erase $(if $(PORT),--port '$(PORT)')

setup: $(STAMP) ## the wizard that a board has on its serial line, for a file here [CONFIG=thimble.json] [SECTION=model]
	@exec $(BIN)/python -m tools.run --config '$(or $(CONFIG),thimble.json)' --setup $(SECTION)

configure: $(STAMP) ## a board's configuration without a person CONFIG=file [PORT=…] [FORCE=1]
	@exec $(BIN)/python -m tools.configure '$(CONFIG)' $(if $(PORT),--port '$(PORT)') $(if $(FORCE),--force)

PORT_esp32_s3 := esp32
PORT_pico_w := rp2
IMAGE = build/image/$(BOARD)$(if $(BOARD_VARIANT),-$(BOARD_VARIANT))
# mpy-cross comes first: the port would build it as well, but with the BUILD and the manifest that
# are meant for the port. A folder that was made for another source tree would go on building that.
firmware: ## an image with the firmware frozen BOARD=esp32_s3|pico_w MPY_DIR=… [BOARD_VARIANT=SPIRAM_OCT]
	@test -n '$(PORT_$(BOARD))' || { echo "say which: BOARD=esp32_s3 or pico_w" >&2; exit 1; }
	@test -f '$(MPY_DIR)/py/mkrules.cmake' || \
	  { echo "MPY_DIR= is to be a source tree of MicroPython 1.26 or newer" >&2; exit 1; }
	@case "$(CURDIR)$$(realpath '$(MPY_DIR)')" in *\ *) \
	  echo "make builds nothing below a path with a space in it: move $(CURDIR) or $(MPY_DIR)" >&2; \
	  exit 1;; esac
	@grep -qsxF 'CMAKE_HOME_DIRECTORY:INTERNAL=$(realpath $(MPY_DIR))/ports/$(PORT_$(BOARD))' \
	  $(IMAGE)/CMakeCache.txt || rm -rf $(IMAGE)
	@$(MAKE) -C '$(MPY_DIR)/mpy-cross'
	@$(MAKE) -C '$(MPY_DIR)/ports/$(PORT_$(BOARD))' BOARD_DIR='$(CURDIR)/boards/$(BOARD)' \
	  FROZEN_MANIFEST='$(CURDIR)/boards/$(BOARD)/manifest.py' BUILD='$(CURDIR)/$(IMAGE)'
	@echo "the image stands in $(IMAGE): firmware.uf2 or firmware.bin"

# More at a time than most machines have cores: a good part of the tests waits.
WORKERS ?= 3
test: $(STAMP) ## everything that CI tests [ARGS="-k name -x"] [WORKERS=3]
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

lint: $(STAMP) ## ruff for all Python, mpy-cross over firmware/ for every architecture
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python -m tools.lint

clean: ## remove what was built (downloads stay in .cache)
	rm -rf build $(VENV) .pytest_cache .ruff_cache .hypothesis
	find tools host_tests firmware -name __pycache__ -prune -exec rm -rf {} +
