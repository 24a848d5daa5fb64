# The targets that a newcomer needs. Everything they do is in scripts/, so that it can be read and run by hand.
GO ?= go
BINARY := bin/stentor
# Without grpc-go's own trace pages, which we do not serve: their templates keep the linker from leaving out 20 MB of what is never called.
TAGS := grpcnotrace
VERSION := $(shell git describe --tags --always 2>/dev/null || echo dev)
FUZZTIME ?= 60s
CROWDRUNS ?= 5000

.PHONY: build run check test bench fuzz generate clean

build: ## build the one binary
	$(GO) build -trimpath -tags $(TAGS) -ldflags "-X main.version=$(VERSION)" -o $(BINARY) ./cmd/stentor

run: build ## build and start a server to try, with a page at http://localhost:8000/
	$(BINARY) --dev.enabled

check: ## quick and local: formatting, vet, staticcheck, the import table
	./scripts/check.sh

test: ## everything that a change has to pass; installs what it needs
	./scripts/test.sh

bench: ## the benchmarks of all packages
	$(GO) test -run '^$$' -bench . -benchmem ./...

fuzz: ## every fuzz target for FUZZTIME, then the crowds CROWDRUNS times
	./scripts/fuzz.sh $(FUZZTIME) $(CROWDRUNS)

generate: ## generated code, from the .proto files
	./scripts/generate.sh

clean:
	rm -rf bin .cache scripts/e2e/node_modules
