# make test     a Torch environment from nothing, without TensorFlow; make parity and, if it is green, the whole suite
# make parity   the quick loop: the port against every golden, except those that train
# make golden   a TensorFlow environment from nothing; recomputes every golden and says what moved
# make confirm PTYCHOPINN=DIR  an environment for TensorFlow PtychoPINN from nothing; records which goldens its checkout in DIR computes
# make lint     style, types, import contracts, digests, shapes in signatures
# make bench    reassembly, comparison and loading beside their peers; diagnosis beside comparison; tolerances
# make bench-network  the network beside TensorFlow's; makes both environments
# make bench-run      the long run's epochs and inference beside TensorFlow's; makes both environments
# make bench-parts    what a step of the network consists of, in float32 and in bfloat16
# make kernels  the goldens under every instruction set that the processor has: the port's kernels, then TensorFlow's
# make mutation  changes every line of the port's operators, network and training in every way, and checks that a test fails
# make torture  20,000 corrupt goldens and 3,000 bundles read, the generator killed 200 times, programs interrupted 100 times;
#               half an hour
# make long     the golden of the long run: TensorFlow trains three times, for 11 minutes each; after an interruption it continues
# make ptychodus  a real client: Ptychodus writes a scan, the port reconstructs it, Ptychodus reads the product
# make star     a measured scan through both; needs PTYCHO_GOLDEN_DATA=DIR
# ARGS are passed on: make test ARGS='-k reassembly' (then in one run), make golden ARGS='probe/*'

PYTHON ?= python3
TORCH := .venv-torch
TENSORFLOW := .venv-tensorflow
CONFIRM := .venv-ptychopinn
PTYCHODUS := .venv-ptychodus
LONG := --cases golden.ptychopinn.run.long --fixtures golden/long_fixtures
STAR := --cases tests.external.star --fixtures .artifacts/star

.PHONY: test parity torch-only golden confirm checkout lint bench bench-network bench-run bench-parts kernels mutation torture long star ptychodus clean

# Whoever narrows the run sees one run.
test: $(if $(ARGS),torch-only,parity)
	$(TORCH)/bin/python -m pytest $(or $(ARGS),-n 2)

parity: torch-only
	$(TORCH)/bin/python -m pytest -q -m 'golden and not integration' $(ARGS)

torch-only: $(TORCH)/made
	@if $(TORCH)/bin/python -c 'import tensorflow' 2>/dev/null; then \
		echo 'TensorFlow is installed in $(TORCH); the suite must run without it'; exit 1; fi

golden: $(TENSORFLOW)/made
	$(TENSORFLOW)/bin/python -m pytest -c tests/tensorflow.ini tests/reference -q
	$(TENSORFLOW)/bin/python generate_golden.py $(ARGS)

# A link to the package alone: the checkout has a tests and a ptycho_torch of its own.
confirm: checkout $(CONFIRM)/made
	@ln -sfn "$$(cd '$(PTYCHOPINN)' && pwd)/ptycho" \
		"$$($(CONFIRM)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ptycho"
	$(CONFIRM)/bin/python generate_golden.py --cross-check ptycho --slow --record $(ARGS); \
		status=$$?; $(CONFIRM)/bin/python -m docs.confirmed; exit $$status

checkout:
	@test -f '$(PTYCHOPINN)/ptycho/__init__.py' || { echo \
		'make confirm PTYCHOPINN=DIR: expected the checkout of PtychoPINN, a folder that holds ptycho'; exit 2; }

lint: $(TORCH)/made
	$(TORCH)/bin/ruff format --check .
	$(TORCH)/bin/ruff check .
	$(TORCH)/bin/mypy
	$(TORCH)/bin/lint-imports
	$(TORCH)/bin/golden verify
	$(TORCH)/bin/golden verify $(LONG)
	$(TORCH)/bin/python -m pytest -q tests/torch -m golden --jaxtyping-packages=ptycho_torch,beartype.beartype

