# Sourced: `cache` is the folder where what the tests install is kept. Real tracers go there once: ddtrace and Flask from PyPI, dd-trace and
# Express from npm, in the versions that the examples ask for; dd-trace-go from the module proxy. So do clients of DogStatsD and OpenTelemetry's SDKs.
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

# python_platforms: makes $cache/platforms, a virtual environment with the tracer and Datadog's DogStatsD client.
python_platforms() {
    local wanted=tests/real/platforms/requirements.txt
    cmp -s "$wanted" "$cache/platforms/requirements.txt" && return
    rm -rf "$cache/platforms"
    python3 -m venv "$cache/platforms" && "$cache/platforms/bin/pip" install -q -r "$wanted" && cp "$wanted" "$cache/platforms/requirements.txt"
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

# node_dogstatsd: makes $cache/hot-shots, with hot-shots in node_modules. Its module for unix sockets is built there, if that can be done.
node_dogstatsd() {
    local wanted=tests/real/dogstatsd/hot-shots/package.json
    cmp -s "$wanted" "$cache/hot-shots/package.json.installed" && return
    rm -rf "$cache/hot-shots"
    mkdir -p "$cache/hot-shots"
    cp "$wanted" "$cache/hot-shots/"
    npm install --prefix "$cache/hot-shots" --omit=dev --no-audit --no-fund --silent && cp "$wanted" "$cache/hot-shots/package.json.installed"
}

# node_unix_sockets: whether that module is there.
node_unix_sockets() { NODE_PATH=$cache/hot-shots/node_modules node -e 'require("unix-dgram")' 2>/dev/null; }

# go_dogstatsd: makes $cache/go-dogstatsd/app, an app with datadog-go.
go_dogstatsd() {
    local stamp=$cache/go-dogstatsd/sources
    cat tests/real/dogstatsd/go/* | cmp -s - "$stamp" && return
    rm -rf "$cache/go-dogstatsd"
    mkdir -p "$cache/go-dogstatsd"
    go build -C tests/real/dogstatsd/go -buildvcs=false -o "$cache/go-dogstatsd/app" . && cat tests/real/dogstatsd/go/* >"$stamp"
}

# java_dogstatsd: makes $cache/java-dogstatsd: the jars that jars.sha256 names, from Maven Central, and the app's class.
java_dogstatsd() {
    local sources=tests/real/dogstatsd/java into=$cache/java-dogstatsd sum path
    cat $sources/* | cmp -s - "$into/sources" && return
    rm -rf "$into"
    mkdir -p "$into/jars" "$into/classes"
    while read -r sum path; do
        curl -sSf -m 120 -o "$into/jars/${path##*/}" "https://repo1.maven.org/maven2/$path" &&
            echo "$sum  $into/jars/${path##*/}" | sha256sum -c --quiet || return 1
    done <$sources/jars.sha256
    javac -encoding UTF-8 -d "$into/classes" -cp "$into/jars/*" $sources/App.java && cat $sources/* >"$into/sources"
}
