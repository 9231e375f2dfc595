# The commands of the project; `make help` lists them.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& command -v $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready
JOBS ?= 2
LAB := jupyterlab==4.6.6
NEWEST := .venv-newest/bin/python
# What needs the library alone: the test file of each of its modules, the exercises, the studies.
LIBRARY := $(wildcard $(patsubst course_lib/%.py,tests/test_%.py,$(wildcard course_lib/*.py)))
LIBRARY += $(wildcard tests/test_data*.py tests/test_training*.py)
LIBRARY += tests/test_checks.py tests/test_values.py tests/test_studies.py tests/test_setup.py
LIBRARY += $(wildcard tests/test_*_checks.py)
LIBRARY += $(patsubst %,tests/test_grading_%.py,wire grader batch hostile)
PYTEST := -m pytest -n $(JOBS) --dist loadgroup
NBVAL := -m pytest -n $(JOBS) --dist loadfile
# On a core that something else keeps, threads of torch wait for one another: six times the work.
test chapter claims newest: export OMP_NUM_THREADS := 1
# A folder of data becomes an absolute path, because nbval runs in a notebook's folder. By the shell:
# make's own functions split a path at its spaces.
ifneq ($(strip $(COURSE_DATA)),)
FOUND := $(shell CDPATH= cd '$(subst ','\'',$(COURSE_DATA))' 2>/dev/null && pwd)
ifeq ($(FOUND),)
$(error COURSE_DATA names no folder: $(COURSE_DATA). Name one that exists, or leave it unset)
endif
override COURSE_DATA := $(FOUND)
export COURSE_DATA
endif

.DEFAULT_GOAL := help
.PHONY: help setup book serve lab test lint chapter claims notebooks reproducible study new
.PHONY: bench bench-quick publish mirrors corpus newest clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv and install the pinned requirements (the others do it themselves)

$(READY): requirements.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found (with its venv module)."; \
	echo "Install one from python.org or your system's packages (on Debian and Ubuntu also"; \
	echo "python3-venv), or name yours: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Setting up .venv with $(PYTHON) (a few minutes the first time) ..."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear .venv
	@{ $(BIN)/python -m pip install -q --disable-pip-version-check "$$(grep '^torch==' requirements.txt)" && \
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.txt; } || { \
	echo; echo "The install failed; pip's message above says at which package."; \
	echo "Check the connection to the package registry and the free disk space (6 GB),"; \
	echo "then run the same command again: it goes on from there."; exit 1; }
	@touch $@

book: $(READY) ## build the book from nothing, warnings as errors, and say where to open it
	@rm -rf _build
	@$(BIN)/jupyter-book build -q -W --keep-going . || { \
	echo "The book did not build: each warning above is an error. Mend it and run make book."; exit 1; }
	@echo
	@echo "The book is ready. Open  $(CURDIR)/_build/html/index.html"
	@echo "or serve it with  make serve"

serve: $(READY) ## serve the built book on this machine and print the address
	@test -f _build/html/index.html || $(MAKE) --no-print-directory book
	@$(BIN)/python -m tools.serve _build/html

lab: $(READY) ## open the exercises in JupyterLab (installs it into .venv the first time)
	@$(BIN)/python -c 'import jupyterlab' 2>/dev/null || { echo "Installing $(LAB) into .venv ..."; \
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.txt "$(LAB)"; }
	@$(BIN)/jupyter lab exercises

lint: $(READY)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

test: $(READY) lint book ## lint, build, unit tests, page tests, and every notebook against its outputs
	$(BIN)/python $(PYTEST) --doctest-modules course_lib tests --ignore tests/test_pages.py
	$(BIN)/python $(PYTEST) tests/test_pages.py
	$(BIN)/python $(NBVAL) --nbval --nbval-current-env book solutions

chapter: $(READY) lint ## test one chapter, without the pages: make chapter name=02_neuron
	@test -n "$(name)" || { echo "Which chapter? make chapter name=02_neuron"; exit 1; }
	@test -f "book/$(name).md" || { echo "There is no book/$(name).md"; exit 1; }
	@short=$$(echo "$(name)" | cut -c4-); \
	$(BIN)/python $(PYTEST) --doctest-modules course_lib tests --ignore tests/test_pages.py -k "$$short"
	$(BIN)/python $(NBVAL) --nbval --nbval-current-env book/$(name).ipynb solutions/$(name).ipynb

claims: $(READY) ## as make test for another system: claims are asserted, numbers are not compared
	$(BIN)/python $(PYTEST) -m "not stored" --doctest-modules course_lib tests --ignore tests/test_pages.py
	$(BIN)/python $(NBVAL) --nbval-lax --nbval-current-env book solutions

notebooks: $(READY) ## run the chapters and write the generated files (one: make notebooks name=02_neuron)
	$(BIN)/python -m tools.notebooks $(name)
	$(BIN)/python -m tools.ledger

reproducible: $(READY) ## generate all notebooks twice and compare the bytes
	$(BIN)/python -m tools.reproducible

study: $(READY) ## measure a study anew: make study name=neuron [seeds=10] [device=cuda]
	@test -n "$(name)" || { echo "Which study? make study name=neuron"; exit 1; }
	$(BIN)/python -m course_lib.studies $(name) $(if $(seeds),--seeds $(seeds)) $(if $(device),--device $(device))

bench: $(READY) ## everything timed beside its peers, into the book (an hour; installs them): make bench [only="loop lenet"]
	$(BIN)/python -m benchmarks $(only)

bench-quick: $(READY) ## a look at the same in three minutes; nothing is written
	$(BIN)/python -m benchmarks --quick $(only)

new: $(READY) ## lay out a new chapter: make new name=88_lighthouse [title="A lighthouse"]
	@test -n "$(name)" || { echo "Which chapter? make new name=88_lighthouse"; exit 1; }
	@$(BIN)/python -m tools.new $(name) $(if $(title),--title "$(title)")

publish: $(READY) ## push the stamped notebooks: make publish remote=origin (the workflow does it)
	@test -n "$(remote)" || { echo "Where to? make publish remote=origin"; exit 1; }
	$(BIN)/python -m tools.publish --remote "$(remote)"

mirrors: $(READY) ## fetch anew what comes from other servers, and compare the checksums
	@$(BIN)/python -m tools.vendor; fonts=$$?; $(BIN)/python -m tools.mirrors && exit $$fonts

corpus: $(READY) ## take a new snapshot of the book's prose, which language models learn from
	$(BIN)/python -m tools.corpus

newest: ## make claims with the newest versions that pyproject.toml allows, in .venv-newest
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found"; exit 1; }
	"$(PYTHON)" -m venv --clear .venv-newest
	$(NEWEST) -m pip install -q --disable-pip-version-check --upgrade -e '.[test]'
	$(NEWEST) -m pip list --disable-pip-version-check
	$(NEWEST) $(PYTEST) -m "not stored" --doctest-modules course_lib $(LIBRARY)
	$(NEWEST) $(NBVAL) --nbval-lax --nbval-current-env book solutions

clean: ## remove what was built and installed
	rm -rf .venv .venv-newest .venv-peers _build
