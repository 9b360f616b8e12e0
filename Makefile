# Every target works as the only command on a fresh clone.
.DEFAULT_GOAL := help
.PHONY: help up down env demo test test-containers bench check install
# One target after the other: test starts what check must not run beside.
.NOTPARALLEL:

export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

installed := node_modules/.weir-installed

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

up: install ## Start Weir in the background: Kafka, Postgres, the platform, the demo stages
	@node deploy/local/up.ts

down: install ## Stop what `make up` has started; data and keys stay in .weir
	@node deploy/local/down.ts

env: install ## Print shell exports (address, operator key) of what `make up` has started
	@node deploy/local/env.ts

demo: install ## Run real data through a pipeline and compare the result with an independent program's
	@node test/demo/main.ts

test: check ## Run everything that CI runs
	@node test/run.ts

test-containers: install ## Build the images, run docker compose, then kill, pause, cut off, scale and roll containers
	@node test/run.ts test/containers

bench: install ## Measure throughput and latency
	@node test/bench/main.ts

check: install ## Lint and type-check
	@biome check . && tsc --noEmit -p .

install: $(installed) ## Install the npm packages, where package-lock.json has changed
	@deploy/local/check-node.sh

$(installed): package-lock.json
	@command -v npm >/dev/null || { echo "weir: npm was not found in PATH: install Node.js (https://nodejs.org)" >&2; exit 1; }
	@echo "weir: installing npm packages" >&2
	@npm ci --ignore-scripts --no-progress --loglevel=error >&2
	@touch $@
