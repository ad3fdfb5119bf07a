# Everything a developer does here. "make help" lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GOFUMPT := go run mvdan.cc/gofumpt@v0.12.0
STATICCHECK := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
GO_PACKAGES := ./...
FUZZTIME ?= 30s

# What root can run on every machine; others see what was not run.
ROOT_TIERS := root,namespaces,btrfs,git
REQUIRED = $(if $(filter 0,$(shell id -u)),$(ROOT_TIERS),$(EBB_REQUIRE))

# A guard against tests that hang, which none of them has by itself.
TIMEOUT = $(if $(filter 1,$(EBB_LONG)),24h,86m)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build build/ebb, static and stripped, as it goes into the initrd
	scripts/build build/ebb

.PHONY: demo
demo: ## boot a virtual machine twice and watch what is gone and what is kept
	scripts/install-tools demo
	go run ./vmtest/demo

.PHONY: test
test: ## run all tests: linters, units, fuzz seeds, namespaces, btrfs, power cuts, Nix, virtual machines, the demo
	scripts/install-tools test
	$(MAKE) lint vulncheck
	rm -rf $(PROCESSORS)
	mkdir -p $(PROCESSORS)
	for n in $$(seq $$(nproc | sed s/^1$$/2/)); do touch $(PROCESSORS)/$$n; done
	$(MAKE) --jobs=2 --output-sync=line test-with-machines test-without-machines

# Two halves beside each other. An emulated machine uses little more than one processor, and
# is many times slower when it has to share that one: each takes a file of these, and so does
# all that needs no machine. When that is over, two machines run beside each other.
PROCESSORS := $(CURDIR)/build/processors

.PHONY: test-with-machines test-without-machines
test-with-machines:
	EBB_VM_PARALLEL=1 EBB_VM_PROCESSORS=$(PROCESSORS) $(MAKE) --jobs=1 test-vm demo
test-without-machines:
	flock --close $(PROCESSORS)/1 nice -n 19 $(MAKE) --jobs=1 test-host test-faults test-powercut test-nix

.PHONY: test-long
test-long: ## run all tests, with all that make test leaves out; takes hours
	EBB_LONG=1 $(MAKE) test
	$(MAKE) test-vm-next test-vm-kernels

.PHONY: test-host
test-host: ## run the tests that need neither a virtual machine nor a tracer, with the race detector
	EBB_REQUIRE=$(REQUIRED) scripts/told go test -race -timeout $(TIMEOUT) $$(go list $(GO_PACKAGES) | grep -v /faults)

# Two commands at once, and what the tracer sees, are processes: only the long run has the race
# detector look at the test itself, which takes as long again.
.PHONY: test-faults
test-faults: ## kill and fail every system call of rollback and mount, and list them
	rm -rf build/faults
	mkdir -p build/faults
	EBB_COVERAGE=$(CURDIR)/build/faults EBB_REQUIRE=$(REQUIRED) \
		scripts/told go test $(if $(filter 1,$(EBB_LONG)),-race) -count=1 -timeout $(TIMEOUT) ./faults/...
	find build/faults -name '*.txt' -exec cat {} +

# A state of the disk waits for the kernel for half of its time.
.PHONY: test-powercut
test-powercut: ## cut the power at 10,000 places of recorded disks; with EBB_LONG=1 at 100,000
	EBB_POWERCUT=1 EBB_REQUIRE=$(REQUIRED) scripts/told go test -v -count=1 -parallel $$((2 * $$(nproc))) -timeout $(TIMEOUT) -run 'TestPowerCuts|TestPlantedBugs|TestRandomScenarios' ./powercut

SOAK ?= 24h

.PHONY: soak
soak: ## cut the power of random scenarios for SOAK (24h), one after the other on each processor
	go build -o build/cuts ./powercut/cuts
	seq $$(nproc) | xargs -P $$(nproc) -I{} build/cuts fuzz -for $(SOAK) -seed $$(date +%s){}000000

.PHONY: test-vm
test-vm: ## run the reboot tests in virtual machines
	EBB_VM=1 EBB_REQUIRE=vm,$(REQUIRED) scripts/told go test -v -p 1 -count=1 -timeout $(TIMEOUT) ./vmtest/...

# What depends on systemd: its first boots, mounts, shutdowns, hibernation, LUKS, and the files that the NixOS module writes.
# And what on the kernel: what is left of a disk by power cuts.
NEXT_TESTS = TestRandomPowerCuts|TestPowerCuts|TestFirstBoot|TestReadOnlyEtc|TestThreeBoots|TestGolden|TestLUKS|TestHibernation|TestTmpfsRoot|TestShutdownAndOptions|TestUnitsRunTwice|TestKernelParameters

.PHONY: test-vm-next
test-vm-next: ## run the reboot tests that depend on systemd and the kernel with those of the Debian release to come
	EBB_VM_SUITE=forky EBB_VM=1 EBB_REQUIRE=vm,$(REQUIRED) scripts/told go test -v -count=1 -timeout $(TIMEOUT) -run '^($(NEXT_TESTS))' ./vmtest/reboot

# The oldest one that Debian has, and each since then that is whole in its archive. That with a flavour has F2FS.
KERNELS ?= bookworm/6.1 trixie/6.12/amd64 $(addprefix trixie-backports/,6.16 6.17 6.18 7.2 7.3)
KERNEL_CUTS ?= 60
KERNEL_TESTS = TestPowerCutsInMachine|TestRandomPowerCuts|TestThreeBoots

.PHONY: test-vm-kernels
test-vm-kernels: ## boot each of KERNELS (those of Debian since 6.1) and cut its power
	for kernel in $(KERNELS); do \
		EBB_VM_KERNEL=$$kernel EBB_CUTS=$(KERNEL_CUTS) EBB_VM=1 EBB_VM_PARALLEL=1 EBB_REQUIRE=vm,$(REQUIRED) \
			scripts/told go test -v -count=1 -timeout $(TIMEOUT) -run '^($(KERNEL_TESTS))$$' ./vmtest/reboot; \
	done

.PHONY: test-nix
test-nix: ## evaluate the NixOS module, the flake and the examples, with the tree that NIXPKGS names
	scripts/install-tools nix
	nixos-module/tests/run

.PHONY: lint
lint: ## check the format and run the linters
	test -z "$$($(GOFUMPT) -l . | tee /dev/stderr)"
	go vet -overlay <(scripts/format-overlay) $(GO_PACKAGES)
	$(STATICCHECK) $(GO_PACKAGES)
	shellcheck scripts/* .ci/run nixos-module/tests/run nixos-module/tests/*.sh
	go mod tidy -diff

.PHONY: vulncheck
vulncheck: ## look up known vulnerabilities of what is linked in, in the database of Go or the one that GOVULNDB names
	scripts/vulncheck

.PHONY: coverage
coverage: ## print how much of what runs in the initrd is reached by tests, traced processes and machines; takes an hour
	scripts/coverage

.PHONY: fuzz
fuzz: ## fuzz every parser for FUZZTIME each (30s)
	scripts/fuzz $(FUZZTIME)

.PHONY: bench
bench: ## measure against the limits: C programs, shell scripts, mount units
	scripts/install-tools bench
	go run ./bench

.PHONY: clean
clean: ## remove what was built here; downloads for the virtual machines stay
	rm -rf build