bench: $(TORCH)/made
	$(TORCH)/bin/python -m benchmarks.reassembly $(ARGS)
	$(TORCH)/bin/python -m benchmarks.compare
	$(TORCH)/bin/python -m benchmarks.diagnosis
	$(TORCH)/bin/python -m benchmarks.tolerances
	$(TORCH)/bin/python -m benchmarks.loading
	$(TORCH)/bin/python -m benchmarks.packed

bench-network: $(TORCH)/made $(TENSORFLOW)/made
	$(TORCH)/bin/python -m benchmarks.network --python $(TENSORFLOW)/bin/python $(ARGS)

bench-run: $(TORCH)/made $(TENSORFLOW)/made
	$(TORCH)/bin/python -m benchmarks.run --python $(TENSORFLOW)/bin/python $(ARGS)

bench-parts: $(TORCH)/made
	$(TORCH)/bin/python -m benchmarks.parts $(ARGS)

kernels: $(TORCH)/made $(TENSORFLOW)/made
	$(TORCH)/bin/python -m benchmarks.kernels --python $(TENSORFLOW)/bin/python $(ARGS)

mutation: $(TORCH)/made
	$(TORCH)/bin/python -m benchmarks.mutation $(ARGS)

torture: $(TORCH)/made
	$(TORCH)/bin/python -m benchmarks.fuzz
	$(TORCH)/bin/python -m benchmarks.fuzz_scans
	$(TORCH)/bin/python -m benchmarks.fuzz_bundles
	$(TORCH)/bin/python -m benchmarks.kill
	$(TORCH)/bin/python -m benchmarks.signals

long: $(TENSORFLOW)/made
	$(TENSORFLOW)/bin/python generate_golden.py $(LONG) --update --yes --reason 'the long run' $(ARGS)

star: $(TORCH)/made $(TENSORFLOW)/made
	$(TENSORFLOW)/bin/python generate_golden.py $(STAR) --update --reason 'a measured scan'
	$(TORCH)/bin/python -m pytest -q tests/external -o golden_cases=tests.external.star \
		-o golden_fixtures=.artifacts/star -o golden_tests=tests/external
	$(TORCH)/bin/golden show --fixtures .artifacts/star --picture .artifacts/star.png star/measured_n128

ptychodus: $(TORCH)/made $(PTYCHODUS)/made
	$(TORCH)/bin/python -m tests.external.ptychodus_check --python $(PTYCHODUS)/bin/python $(ARGS)

# A failed install leaves no mark, so the next run begins again.
$(TORCH)/made: pyproject.toml ptycho_torch/pyproject.toml constraints/torch.txt
	$(PYTHON) -m venv --clear $(TORCH)
	$(TORCH)/bin/python -m pip install -q --disable-pip-version-check -c constraints/torch.txt \
		-e '.[test,lint,browser]' -e './ptycho_torch[train]'
	touch $@

$(TENSORFLOW)/made: pyproject.toml constraints/tensorflow.txt
	$(PYTHON) -m venv --clear $(TENSORFLOW)
	$(TENSORFLOW)/bin/python -m pip install -q --disable-pip-version-check -c constraints/tensorflow.txt -e '.[tensorflow]'
	touch $@

$(CONFIRM)/made: pyproject.toml constraints/ptychopinn.txt
	$(PYTHON) -m venv --clear $(CONFIRM)
	$(CONFIRM)/bin/python -m pip install -q --disable-pip-version-check -c constraints/ptychopinn.txt -e '.[ptychopinn]'
	touch $@

$(PTYCHODUS)/made: constraints/ptychodus.txt
	$(PYTHON) -m venv --clear $(PTYCHODUS)
	$(PTYCHODUS)/bin/python -m pip install -q --disable-pip-version-check -c constraints/ptychodus.txt ptychodus
	touch $@

clean:
	rm -rf $(TORCH) $(TENSORFLOW) $(CONFIRM) $(PTYCHODUS) .artifacts mutants
