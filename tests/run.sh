#!/bin/bash
# Runs every test: the crate's own, then real tracers and containers with the static release binary.
#
#   bash tests/run.sh
#
# As root on Debian or Ubuntu it installs what is missing. What can't be had is skipped with a line that says so; a failure is an exit code.
set -uo pipefail
cd "$(dirname "$0")/.."
# What starts this may ignore signals (nohup, a job in the background), and tests of signals would inherit that.
if [ -z "${PILLION_TESTS_RESET:-}" ] && env --default-signal true 2>/dev/null; then
    PILLION_TESTS_RESET=1 exec env --default-signal bash tests/run.sh "$@"
fi
source tests/real/cache.sh
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}

failures=()
skipped=()

say() { printf '\n=== %s (%d s)\n' "$*" "$SECONDS"; }

# run WHAT COMMAND...: a failure is noted, and the rest is run all the same.
run() {
    local what=$1
    shift
    say "$what"
    "$@" || failures+=("$what")
}

skip() {
    say "$1: skipped: $2"
    skipped+=("$1: $2")
}

# packages: what a minimal Debian lacks. One package that can't be had must not keep the others away.
packages() {
    local missing=() program
    for program in cc:gcc curl:curl tini:tini busybox:busybox-static unshare:util-linux script:bsdutils runsc:runsc \
        dockerd:docker.io docker-compose:docker-compose debootstrap:debootstrap python3:python3 node:nodejs npm:npm; do
        PATH=$PATH:/usr/sbin:/sbin command -v "${program%%:*}" >/dev/null || missing+=("${program#*:}")
    done
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        printf 'missing, and not installed here: %s\n' "${missing[*]}"
        return 0
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q >/dev/null 2>&1
    apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null 2>&1 && return 0
    for program in "${missing[@]}"; do
        apt-get install -y -q --no-install-recommends "$program" >/dev/null 2>&1 || printf 'cannot be installed: %s\n' "$program"
    done
}

# release: the binary as it ships, PILLION_BIN. The toolchain that the repository names may be there under another name only.
release() {
    cargo --version >/dev/null 2>&1 || export RUSTUP_TOOLCHAIN=stable
    local target=${CARGO_TARGET_DIR:-$PWD/target}
    case $(rustc -vV | sed -n 's/^host: //p') in
    *-musl) cargo build --release --locked --bin pillion && PILLION_BIN=$target/release/pillion ;;
    *) cargo static --locked && PILLION_BIN=$target/x86_64-unknown-linux-gnu/release/pillion ;;
    esac || return 1
    export PILLION_BIN
    ls -l "$PILLION_BIN"
}

# ignored MODULE OPTION...: the tests of tests/it/MODULE.rs, which an ordinary `cargo test` leaves out.
ignored() { cargo test --test it -- --ignored --nocapture --test-threads=1 "$1::" "${@:2}"; }

PATH=$PATH:/usr/sbin:/sbin
say "packages"
packages
say "the static release binary"
release || { echo "the release binary can't be built" >&2; exit 1; }

# As many short apps as the complaint about lost lines was about.
PILLION_LOG_RUNS=1000 run "the crate's tests" cargo test --no-fail-fast

# The images take minutes of one CPU, and what comes next waits for tracers most of the time: both at once.
source tests/real/dockerd.sh
images='' images_log=$(mktemp)
if daemon; then
    bash tests/real/images.sh >"$images_log" 2>&1 &
    images=$!
fi

if python_tracer; then
    run "real Python tracer" ignored real_python
    run "the quickstart" ignored quickstart
else
    skip "real Python tracer" "ddtrace can't be installed here"
fi
if python_platforms; then
    run "an app on every platform" ignored real_platforms
else
    skip "an app on every platform" "ddtrace or datadogpy can't be installed here"
fi
if command -v node >/dev/null && command -v npm >/dev/null && node_tracer; then
    run "real Node tracer" ignored real_node
else
    skip "real Node tracer" "node, npm or dd-trace can't be had here"
fi

if command -v go >/dev/null && go_tracer; then
    run "real Go tracer" ignored real_go
else
    skip "real Go tracer" "go or dd-trace-go can't be had here"
fi

if python_otlp && command -v node >/dev/null && command -v npm >/dev/null && node_otlp; then
    run "real OpenTelemetry SDKs" ignored real_otlp
    run "their metrics and logs" ignored real_otlp_signals
else
    skip "real OpenTelemetry SDKs" "the SDKs for Python and Node can't be had here"
fi

if command -v node >/dev/null && command -v npm >/dev/null && node_dogstatsd; then
    sockets=()
    if ! node_unix_sockets; then
        skip "hot-shots by a unix socket" "its module unix-dgram can't be built here"
        sockets=(--skip by_a_unix_socket)
    fi
    run "hot-shots" ignored real_dogstatsd::hot_shots "${sockets[@]}"
else
    skip "hot-shots" "node, npm or hot-shots can't be had here"
fi
if command -v go >/dev/null && go_dogstatsd; then
    run "datadog-go" ignored real_dogstatsd::datadog_go
else
    skip "datadog-go" "go or datadog-go can't be had here"
fi
if command -v javac >/dev/null && java_dogstatsd; then
    run "java-dogstatsd-client" ignored real_dogstatsd::java
else
    skip "java-dogstatsd-client" "a JDK or the client can't be had here"
fi

say "images"
if [ -n "$images" ]; then
    if wait "$images"; then built=yes; else built=no; failures+=("images"); fi
    cat "$images_log"
    [ "$built" = no ] || run "containers" ignored docker
    daemon_stop
else
    skip "containers" "no Docker daemon can be started here ($daemon_reason)"
fi

say "done"
for what in "${skipped[@]}"; do echo "skipped: $what"; done
for what in "${failures[@]}"; do echo "FAILED: $what"; done
[ ${#failures[@]} -eq 0 ]
