#!/bin/bash
# Records what the programs print to stderr: one file for each. Needs Python 3.11, a JDK, Go, Node and Rust. Where they are installed is taken out.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p /app && cp "$here"/programs/* /app && cd /app
python_lib=$(python3 -c 'import os; print(os.path.dirname(os.__file__))')
go_root=$(go env GOROOT)

record() { # name command...
    local name=$1
    shift
    timeout 20 "$@" 2>&1 >/dev/null | sed -e "s|$python_lib|/usr/lib/python3|g" -e "s|$go_root|/usr/local/go|g" >"$here/$name.log" || true
}

for case in uncaught caught logged logged_with_time threads tasks group syntax recursion pool process pretty; do
    record "python-$case" python3 traces.py "$case"
done
javac Traces.java
for case in uncaught multiline printed threads future logged; do
    record "java-$case" java Traces "$case"
done
# The form that Logback has unless it is told otherwise.
form='%1$tH:%1$tM:%1$tS.%1$tL [main] %4$s %3$s - %5$s%6$s%n'
record java-logged_with_time java "-Djava.util.logging.SimpleFormatter.format=$form" Traces logged
go build -o traces-go traces.go
go build -o deadlock-go deadlock.go
record go-deadlock ./deadlock-go
for case in panic again nil goroutines http printed pretty; do
    record "go-$case" ./traces-go "$case"
done
record go-all env GOTRACEBACK=all ./traces-go goroutines
record go-quit ./traces-go quit
for case in uncaught printed async rejected rejectedValue emitted aggregate thrown traced pretty; do
    record "node-$case" node traces.js "$case"
done
rustc -O -o traces-rust traces.rs
for case in main thread; do
    record "rust-$case" env RUST_BACKTRACE=1 ./traces-rust "$case"
done
