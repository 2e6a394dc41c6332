#!/usr/bin/env bash
# build/engine.sh COMMAND... — runs a command with a Docker engine at hand. An engine that already answers is used;
# otherwise one is started, and stopped again with everything it put on the machine's network.
. "$(dirname "$0")/common.sh"

answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

if answers; then exec "$@"; fi
[ -z "${DOCKER_HOST:-}" ] || die "no Docker engine answers at DOCKER_HOST=$DOCKER_HOST"
[ "$(id -u)" = 0 ] || die "no Docker engine answers at /var/run/docker.sock and only root can start one; start Docker, or run this as root"
need_programs dockerd:docker.io iptables:iptables ip:iproute2
# Debian packages the client by itself since version 13.
command -v docker >/dev/null || need docker-cli
command -v dockerd >/dev/null || die "docker.io is installed, yet there is no dockerd on the PATH"

mkdir -p artifacts
log=$PWD/artifacts/dockerd.log
before=$(mktemp -d)
iptables-save >"$before/rules" 2>/dev/null || true
# A table that nobody has touched yet is not in the list; put back, it is empty.
grep -qs '^\*filter' "$before/rules" || printf '*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n' >>"$before/rules"
grep -qs '^\*nat' "$before/rules" || printf '*nat\nCOMMIT\n' >>"$before/rules"
forward=$(cat /proc/sys/net/ipv4/ip_forward 2>/dev/null || echo 0)
bridged=$(ip -o link show docker0 2>/dev/null || true)

say "starting a Docker engine (log: artifacts/dockerd.log)"
dockerd >"$log" 2>&1 &
engine=$!

stop_engine() {
    local code=$?
    trap - EXIT INT TERM
    say "stopping the Docker engine"
    kill "$engine" 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
    [ -n "$bridged" ] || ip link delete docker0 2>/dev/null || true
    iptables-restore <"$before/rules" 2>/dev/null || true
    { echo "$forward" >/proc/sys/net/ipv4/ip_forward; } 2>/dev/null || true
    rm -rf "$before"
    exit "$code"
}
trap stop_engine EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

for _ in $(seq 60); do
    if answers; then break; fi
    kill -0 "$engine" 2>/dev/null || { tail -20 "$log" >&2; die "dockerd ended; its last words stand above"; }
    sleep 0.5
done
answers || { tail -20 "$log" >&2; die "dockerd did not answer within 30 s; its last words stand above"; }
"$@"
