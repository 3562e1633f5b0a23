# Sourced: `daemon` finds a Docker daemon or starts one of its own, without a bridge and without iptables, so that it runs in a bare sandbox
# too (the networks of compose files are bridges all the same, where the machine has them); `daemon_stop` ends the one that it started. Images
# are kept in tests/.cache/docker for the next run.
daemon_reason=
daemon_pid=

daemon() {
    command -v docker >/dev/null || { daemon_reason="no docker command"; return 1; }
    timeout 10 docker info >/dev/null 2>&1 && return 0
    [ "$(id -u)" = 0 ] || { daemon_reason="no daemon answers, and only root can start one"; return 1; }
    command -v dockerd >/dev/null || { daemon_reason="no dockerd"; return 1; }
    daemon_run=$(mktemp -d)
    export DOCKER_HOST=unix://$daemon_run/docker.sock
    dockerd --iptables=false --bridge=none --data-root "$cache/docker" --exec-root "$daemon_run/exec" --pidfile "$daemon_run/pid" \
        -H "$DOCKER_HOST" >"$daemon_run/log" 2>&1 </dev/null &
    daemon_pid=$!
    trap daemon_stop EXIT
    local deadline=$((SECONDS + 60))
    until timeout 10 docker info >/dev/null 2>&1; do
        if ! kill -0 "$daemon_pid" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
            daemon_reason=$(tail -1 "$daemon_run/log" | cut -c1-300)
            daemon_stop
            return 1
        fi
        sleep 0.2
    done
}

daemon_stop() {
    [ -n "$daemon_pid" ] || return 0
    kill -TERM "$daemon_pid" 2>/dev/null
    wait "$daemon_pid" 2>/dev/null
    daemon_pid=
    rm -rf "$daemon_run"
}
