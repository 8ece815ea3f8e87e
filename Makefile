# Muster. `make up` runs the whole loop on this machine, `make test` passes the tests; both set up all they need.

.DEFAULT_GOAL := help
CARGO ?= cargo
# Tests that run a local world mostly wait: more of them than cores run side by side.
TEST_THREADS ?= 8
ARGS ?=
# With what needs an AWS SDK.
EVERYTHING = --workspace --features muster/aws

# What an operator's target is told (README.md, "Deploying"); what is empty is not said.
STACK ?=
SUBNETS ?=
GROUP ?=
IMAGE ?=
POLICY ?=
FORCE ?=
DRY ?=
FUNCTION ?=
VERSION ?=
# Bootstraps that are built already, instead of building them.
BOOTSTRAPS ?=
# `muster`, unless MUSTER says where one is.
MUSTER_HERE = $(if $(MUSTER),,build-muster)
said = $(if $($(2)),--$(1) '$($(2))')

.PHONY: help up page test-page simulate quality test test-infra check deny fuzz bench build-functions build-muster deploy destroy rollback logs

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

up: page ## Run the whole loop on this machine, with no AWS account: make up ARGS="--scenario calm --for 60s"
	@$(CARGO) build --locked --package muster --package monitor-c
	@$${CARGO_TARGET_DIR:-target}/debug/muster up $(ARGS)

simulate: ## Play faulty schedules in virtual time: make simulate ARGS="--schedules 10000"
	@$(if $(MUSTER),true,$(CARGO) build --locked --package muster)
	@$(or $(MUSTER),$${CARGO_TARGET_DIR:-target}/debug/muster) simulate $(ARGS)

quality: ## Judge the shipped policies on recorded loads, beside other autoscalers and an oracle: make quality ARGS="--json"
	@$(CARGO) build --locked --package muster-backtest --example quality
	@$${CARGO_TARGET_DIR:-target}/debug/examples/quality --write $${CARGO_TARGET_DIR:-target}/quality $(ARGS)

# `--tests` beside `--bins`: binaries with the very features that the tests have, or the AWS SDK would be compiled twice.
test: test-infra ## Pass all tests: rules, ports, the agent, the whole loop with real processes, the Lambdas, the templates
	$(CARGO) build --locked $(EVERYTHING) --bins --tests --examples
	$(CARGO) test --locked $(EVERYTHING) --lib --bins --tests --no-fail-fast -- --test-threads=$(TEST_THREADS)

page: ## Build the dashboard's page, when its sources have changed; without npm a plain one is served
	@functions/web/page/build

test-page: ## Pass the tests of the page in Debian's Chromium; MUSTER_BIN and MUSTER_LARGE name real servers to drive, too
	@functions/web/page/tests/run $(ARGS)

test-infra: ## Pass the tests of the templates and of what deploys them: rules, cfn-lint, what each role may and may not do
	@infra/tests/run

check: ## Formatting, lints, documentation: every commit passes it
	$(CARGO) fmt --all -- --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml -- --check
	$(CARGO) clippy --locked $(EVERYTHING) --all-targets -- -D warnings
	$(CARGO) clippy --locked --manifest-path fuzz/Cargo.toml --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(CARGO) doc --locked $(EVERYTHING) --no-deps --document-private-items --quiet

deny: ## Dependencies: licences, sources, and crates that must stay out
	@PATH="$$(.ci/tools):$$PATH" && \
	$(CARGO) deny --locked check --hide-inclusion-graph -A license-exception-not-encountered bans licenses sources && \
	$(CARGO) deny --locked --manifest-path fuzz/Cargo.toml check --hide-inclusion-graph -A license-not-encountered bans licenses sources

fuzz: ## Feed hostile input to everything that reads foreign input: make fuzz ARGS="--seconds 60 policy"
	@fuzz/run $(ARGS)

bench: ## Measure: the decision, a sweep beside Python's grpcio, the agent's size and memory
	@bench/run $(ARGS)

build-functions: page ## Build the three Lambdas for release, with a cargo-lambda of the project's own
	@infra/operate/run build

build-muster: ## Build `muster` with what looks at AWS: the first time it takes minutes and 8 GB
	$(CARGO) build --locked --release --package muster --features aws

deploy: $(if $(BOOTSTRAPS),,build-functions) $(if $(GROUP),$(if $(DRY),,$(MUSTER_HERE))) ## Make a stack or change it: make deploy STACK=prod SUBNETS=subnet-a,subnet-b; DRY=1 only checks
	@infra/operate/run deploy $(call said,stack,STACK) $(call said,subnets,SUBNETS) $(call said,group,GROUP) \
		$(call said,image,IMAGE) $(call said,policy,POLICY) $(call said,bootstraps,BOOTSTRAPS) $(if $(DRY),--dry) $(ARGS)

destroy: $(MUSTER_HERE) ## Take a stack down; its tables stay: make destroy STACK=prod
	@infra/operate/run destroy $(call said,stack,STACK) $(if $(FORCE),--force) $(ARGS)

rollback: ## Go back to the version before, or to another: make rollback STACK=prod
	@infra/operate/run rollback $(call said,stack,STACK) $(call said,function,FUNCTION) $(call said,version,VERSION) $(ARGS)

logs: ## Show what the Lambdas log: make logs STACK=prod ARGS="--since 1h --follow"
	@infra/operate/run logs $(call said,stack,STACK) $(call said,function,FUNCTION) $(call said,group,GROUP) $(ARGS)

# muster, our EC2 and the agent. One test beside them gives them the features that `make test` builds with, or the AWS SDK would be compiled twice.
build-emulator: build-functions
	$(CARGO) build --locked $(EVERYTHING) --bins --test generated

emulator: build-emulator ## Run the deployed stack on an emulator of AWS, live: make emulator ARGS="--scenario surge --for 5m"
	@infra/emulator/run demo $(ARGS)

test-emulator: build-emulator ## Pass the tests of the deployed stack on an emulator of AWS: every step of its life, and faults
	@infra/emulator/run test $(ARGS)

.PHONY: build-emulator emulator test-emulator
