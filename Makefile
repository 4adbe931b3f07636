# `make` lists the targets; ARGS goes to pytest, the variables of docs/local.md to `make run`.
PYTHON ?= python3
SETUP = command -v $(PYTHON) >/dev/null || { echo "Expected Python 3.11 or newer as $(PYTHON), but found none. Install it: https://www.python.org" >&2; exit 1; }; $(PYTHON) infra/setup.py
VENV = .venv/bin
# Where setup may have put Node.js.
WITH_NODE = PATH="$(CURDIR)/$(VENV):$$PATH"
LOCK = $(VENV)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links pyproject.toml
# Packages and functions start slowly without their .pyc files.
unexport PYTHONDONTWRITEBYTECODE
# These work too; the banner that says otherwise would hide what matters.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION = 18,20
CDK = $(WITH_NODE) node_modules/.bin/cdk
PYTEST = $(WITH_NODE) $(VENV)/python -m pytest
STAGE ?= serverless
.PHONY: help run chat migrate test test-all coverage test-nightly test-clients test-deploy faults mutants check check-prisma check-vllm fmt bench invoke layer synth doctor deploy smoke destroy lock release clean
# Programs get what the command line gives, dollars included: make would expand them.
$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(eval override $(name) := $$(value $(name)))$(eval export $(name))))
export PORT BACKEND BACKEND_KEY FALLBACK FALLBACK_KEY CONCURRENCY PER_ENVIRONMENT TIMEOUT_S AUTH DEV_KEY NAME STAGE CORS_ORIGINS EVENT FUNCTION MODELS PRICES

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20
run: ## start everything on http://localhost:8000; `make run AUTH=on` requires keys, `PER_ENVIRONMENT=64` gives a process 64 streams
	@$(SETUP) run && exec $(VENV)/python -m infra.local
chat: ## chat in the terminal with what `make run` serves; URL=, KEY= and MODEL= choose another service
	@$(SETUP) chat >&2 </dev/null && OPENAI_API_KEY="$$KEY" exec $(VENV)/python examples/chat.py --url "$${URL:-http://localhost:$${PORT:-8000}/v1}" --model "$${MODEL:-default}"
migrate: ## make and apply a migration, as in `make migrate NAME=add_note`
	@$(SETUP) run && exec $(VENV)/python -m infra.local.migrate $(if $(filter override,$(origin NAME)),"$$NAME")
test: ## run what every change runs, in 5 minutes on two cores, or a part: `make test ARGS=tests/unit`
	@$(SETUP) test && $(PYTEST) -n 2 --dist loadgroup -m "not slow and not nightly" $(ARGS)
test-all: ## run these and the slow ones: deployments, bundles, browsers, killed processes
	@$(SETUP) test-all && $(PYTEST) -n 2 --dist loadgroup -m "not nightly" $(ARGS)
coverage: ## run `make test` and count the branches it reaches; fails below the floor of pyproject.toml
	@$(MAKE) --no-print-directory test ARGS=--cov
test-nightly: ## run what `make test-all` leaves out, beside the targets below: repetitions, and Prisma's own commands
	@$(SETUP) test-all && $(PYTEST) -n 2 --dist loadgroup -m nightly $(ARGS)
	@$(if $(ARGS),,PER_ENVIRONMENT=64 $(PYTEST) -n 2 --dist loadgroup -m "not nightly" tests/e2e tests/integration/local)
test-clients: ## run every client of docs/clients.md against the service on this machine
	@$(SETUP) test-clients && $(PYTEST) tests/e2e/test_clients.py tests/e2e/test_graphql_clients.py tests/e2e/test_sdks.py tests/e2e/test_user_document.py tests/e2e/test_cors.py $(ARGS)
test-deploy: ## deploy all stages into a local AWS, call them, destroy them; a part of `make test-all`
	@$(SETUP) test-all && $(PYTEST) tests/deploy $(ARGS)
faults: ## print what each client gets of each fault of an engine, then break the rest; `ARGS="cut node"` chooses
	@$(SETUP) test-all && $(WITH_NODE) $(VENV)/python -m tests.e2e.faults $(ARGS)
	@$(if $(ARGS),,$(PYTEST) tests/*/test_faults.py tests/*/*/test_faults.py)
mutants: ## make small faults in functions and layers and count those that the tests find; 10 minutes
	@$(SETUP) test && $(WITH_NODE) $(VENV)/python -m tests.tools.mutants
