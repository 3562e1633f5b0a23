# Sourced: `cache` is the folder where what the tests install is kept. Real tracers go there once: ddtrace and Flask from PyPI, dd-trace and
# Express from npm, in the versions that the examples ask for.
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
