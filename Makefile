# Each target can be run again at any time, and leaves no process, container or mount behind.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

sources := Program.cs Discobot.csproj Directory.Build.props Directory.Packages.props global.json build/Rooms.props build/binary.sh docs/configuration.md \
	$(shell find Features Infrastructure -type f ! -name '*.Tests.cs' ! -path '*.Tests/*' ! -path '*/__snapshots__/*' | LC_ALL=C sort)

# A source that is gone is newer than nothing; the list of them tells. Written only when it differs, as make reads this file.
names := artifacts/sources
$(shell printf '%s\n' $(sources) | cmp -s - $(names) || { mkdir -p artifacts && printf '%s\n' $(sources) >$(names); })

artifacts/discobot: $(sources) $(names)
	@build/binary.sh

.PHONY: binary
binary: artifacts/discobot ## Make artifacts/discobot, the static native executable

.PHONY: run
run: ## Start the proxy on port 17080 with the built-in configuration
	@build/run.sh

.PHONY: test
test: artifacts/discobot ## Run every suite
	@build/test.sh unit; unit=$$?; $(MAKE) --no-print-directory test-integration && exit $$unit

.PHONY: test-unit
test-unit: artifacts/discobot ## Run the unit tests
	@build/test.sh unit

.PHONY: test-integration
test-integration: artifacts/discobot ## Run the integration tests against the executable and its images
	@build/engine.sh bash -c 'images/build.sh --with-tests && build/test.sh integration'

.PHONY: fuzz
fuzz: ## Fuzz the parsers for MINUTES each (MINUTES=10, TARGET=Hosts; docs/fuzzing.md)
	@MINUTES=$(MINUTES) TARGET=$(TARGET) build/fuzz.sh

.PHONY: images
images: artifacts/discobot ## Make the container images discobot:debian, :alpine, :fedora and :scratch
	@build/engine.sh images/build.sh

.PHONY: dist
dist: ## Make artifacts/dist: executables for amd64 and arm64, sums, bill of materials, licences, completions, manual (MACHINES=amd64)
	@build/dist.sh

.PHONY: reproducible
reproducible: ## Make dist twice of the last commit, in two directories, and compare (MACHINES=amd64)
	@build/reproducible.sh

.PHONY: bench
bench: artifacts/discobot ## Measure speed against other proxies (docs/bench.md)
	@bench/run.sh

.PHONY: bench-quick
bench-quick: artifacts/discobot ## Look whether a main speed has halved
	@bench/run.sh --quick

.PHONY: bench-shared
bench-shared: artifacts/discobot ## What 20 containers on two machines take from an origin, and what an outage of their store costs (docs/scale.md); needs root
	@bench/shared.sh

.PHONY: soak
soak: artifacts/discobot ## Mixed load with faults for MINUTES (MINUTES=20; docs/reliability.md); needs root
	@MINUTES=$(MINUTES) bench/soak.sh

.PHONY: upgrade
upgrade: artifacts/discobot ## Start with what the version BEFORE (a commit) has written, and the other way round; needs root
	@build/upgrade.sh $(BEFORE)

.PHONY: cache-conformance
cache-conformance: artifacts/discobot ## Run the public suite for HTTP caches (docs/cache.md); needs npm and its registry
	@build/conformance.sh

.PHONY: format
format: ## Bring the code into the form that `make check` wants
	@. build/common.sh && need_sdk && dotnet format Discobot.sln

.PHONY: check
check: ## Check the format, build without warnings, run the analyzers
	@build/check.sh

.PHONY: clean
clean: ## Remove everything made here
	rm -rf artifacts bin obj

.PHONY: help
help: ## Show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26
