# Each target first creates the environments that it needs.
# make test     run make parity and then the whole suite, in an environment with Torch and without TensorFlow
# make parity   the quick loop: check the port against every golden, except those that train
# make oldest   run the whole suite with the oldest packages that are allowed, constraints/oldest.txt (Python 3.11, 5 GB)
# make golden   recompute every golden with TensorFlow and report what changed
# make confirm PTYCHOPINN=DIR  record which goldens TensorFlow PtychoPINN, checked out in DIR, confirms
# make lint     check style, types, import contracts, digests, and shapes in signatures
# make bench    time reassembly, comparison and loading against other libraries, and diagnosis against comparison;
#               repeat the experiments behind the tolerances
# make bench-network  time the network against TensorFlow's
# make bench-run      time an epoch and the inference of the long run against TensorFlow's
# make bench-parts    time the parts of a training step of the network, in float32 and in bfloat16
# make kernels  check the goldens under every instruction set of this processor: the port's kernels, then TensorFlow's
# make mutation  change every line of the port's operators, network and training in small ways, and check that a test fails
# make torture  read 20,000 corrupt goldens, 3,000 corrupt scans and 3,000 corrupt bundles; kill the generator 200 times;
#               interrupt programs 100 times; takes half an hour
# make long     regenerate the golden of the long run: TensorFlow trains three times, 11 minutes each; a stopped run continues
# make ptychodus  test with a real client: Ptychodus writes a scan, the port reconstructs it, Ptychodus reads the product
# make star     compare both frameworks on a measured scan; needs PTYCHO_GOLDEN_DATA=DIR
# ARGS are passed on: make test ARGS='-k reassembly' (without make parity before it), make golden ARGS='probe/*'

PYTHON ?= python3
TORCH := .venv-torch
OLDEST := .venv-oldest
TENSORFLOW := .venv-tensorflow
CONFIRM := .venv-ptychopinn
PTYCHODUS := .venv-ptychodus
LONG := --cases golden.ptychopinn.run.long --fixtures golden/long_fixtures
STAR := --cases tests.external.star --fixtures .artifacts/star

.PHONY: test parity torch-only oldest golden confirm checkout lint bench bench-network bench-run bench-parts kernels mutation torture long star ptychodus clean

# With ARGS, run pytest only once: make parity would repeat some of the selected tests.
test: $(if $(ARGS),torch-only,parity)
	$(TORCH)/bin/python -m pytest $(or $(ARGS),-n 2 --dist worksteal)

parity: torch-only
	$(TORCH)/bin/python -m pytest -q -m 'golden and not integration' $(ARGS)

torch-only: $(TORCH)/made
	@if $(TORCH)/bin/python -c 'import tensorflow' 2>/dev/null; then \
		echo 'TensorFlow is installed in $(TORCH); the suite must run without it'; exit 1; fi

oldest: $(OLDEST)/made
	$(OLDEST)/bin/python -m pytest $(or $(ARGS),-n 2 --dist worksteal)

golden: $(TENSORFLOW)/made
	$(TENSORFLOW)/bin/python -m pytest -c tests/tensorflow.ini tests/reference -q
	$(TENSORFLOW)/bin/python generate_golden.py $(ARGS)

# Link only the package, because the checkout also contains a tests and a ptycho_torch.
confirm: checkout $(CONFIRM)/made
	@ln -sfn "$$(cd '$(PTYCHOPINN)' && pwd)/ptycho" \
		"$$($(CONFIRM)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ptycho"
	$(CONFIRM)/bin/python generate_golden.py --cross-check ptycho --slow --record $(ARGS); \
		status=$$?; $(CONFIRM)/bin/python -m docs.confirmed; exit $$status

checkout:
	@test -f '$(PTYCHOPINN)/ptycho/__init__.py' || { echo \
		'make confirm PTYCHOPINN=DIR: expected a checkout of PtychoPINN, a folder that contains ptycho'; exit 2; }

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

# A failed install does not create the file 'made', so the next run starts again.
$(TORCH)/made: pyproject.toml ptycho_torch/pyproject.toml constraints/torch.txt
	$(PYTHON) -m venv --clear $(TORCH)
	$(TORCH)/bin/python -m pip install -q --disable-pip-version-check -c constraints/torch.txt \
		-e '.[test,lint,browser]' -e './ptycho_torch[train]'
	touch $@

$(OLDEST)/made: pyproject.toml ptycho_torch/pyproject.toml constraints/oldest.txt
	$(PYTHON) -m venv --clear $(OLDEST)
	$(OLDEST)/bin/python -m pip install -q --disable-pip-version-check -c constraints/oldest.txt \
		-e '.[test]' -e './ptycho_torch[train]'
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
	rm -rf $(TORCH) $(OLDEST) $(TENSORFLOW) $(CONFIRM) $(PTYCHODUS) .artifacts mutants
