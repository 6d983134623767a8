# Works on a bare Debian machine with Go and make. `make` alone lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:

FUZZTIME ?= 30s
BENCH    ?= .

# The modules beside the root's, each with a go.mod of its own; tools/ holds no code.
MODULES := $(filter-out tools,$(patsubst %/go.mod,%,$(wildcard */go.mod */*/go.mod */*/*/go.mod)))

.PHONY: help deps test check generate migrations bench bench-compare fuzz cross example

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

deps: ## install what the tests need and is missing: PostgreSQL 10, 15 and 18, MariaDB, Redis, Chromium
	@scripts/deps.sh
	@bench/deps.sh

test: check ## everything that must pass: the checks, then all tests on all databases
	@scripts/test.sh $(MODULES)

check: deps ## formatting, vet, staticcheck, tidy modules, generated code, migrations in step with the schema, the API beside the last tag
	@scripts/check.sh $(MODULES)

generate: ## rebuild the models in ent/ from ent/schema
	go generate ./...

migrations: deps ## write the migration files that the schema needs: make migrations NAME=add_color
	$(if $(NAME),,$(error say what has changed: make migrations NAME=add_color))
	go run ./internal/cmd/migrations generate $(NAME)

bench: deps ## all benchmarks, or those that match BENCH=regexp
	@for dir in . $(MODULES); do \
		(cd "$$dir" && go test -run '^$$' -bench '$(BENCH)' -benchmem ./...); \
	done

bench-compare: deps ## this store beside its peers: ARGS='-matrix targets', see bench/README.md
	@cd bench && go run . $(ARGS)

fuzz: deps ## each fuzz target for FUZZTIME=30s
	@scripts/fuzz.sh $(FUZZTIME)

cross: ## build for Linux, macOS and Windows, on amd64 and arm64, without cgo
	@scripts/cross.sh $(MODULES)

example: ## run the web application on a SQLite file: make example ARGS='-dsn postgres://...'
	cd examples && go run ./webapp $(ARGS)
