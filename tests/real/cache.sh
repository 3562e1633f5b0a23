# Sourced: `cache` is the folder where what the tests install is kept. Real tracers go there once: ddtrace and Flask from PyPI, dd-trace and
# Express from npm, in the versions that the examples ask for; dd-trace-go from the module proxy.
cache=$PWD/tests/.cache
mkdir -p "$cache"

# python_tracer: makes $cache/python, a virtual environment with the Python example's requirements.
python_tracer() {
    local stamp=$cache/python/requirements.txt
    cmp -s examples/python/requirements.txt "$stamp" && return
    rm -rf "$cache/python"
    python3 -m venv "$cache/python" && "$cache/python/bin/pip" install -q -r examples/python/requirements.txt &&
        cp examples/python/requirements.txt "$stamp"
}

# node_tracer: makes $cache/node, with the Node example's dependencies in node_modules.
node_tracer() {
    cmp -s examples/node/package.json "$cache/node/package.json.installed" && return
    rm -rf "$cache/node"
    mkdir -p "$cache/node"
    cp examples/node/package.json "$cache/node/"
    npm install --prefix "$cache/node" --omit=dev --no-audit --no-fund --silent && cp examples/node/package.json "$cache/node/package.json.installed"
}

# go_tracer: makes $cache/go/app, an app with the Go tracer. Its modules come through the module proxy, in the versions that go.sum names.
go_tracer() {
    local stamp=$cache/go/sources
    cat tests/real/go/* | cmp -s - "$stamp" && return
    rm -rf "$cache/go"
    mkdir -p "$cache/go"
    go build -C tests/real/go -buildvcs=false -o "$cache/go/app" . && cat tests/real/go/* >"$stamp"
}

# python_otlp: makes $cache/otlp-python, a virtual environment with OpenTelemetry's SDK and its exporters.
python_otlp() {
    local wanted=tests/real/otlp/requirements.txt
    cmp -s "$wanted" "$cache/otlp-python/requirements.txt" && return
    rm -rf "$cache/otlp-python"
    python3 -m venv "$cache/otlp-python" && "$cache/otlp-python/bin/pip" install -q -r "$wanted" && cp "$wanted" "$cache/otlp-python/requirements.txt"
}

# node_otlp: makes $cache/otlp-node, with OpenTelemetry's SDK in node_modules.
node_otlp() {
    local wanted=tests/real/otlp/package.json
    cmp -s "$wanted" "$cache/otlp-node/package.json.installed" && return
    rm -rf "$cache/otlp-node"
    mkdir -p "$cache/otlp-node"
    cp "$wanted" "$cache/otlp-node/"
    npm install --prefix "$cache/otlp-node" --omit=dev --no-audit --no-fund --silent && cp "$wanted" "$cache/otlp-node/package.json.installed"
}
