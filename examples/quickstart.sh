#!/bin/bash
# See the traces of a Flask app in the terminal, with no account: builds pillion, runs examples/python/hello.py under `pillion --view`, asks
# it for four pages, stops it with TERM. Needs Rust, a C compiler, Python 3 with venv, and curl. Leaves nothing running.
#
#   bash examples/quickstart.sh
#   PORT=5051 DD_APM_RECEIVER_PORT=8136 bash examples/quickstart.sh      where 5050 or 8126 is taken
#   PILLION_BIN=/path/to/pillion bash examples/quickstart.sh             with a binary that is there already
set -euo pipefail
cd "$(dirname "$0")/.."

port=${PORT:-5050}
intake=${DD_APM_RECEIVER_PORT:-8126}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pillion-quickstart
pid=

step() { printf '\n=> %s\n' "$*"; }

fail() {
    printf 'quickstart: %s\n' "$*" >&2
    exit 1
}

is_running() { [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; }

# Whatever ends this script also ends what it started: TERM, and after ten seconds KILL.
stop_all() {
    local tries
    for tries in $(seq 100); do
        is_running || return 0
        [ "$tries" != 1 ] || kill -TERM "$pid" 2>/dev/null || true
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
}
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

tools=(python3 curl)
[ -n "${PILLION_BIN:-}" ] || tools+=(cargo cc)
for tool in "${tools[@]}"; do
    command -v "$tool" >/dev/null || fail "$tool is not installed"
done

port_is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
port_is_taken "$port" && fail "port $port is taken by another program: PORT=5051 bash examples/quickstart.sh uses another"
port_is_taken "$intake" && fail "port $intake is taken by another program (a Datadog agent?): DD_APM_RECEIVER_PORT=8136 bash examples/quickstart.sh uses another"

if [ -z "${PILLION_BIN:-}" ]; then
    step "building pillion: cargo build --release (a few minutes the first time)"
    # The repository names a toolchain; where that one can't be had, the default one may do.
    cargo --version >/dev/null 2>&1 || export RUSTUP_TOOLCHAIN=stable
    cargo build --release --locked --bin pillion
fi
pillion=${PILLION_BIN:-${CARGO_TARGET_DIR:-target}/release/pillion}

step "a virtual environment with Flask and ddtrace in $cache"
if ! cmp -s examples/python/requirements.txt "$cache/requirements.txt"; then
    rm -rf "$cache"
    mkdir -p "$cache"
    python3 -m venv "$cache/venv" || fail "python3 can't make a virtual environment: on Debian and Ubuntu, apt-get install python3-venv"
    "$cache/venv/bin/pip" install --quiet -r examples/python/requirements.txt
    cp examples/python/requirements.txt "$cache/requirements.txt"
fi

step "$pillion --view -- ddtrace-run python hello.py"
# Without an API key nothing leaves this machine, and every trace is shown.
env -u DD_API_KEY PATH="$cache/venv/bin:$PATH" HOST=127.0.0.1 PORT="$port" \
    DD_APM_RECEIVER_PORT="$intake" DD_TRACE_AGENT_URL="http://127.0.0.1:$intake" \
    DD_SERVICE=hello-python DD_ENV=quickstart DD_VERSION=1.0.0 \
    "$pillion" --view -- ddtrace-run python examples/python/hello.py &
pid=$!
for _ in $(seq 150); do
    is_running || fail "the app has ended before it answered"
    curl --noproxy '*' -fsS -o /dev/null "http://127.0.0.1:$port/" 2>/dev/null && break
    sleep 0.2
done

step "asking for /, /orders/7, /fail and a page that is not there"
for page in / /orders/7 /fail /nowhere; do
    status=$(curl --noproxy '*' -sS -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port$page")
    printf '   %s → %s\n' "$page" "$status"
done

step "TERM: the app's tracer sends what it still holds, pillion shows it and ends with the app's own exit code"
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
pid=

step "ended with $code (143 is the app's own: ended by TERM). Nothing is left running."
printf '   Kept for the next time: %s and %s\n' "$pillion" "$cache"
