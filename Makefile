# The commands of this project; `make` alone lists them. Everything stays inside .venv.

VENV_PYTHON := .venv/bin/python
PIP := $(VENV_PYTHON) -m pip --no-input --disable-pip-version-check

# Tried in this order; 3.12 and 3.11 come first because kokoro does not install on 3.13.
PYTHON ?= python3.12 python3.11 python3.13 python3
IS_USABLE := import ssl, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))

.PHONY: help
help: ## List the commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1: \2/p' Makefile

.PHONY: playground
playground: .venv/light ## Start the bot on a Discord of its own, in the browser
	@$(VENV_PYTHON) bot.py --playground

.PHONY: run
run: .venv/full ## Start the bot on Discord, with the settings in .env
	@$(VENV_PYTHON) bot.py

.PHONY: full
full: .venv/full ## Install everything the bot can use, Kokoro too

.PHONY: test
test: lint ## Check the style and the types, and run all tests
	$(VENV_PYTHON) -m pytest

.PHONY: lint
lint: .venv/dev ## Check the style and the types
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy .

.PHONY: clean
clean: ## Remove .venv and the caches; data stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each of these files says what was installed last; an unchanged list installs nothing.
.venv/light: requirements-light.txt $(VENV_PYTHON)
	$(PIP) install -r requirements-light.txt
	@touch $@

.venv/full: requirements.txt requirements-light.txt $(VENV_PYTHON)
	$(PIP) install -r requirements.txt
	@touch $@ .venv/light

.venv/dev: requirements-dev.txt requirements-light.txt $(VENV_PYTHON)
	$(PIP) install -r requirements-dev.txt
	@touch $@ .venv/light

# A .venv that does not run (moved, or its Python is gone) is made again.
ifneq ($(shell $(VENV_PYTHON) -c 'import pip; $(IS_USABLE)' 2>/dev/null && echo works),works)
.PHONY: $(VENV_PYTHON)
endif
$(VENV_PYTHON):
	@for python in $(PYTHON); do \
		"$$python" -c '$(IS_USABLE)' 2>/dev/null && break; \
		python=; \
	done; \
	if [ -z "$$python" ]; then \
		echo 'No Python from 3.11 to 3.13 was found: install one (Debian, Ubuntu: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python ...' >&2; \
		exit 1; \
	fi; \
	rm -rf .venv; \
	echo "Making .venv with $$("$$python" --version)"; \
	if "$$python" -c 'import ensurepip' 2>/dev/null; then \
		"$$python" -m venv .venv; \
	else \
		"$$python" -m venv --without-pip .venv && $(call install-pip,"$$python") || { \
			rm -rf .venv; \
			echo "$$python has no pip and none could be fetched: install it (Debian, Ubuntu: apt install python3-venv) and try again." >&2; \
			exit 1; \
		}; \
	fi

# Debian's Python has no ensurepip without python3-venv: use a pip that is there, or fetch it.
define install-pip
{ $(1) -m pip --python $(VENV_PYTHON) --no-input install --quiet pip 2>/dev/null \
	|| $(VENV_PYTHON) -c 'from urllib.request import urlopen; exec(urlopen("https://bootstrap.pypa.io/get-pip.py", timeout=60).read())' --quiet 2>/dev/null; }
endef
