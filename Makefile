# Each target makes what it needs in .venv (or .venv-backends); nothing else is touched.
PYTHON ?= python3
VENV ?= .venv
BACKENDS ?= .venv-backends
# The CPU build. Where the package index offers only the CUDA one, name an index of CPU wheels in
# PIP_EXTRA_INDEX_URL and TORCH=torch==2.13.0+cpu.
TORCH ?= torch==2.13.0

.PHONY: demo check lint types test test-backends test-jax test-torch test-matrix coverage package
.PHONY: docs bench clean

demo: $(VENV)/installed
	$(VENV)/bin/python train.py

# What a change passes before it is sent.
check: lint types test test-backends

test: $(VENV)/installed-dev
	$(VENV)/bin/python -m pytest --long

# Other Pythons, lowest and newest versions, then the other backends. CELLS and TESTS narrow it
# down: make test-matrix CELLS=lowest TESTS="-q tests/yolo".
test-matrix: $(VENV)/installed-dev
	$(VENV)/bin/python tests/matrix.py $(CELLS) -- $(TESTS)
	$(if $(CELLS),,$(MAKE) test-backends)

# make -j 2 -O test-backends runs both side by side.
test-backends: test-jax test-torch

test-jax: $(BACKENDS)/installed
	KERAS_BACKEND=jax $(BACKENDS)/bin/python -m pytest -c setup.cfg tests/keras_focal tests/backends

test-torch: $(BACKENDS)/installed
	KERAS_BACKEND=torch $(BACKENDS)/bin/python -m pytest -c setup.cfg tests/keras_focal tests/backends \
	  tests/yolo/weights/test_torchvision.py

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

# The pages of docs/, with the README in front, into site/. Only the installation needs a network.
docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet

bench: $(VENV)/installed
	$(VENV)/bin/python -m benchmarks

types: $(VENV)/installed-dev
	$(VENV)/bin/mypy

# What the tests reach, the commands they start included; a line for each file that is not whole.
coverage: $(VENV)/installed-dev
	$(VENV)/bin/coverage erase
	$(VENV)/bin/coverage run -m pytest --long
	$(VENV)/bin/coverage combine --quiet
	$(VENV)/bin/coverage report

# Wheel and source archive in dist/; then the wheel with all it needs in an empty environment, and
# a training in an empty folder.
package: $(VENV)/installed-dev
	rm -rf build dist
	$(VENV)/bin/python -m build
	bash tests/package.sh $(PYTHON) dist/*.whl

clean:
	rm -rf $(VENV) $(BACKENDS) .venv-matrix build dist site *.egg-info .mypy_cache .coverage*

$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(VENV)/bin/pip install -e ".[dev]"
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(VENV)/bin/pip install -e ".[docs]"
	touch $@

$(BACKENDS)/installed: setup.cfg
	$(PYTHON) -m venv $(BACKENDS)
	@if $(BACKENDS)/bin/pip install --dry-run $(TORCH) | grep -qi nvidia; then \
	  echo "$(TORCH) would bring gigabytes of CUDA: see TORCH in the Makefile"; exit 1; fi
	$(BACKENDS)/bin/pip install "keras>=3.12" "numpy>=2" matplotlib "pytest>=8.1" "pytest-xdist>=3.8" jax $(TORCH) \
	  opencv-python-headless faster-coco-eval
	touch $@
