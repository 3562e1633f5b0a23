#!/bin/bash
# Builds the release image and the two example images with the Dockerfiles as they are, on bases made here: a Debian root by debootstrap,
# packages fetched by the host's own pip and npm, the host's Rust toolchain. No image registry is asked for anything.
#
#   DOCKER_HOST=... bash tests/real/images.sh
#
# Makes: pillion-test/release, pillion-test/python, pillion-test/node (where the host has node), pillion-test/shell-form.
# What is made once is kept in tests/.cache and in the daemon's store, and used again.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/real/cache.sh

readonly suite=bookworm python=3.11
export DOCKER_BUILDKIT=0 # The classic builder is in every version and needs no plugin.

say() { printf 'images: %s\n' "$*"; }

has() { docker image inspect "$1" >/dev/null 2>&1; }

# build TAG CONTEXT [ARG...]: quiet, the log is shown when it fails.
build() {
    local tag=$1 context=$2 log start=$SECONDS
    shift 2
    log=$(mktemp)
    if ! docker build --network none -t "$tag" "$@" "$context" >"$log" 2>&1; then
        tail -60 "$log" >&2
        rm -f "$log"
        say "$tag cannot be built" >&2
        return 1
    fi
    rm -f "$log"
    say "$tag: $((SECONDS - start)) s"
}

debian_base() {
    has pillion-test/debian && return
    if [ ! -s "$cache/debian.tar" ]; then
        say "a Debian root by debootstrap"
        local root
        root=$(mktemp -d "$cache/debian.XXXXXX")
        debootstrap --variant=minbase --include=ca-certificates,gcc,libc6-dev,python3,python3-pip,python3-venv "$suite" "$root" >"$cache/debootstrap.log" 2>&1 ||
            { tail -20 "$cache/debootstrap.log" >&2; rm -rf "$root"; return 1; }
        rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/doc "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
        ln -sf python3 "$root/usr/bin/python"
        tar -C "$root" --exclude='./dev/*' --exclude='./proc/*' -cf "$cache/debian.tar.part" .
        mv "$cache/debian.tar.part" "$cache/debian.tar"
        rm -rf "$root"
    fi
    docker import "$cache/debian.tar" pillion-test/debian >/dev/null
}

# named NAME FILE: the tag of a base that has in it what FILE asks for.
named() { printf 'pillion-test/%s:%s' "$1" "$(sha256sum "$2" | cut -c1-12)"; }

# python:3.12-slim's place: an interpreter and pip, which finds the wheels without a network.
python_base() {
    python_base=$(named python-base examples/python/requirements.txt)
    has "$python_base" && return
    local context
    context=$(mktemp -d "$cache/python-base.XXXXXX")
    "$cache/python/bin/pip" download -q --python-version "$python" --only-binary=:all: -d "$context/wheels" -r examples/python/requirements.txt
    cat >"$context/Dockerfile" <<'DOCKERFILE'
FROM pillion-test/debian
COPY wheels /wheels
ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels PIP_ROOT_USER_ACTION=ignore
DOCKERFILE
    build "$python_base" "$context"
    rm -rf "$context"
}

# node:20-slim's place: the host's node and npm, with npm's cache of what the example asks for.
node_base() {
    node_base=$(named node-base examples/node/package.json)
    has "$node_base" && return
    local context npm
    context=$(mktemp -d "$cache/node-base.XXXXXX")
    npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
    cp examples/node/package.json "$context/"
    npm install --prefix "$context" --cache "$context/npm-cache" --omit=dev --no-audit --no-fund --silent
    rm -rf "$context/node_modules" "$context"/package*.json
    cp -rL "$npm" "$context/npm"
    cp "$(readlink -f "$(command -v node)")" "$context/node"
    cat >"$context/Dockerfile" <<'DOCKERFILE'
FROM pillion-test/debian
COPY node /usr/bin/node
COPY npm /usr/lib/node_modules/npm
COPY npm-cache /npm-cache
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/bin/npm
ENV NPM_CONFIG_CACHE=/npm-cache NPM_CONFIG_OFFLINE=true NPM_CONFIG_AUDIT=false NPM_CONFIG_FUND=false
DOCKERFILE
    build "$node_base" "$context"
    rm -rf "$context"
}

# rust:alpine's place: the host's toolchain and the crates of Cargo.lock, on glibc.
rust_base() {
    local context
    rust_base=$(named rust-base Cargo.lock)
    has "$rust_base" && return
    context=$(mktemp -d "$cache/rust-base.XXXXXX")
    mkdir -p "$context/toolchain" "$context/cargo"
    tar -C "$(rustc --print sysroot)" --exclude='bin/*clippy*' --exclude='bin/rustdoc' --exclude='lib/rustlib/src' -cf - bin lib |
        tar -C "$context/toolchain" -xf -
    cargo vendor --quiet --locked --versioned-dirs "$context/vendor" >/dev/null
    printf '[source.crates-io]\nreplace-with = "vendor"\n[source.vendor]\ndirectory = "/vendor"\n' >"$context/cargo/config.toml"
    cat >"$context/Dockerfile" <<'DOCKERFILE'
FROM pillion-test/debian
COPY toolchain /usr/local
COPY vendor /vendor
COPY cargo /cargo
ENV CARGO_HOME=/cargo CARGO_NET_OFFLINE=true
DOCKERFILE
    build "$rust_base" "$context"
    rm -rf "$context"
}

busybox_image() {
    has pillion-test/busybox && return
    local context
    context=$(mktemp -d "$cache/busybox.XXXXXX")
    mkdir -p "$context/bin"
    cp "$(command -v busybox)" "$context/bin/busybox"
    for applet in sh sleep cat grep; do ln -s busybox "$context/bin/$applet"; done
    tar -C "$context" -c . | docker import - pillion-test/busybox >/dev/null
    rm -rf "$context"
}

# What many people have: the binary under the name datadog-init, and a command in shell form.
shell_form_image() {
    local context
    context=$(mktemp -d "$cache/shell-form.XXXXXX")
    cat >"$context/Dockerfile" <<'DOCKERFILE'
FROM pillion-test/release AS pillion
FROM pillion-test/busybox
COPY --from=pillion /datadog-init /app/datadog-init
ENTRYPOINT ["/app/datadog-init"]
CMD exit 42
DOCKERFILE
    build pillion-test/shell-form "$context"
    rm -rf "$context"
}

debian_base
rust_base
build pillion-test/release . -f docker/Dockerfile --build-arg "BUILD_BASE=$rust_base"
busybox_image
shell_form_image
python_base
build pillion-test/python examples/python --build-arg "BASE=$python_base" --build-arg PILLION=pillion-test/release
if command -v node >/dev/null && command -v npm >/dev/null; then
    node_base
    build pillion-test/node examples/node --build-arg "BASE=$node_base" --build-arg PILLION=pillion-test/release
else
    say "the Node image: skipped: no node and npm on this machine"
fi
