# What developers and newcomers run. `make` lists it.

# Where Go is when PATH does not have it; tools that are built here.
export PATH := $(PATH):/usr/local/go/bin:$(CURDIR)/.cache/bin

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)

GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT := .cache/bin/golangci-lint-$(GOLANGCI_LINT_VERSION)

.PHONY: help
help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/regmend
	CGO_ENABLED=0 go build -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/regmend .

.PHONY: demo
demo: build ## see it work: private servers, real images, lost rows found (ARGS=--exit ends by itself)
	@demo/install.sh initdb redis-server docker-registry
	@go build -o bin/demo ./demo
	@exec bin/demo $(ARGS)

SEED ?= 1
PROJECTS ?= 20000
MINUTES ?= 19
KINDS ?=

.PHONY: chaos
chaos: build ## break everything around regmend (SEED, PROJECTS, MINUTES; KINDS=redis,process/freeze; ARGS=-list)
	@demo/install.sh initdb redis-server redis-sentinel pgbouncer
	@CGO_ENABLED=0 go build -trimpath -ldflags "-X main.version=another" -o bin/regmend-another .
	@go build -o bin/chaos ./chaos
	@exec bin/chaos -seed=$(SEED) -projects=$(PROJECTS) -minutes=$(MINUTES) -kinds='$(KINDS)' \
		-regmend=bin/regmend -other-version=bin/regmend-another $(ARGS)

NAMES ?= all

.PHONY: ablate
ablate: ## take out what guards regmend, and see the damage (NAMES='claim witness', SEED, KINDS)
	@demo/install.sh initdb redis-server redis-sentinel pgbouncer
	@SEED=$(SEED) KINDS='$(KINDS)' chaos/ablate.sh $(NAMES)

QUICK ?=

.PHONY: bench
bench: build ## measure regmend against the limit, GitLab's design and COPY (QUICK=1: in three minutes; ARGS=-only=flush)
	@demo/install.sh initdb redis-server
	@go build -o bin/bench ./bench
	@exec bin/bench -regmend=bin/regmend $(if $(QUICK),-quick,-page=docs/performance.md) $(ARGS)

.PHONY: test
test: ## run every test, on servers the tests start themselves
	@demo/install.sh gcc initdb redis-server redis-sentinel pgbouncer docker-registry
	go test -race -timeout 25m ./...

.PHONY: lint
lint: $(GOLANGCI_LINT) ## check formatting, imports and the rest
	go vet ./...
	$(GOLANGCI_LINT) fmt --diff
	$(GOLANGCI_LINT) run

$(GOLANGCI_LINT):
	GOBIN=$(CURDIR)/.cache/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv .cache/bin/golangci-lint $@

GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.1.4

.PHONY: vulncheck
vulncheck: ## look for known vulnerabilities, where the database of them can be reached
	@if curl --silent --fail --max-time 10 --output /dev/null https://vuln.go.dev/index/db.json; \
	then go run $(GOVULNCHECK) ./...; \
	else echo "govulncheck: NOT RUN, https://vuln.go.dev cannot be reached" >&2; fi

.PHONY: schema-dump
schema-dump: ## write schema/structure.sql anew, after a new migration
	@demo/install.sh initdb
	go test ./schema -run 'TestStructure$$' -update

.PHONY: clean
clean: ## remove what was built
	rm -rf bin .cache
