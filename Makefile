# What a person or a machine does with this repository. Every target may be run again at any time.
.DEFAULT_GOAL := help
SHELL := /bin/bash
CARGO ?= cargo
export PATH := $(HOME)/.cargo/bin:$(PATH)

# The demo is a debug build in which flitch itself is optimised too. So a newcomer does not wait for a
# release build, and `make test` finds nearly every dependency compiled. (--workspace, because what cargo
# is asked to build decides which features the dependencies get.)
DEMO_OPT_LEVEL ?= 1

.PHONY: help setup setup-build setup-sdk sdk vrl test-vrl servers demo examples build test packages test-packages bench bench-sdk fuzz lint fmt clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing to build and test: Debian packages, Rust, its WASM targets
	@scripts/setup.sh test

setup-build:
	@scripts/setup.sh build

setup-sdk: ## Install what filters in one language are built with: make setup-sdk LANG=rust|c|go|python|js
	@scripts/setup-sdk.sh $(if $(filter command line,$(origin LANG)),$(LANG))

sdk: ## Build the guests of the SDKs that a registry's toolchain makes (once), and run each SDK's own tests
	@scripts/sdk.sh build
	@scripts/sdk.sh test

vrl: setup-build ## Build the filter vrl, of some 300 crates (once): binaries that are built afterwards have it
	@scripts/vrl.sh

test-vrl: setup-build ## Hold the filter vrl to clippy and its native tests, which takes minutes once for each change of it
	@scripts/vrl.sh check

servers: ## Fetch the real servers that tests use (Kafka, forward clients) into ~/.cache/flitch
	@scripts/servers.sh

demo: setup-build ## Build flitch and watch it work: nginx, Docker and HTTP through WASM filters into Kafka
	@echo "flitch: building (some minutes the first time, then seconds)"
	CARGO_PROFILE_DEV_OPT_LEVEL=$(DEMO_OPT_LEVEL) $(CARGO) build --workspace --bin flitch
	target/debug/flitch demo

examples: setup servers ## Run the five pipelines of examples/ between real parts, and compare what arrives
	@scripts/examples.sh

example-%: setup servers
	@scripts/examples.sh $*

build: setup-build vrl ## Build the release binary, target/release/flitch
	$(CARGO) build --release -p flitch --bin flitch

test: setup servers sdk vrl ## Run every test, with real Kafka, nginx, logrotate and dockerd
	@scripts/test.sh

packages: setup-build ## Make deb, rpm, tarball, image, Helm chart and list of parts for amd64 and arm64, in target/packages
	@scripts/make-packages.sh

test-packages: setup-build ## Try them: in a systemd, as a container, in an emulator, the chart in Kubernetes' API server (needs root)
	@scripts/test-packages.sh

bench: setup-build ## Build for release and print the table of speeds (about 15 minutes the first time)
	@scripts/bench.sh

bench-sdk: setup-build ## Measure the example of each SDK, and write the table of sdk/README.md
	@scripts/bench-sdk.sh

fuzz: setup-build ## Try what comes from outside with hostile bytes, FUZZ_SECONDS (120) for each of six kinds
	@scripts/fuzz.sh

lint: setup-build ## Check formatting and run clippy; a warning is an error
	$(CARGO) fmt --all --check
	@scripts/modules.sh
	$(CARGO) clippy --workspace --all-targets -- -D warnings

fmt: ## Format all code
	$(CARGO) fmt --all

clean: ## Remove what was built; the fetched servers stay
	$(CARGO) clean