check: ## lint, formatting, types, who imports what
	@$(SETUP) test && $(VENV)/ruff check && $(VENV)/ruff format --check && $(VENV)/mypy && $(VENV)/python -m pytest -q tests/unit/test_imports.py
check-prisma: ## run Prisma's own commands on our engines; hold the one in process against its recording and itself, on new seeds
	@$(SETUP) test-all && $(PYTEST) tests/integration/prisma $(ARGS) && $(WITH_NODE) PYTHONPATH=layers/prisma/python $(VENV)/python -m tests.integration.prisma.equivalence.replay && $(WITH_NODE) PYTHONPATH=layers/prisma/python $(VENV)/python -m tests.integration.prisma.equivalence.live
check-vllm: ## have vLLM itself read the arguments that all stages give it; installs 6 GB into .local
	@$(SETUP) deploy && $(VENV)/python -m infra.inference.check
fmt: ## format the code and sort its imports
	@$(SETUP) test && $(VENV)/ruff check --fix && $(VENV)/ruff format
bench: ## measure ratios within one run; BASE=<checkout>: beside another tree, PEERS=1: beside LiteLLM, GROWTH=1: draw how cost grows
	@$(SETUP) test && $(WITH_NODE) $(VENV)/python -m bench$(if $(BASE),.compare "$$BASE")$(if $(PEERS), peers)$(if $(GROWTH), growth)
invoke: ## one event through one function, as deployed: `make invoke EVENT=tests/events/todos_v1.json`
	@$(SETUP) test && $(WITH_NODE) $(VENV)/python -m infra.invoke
layer: ## build the packages of `layers` into dist: two wheels, and the archive of the streaming layer
	@$(SETUP) test && $(VENV)/python -m infra.layer
synth: ## write the CloudFormation templates of a stage into cdk.out, without an AWS account
	@$(SETUP) deploy && $(CDK) synth --quiet -c stage="$$STAGE" $(ARGS) && echo "The templates are in cdk.out."
doctor: ## look up whether a stage can be deployed, and what it will cost; changes nothing in the account
	@$(SETUP) deploy && $(WITH_NODE) exec $(VENV)/python -m infra.doctor
deploy: ## deploy a stage into the AWS account of your credentials, as in `make deploy STAGE=dev`
	@$(SETUP) deploy && $(WITH_NODE) exec $(VENV)/python -m infra.deploy $(ARGS)
smoke: ## call a deployed stage as its users do; `make smoke URL=http://localhost:8000` calls `make run`
	@$(SETUP) $(if $(URL),run,deploy) && exec $(VENV)/python -m infra.smoke
destroy: ## remove a stage from AWS, as in `make destroy STAGE=dev`
	@$(SETUP) deploy && $(WITH_NODE) exec $(VENV)/python -m infra.deploy.destroy $(ARGS)
lock: ## pin the dependencies of pyproject.toml in requirements/
	@$(SETUP) test && $(LOCK) --group uv -o requirements/uv.txt && $(LOCK) --group local -o requirements/run.txt && $(LOCK) --group test -o requirements/test.txt && $(LOCK) --group hello -o requirements/hello.txt && $(LOCK) --group todos -o requirements/todos.txt && $(LOCK) --group chat -o requirements/chat.txt && $(LOCK) --group deploy -o requirements/deploy.txt && $(LOCK) --group ministack -o requirements/ministack.txt && $(LOCK) --group streaming -o requirements/streaming.txt && $(LOCK) --group openai -o requirements/openai.txt && $(LOCK) --group frameworks -o requirements/frameworks.txt && $(LOCK) --group clients -o requirements/clients.txt && $(LOCK) --group clients-2 -o requirements/clients-2.txt && $(LOCK) --group clients-3 -o requirements/clients-3.txt && $(LOCK) --group peers -o requirements/peers.txt
release: ## check, test, build and tag the version of pyproject.toml; `git push` publishes it
	@$(SETUP) test && $(VENV)/python -m infra.release check && $(MAKE) check coverage test-all test-nightly layer && $(VENV)/python -m infra.release tag
clean: ## remove everything that was set up or built here, but not the todos in .local/postgres
	@if [ -d .local ]; then find .local -mindepth 1 -maxdepth 1 ! -name postgres -exec rm -rf {} +; fi
	@rm -rf .venv cdk.out dist node_modules layers/prisma/node_modules layers/prisma/python/prisma_in_process/query_compiler.cwasm functions/todos/plans.json .mypy_cache .ruff_cache .hypothesis .schemathesis && find . -name __pycache__ -type d -prune -exec rm -rf {} +
