# One command surface. Every target sets up what it needs; a second run does no set-up work.
# COMFYUI_PATH=/path/to/ComfyUI uses an existing tree; ONER_VENV=/path/to/venv an existing environment.

PYTHON ?= python3
PY := $(or $(ONER_VENV),.venv)/bin/python

.PHONY: setup setup-test demo test unit graphs browser parity hostile compat bench-ci bench gpu-bundle lint format generate workflows pocket pocket-score gallery mutants clean

setup:
	@$(PYTHON) scripts/bootstrap.py

setup-test:
	@$(PYTHON) scripts/bootstrap.py --test

demo: setup
	@$(PY) scripts/demo.py $(if $(PROMPT),--prompt "$(PROMPT)") $(if $(KEEP),--keep)

test: setup-test
	@$(PY) scripts/lanes.py

unit graphs browser bench-ci: setup-test
	@$(PY) scripts/lanes.py $@

# Other ComfyUI releases: make compat [TREE=/path/to/ComfyUI] [LANES="unit graphs parity browser"] [RECORD=1]
compat: setup-test
	@$(PY) scripts/compat $(if $(TREE),"$(TREE)") $(if $(LANES),--lanes $(LANES)) $(if $(RECORD),--record)

parity: setup-test
	@$(PY) scripts/parity $(DIR)

# Random hostile prompts: make hostile [SEED=2] [COUNT=5000] [CASE=17]
hostile: setup-test
	@$(PY) scripts/hostile $(if $(SEED),--seed $(SEED)) $(if $(COUNT),--count $(COUNT)) $(if $(CASE),--case $(CASE))

bench: setup-test
	@$(PY) bench/gpu.py

# One archive that measures on a GPU machine without a network: make gpu-bundle [CARDS="89 90"]
gpu-bundle: setup-test
	@$(PY) bench/bundle.py $(if $(CARDS),--cards $(CARDS))

lint: setup-test
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy ltx wan longlive samplers utils
	@$(PY) scripts/generate.py --check
	@$(PY) scripts/build_workflows.py --check

format: setup-test
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

generate: setup-test
	@$(PY) scripts/generate.py

workflows: setup-test
	@$(PY) scripts/build_workflows.py

# Trains the pocket checkpoints from nothing, one thread: make pocket [NAMES="wan-vae wan"]. About two and a quarter hours.
pocket: setup
	@OMP_NUM_THREADS=1 $(PY) scripts/pocket $(NAMES)

pocket-score: setup-test
	@$(PY) scripts/pocket/score.py $(NAMES) --seeds 0 1 2

# Thumbnails and animations of the workflows that the pocket checkpoints serve: make gallery [NAMES=...]
gallery: setup-test
	@OMP_NUM_THREADS=1 $(PY) scripts/gallery.py $(NAMES)

# Puts each fault of scripts/mutation/ into a copy of the code: its tests must fail. make mutants [NAMES="3 14"]
mutants: setup-test
	@$(PY) scripts/mutation $(NAMES)

clean:
	rm -rf .artifacts .cache
