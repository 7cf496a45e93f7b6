# Each target is a few lines; what is longer is in scripts/.
PROGRAMS = -p node-exporter -p alert-router -p provisioner
PROVISIONER = target/release/provisioner
# What `make up` starts besides, with commas between: cassandra, ledger, traefik; or all.
WITH ?=
comma := ,
PARTS := $(subst $(comma), ,$(WITH))
PROGRAMS += $(patsubst %,-p %-exporter,$(filter cassandra traefik,$(PARTS:all=cassandra traefik)))
export BUILD_REVISION := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

.PHONY: up down test tofu bench crash fuzz lint deny dist

## Build, start the local network, wait until it is healthy; WITH=cassandra,ledger,traefik, or all, starts those and their exporters too.
up:
	@scripts/tools.sh
	cargo build --release --locked $(PROGRAMS)
	$(PROVISIONER) local up $(addprefix --with=,$(PARTS))

## Stop the local network.
down:
	@test -x $(PROVISIONER) && $(PROVISIONER) local down || echo "nothing was built here, so nothing runs"

## Everything, from unit tests to the real Prometheus.
test:
	@scripts/tools.sh
	@scripts/test.sh

## Terraform's tests with OpenTofu in its place, which is built once, in some minutes.
tofu:
	@scripts/tools.sh
	PARTS_TERRAFORM=tofu cargo test --locked -p provisioner --test terraform

## Our programs beside those whose place they take, in one run; written to BENCHMARKS.md. PART=alert-router measures one.
bench:
	@scripts/tools.sh
	cargo build --release --locked -p node-exporter -p alert-router -p cassandra-exporter -p traefik-exporter -p provisioner -p bench
	target/release/bench $(PART)

## Kills alert-router at hundreds of random points under load, and fails its disk; CRASH_ROUNDS, CRASH_SEED.
crash:
	cargo test --locked -p alert-router --test crash

## Each fuzz target for a minute; needs cargo-fuzz, which it builds once.
fuzz:
	@scripts/fuzz.sh

## What CI holds besides the tests.
lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

## Bans, licences and sources of dependencies; builds cargo-deny once.
deny:
	@scripts/deny.sh

## What is handed out: packages, archives, SBOMs, sums and their signature, in dist/; DIST_KEY names minisign's secret key.
dist:
	@scripts/tools.sh
	@scripts/dist.sh
