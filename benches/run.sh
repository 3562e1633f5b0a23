#!/usr/bin/env bash
# Measures everything that BENCHMARKS.md says and puts the tables into it.
# usage: bash benches/run.sh [--quick]     needs: cargo, gcc, musl-gcc for the smaller binary; for the peers: go, pip, and tini
# (apt-get install musl-tools tini)
#
# Run it on a machine that does nothing else: the load, pillion and the intake's stand-in share its CPUs.
# Without Go or pip the peer that needs it is left out; --quick runs each load for 3 s instead of 10.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=10
[ "${1:-}" != --quick ] || seconds=3
peers=target/peers
mkdir -p "$peers"

# The static binary: with musl where its standard library and compiler are there, else with glibc.
target=x86_64-unknown-linux-musl
rustup target add "$target" >/dev/null 2>&1 || true
if command -v musl-gcc >/dev/null && [ -e "$(rustc --print target-libdir --target "$target")" ]; then
    cargo build --release --locked --bin pillion --target "$target"
else
    target=x86_64-unknown-linux-gnu
    cargo static --locked
fi
echo "built pillion, static, for $target"
programs=("pillion=target/$target/release/pillion")

if command -v go >/dev/null; then
    echo "building the Go agent"
    (cd benches/peers/go-agent && go build -trimpath -ldflags '-s -w' -o "../../../$peers/go-agent" .)
    programs+=("go-agent=$peers/go-agent")
fi

if command -v pip >/dev/null; then
    echo "fetching datadog-serverless-compat"
    wheel=datadog-serverless-compat==0.19.0
    pip download --quiet --no-deps --dest "$peers" "$wheel"
    python3 -m zipfile -e "$peers"/datadog_serverless_compat-*.whl "$peers/compat"
    compat=$peers/compat/datadog_serverless_compat/bin/linux-amd64/datadog-serverless-compat
    chmod +x "$compat"
    # It starts only where it takes the machine for Azure Functions, which it tells by this folder.
    if mkdir -p /home/site/wwwroot 2>/dev/null && echo '{"version": "2.0"}' > /home/site/wwwroot/host.json; then
        programs+=("serverless-compat=$compat")
    fi
fi

echo "measuring the start"
# Wrappers alternate with a plain exec; tini is measured where it is installed.
cargo bench --profile dev --bench start -- "target/$target/release/pillion" | tee "$peers/start.txt"
echo "measuring the load"
cargo bench --profile load --bench load -- "${programs[@]}" --seconds "$seconds" --write --start "$peers/start.txt"
echo "measuring metrics, and a process that is left alone"
cargo bench --profile dev --bench dogstatsd -- "target/$target/release/pillion" --write
echo "measuring logs"
cargo bench --profile dev --bench output -- "target/$target/release/pillion" --write
