# Two commands matter: `make demo` and `make test`. Everything else is a part of them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo clean-demo test e2e lint bench models taptime soak javacard

# Where `make demo` keeps what it made: one folder a run.
DEMO := demo
# More for `permit demo`, for example: make demo DEMO_ARGS="--applicant FILE"
DEMO_ARGS :=
# Cases of each property of the card in `make soak`.
SOAK_CASES := 4000
TARGET := $(or $(CARGO_TARGET_DIR),target)
# The programs of an installation, and the virtual card.
PROGRAMS := --package permit --package keyvault --package photo-store --package issuer --package card-reader --package virtual-card

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## install what is missing (says what before it does, asks nothing)
	@scripts/setup.sh

demo: ## issue a residence permit and read it at a bus and a clinic, on a virtual reader
	@scripts/setup.sh demo
	cargo build --release --bins $(PROGRAMS)
	@mkdir -p $(DEMO)
	$(TARGET)/release/permit demo --dir $(DEMO)/$$(date +%Y%m%d-%H%M%S) $(DEMO_ARGS)

clean-demo: ## remove what the demo made
	rm -rf $(DEMO)

test: ## install what is missing, lint, and run every test; says what each step took
	@scripts/test.sh

e2e: ## install and run foreign software against the card and the API, bounded (docs/e2e.md)
	@scripts/e2e.sh

lint: ## formatting, clippy, each crate alone, licences and sources
	@scripts/setup.sh
	@scripts/lint.sh

bench: ## the figures of docs/performance.md
	cargo build --release --bins $(PROGRAMS)
	cargo bench --workspace --exclude keyvault --bench '*'
	cargo bench --profile vault --package keyvault --bench vault
	cargo test --release -p keyvault --lib -- --ignored --nocapture --test-threads 1 durable_requests million_cards
	cargo test --release -p issuer --test issuer -- --ignored --nocapture page_times

javacard: ## install a missing JDK, compile the card as a Java Card applet, check its subset, run its tests
	@scripts/setup.sh javacard
	@scripts/javacard.sh

models: ## install the pinned verifpal when it is missing (says so), run the symbolic models, compare every verdict
	@scripts/models.sh --install

soak: ## hours of fuzzing, with figures as in docs/soak.md (needs nightly and cargo-fuzz), and the models with three sessions
	PROPTEST_CASES=$(SOAK_CASES) cargo test --release -p card-applet --test it -- life_model:: purse_model:: strangers::
	@scripts/javacard.sh soak
	@scripts/soak.sh
	@scripts/models.sh --if-present --soak

taptime: ## write docs/taptime.md and its drawings again from the tap-time model
	@scripts/taptime.sh
