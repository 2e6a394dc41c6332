#!/usr/bin/env bash
# bench/run.sh [--quick] — measures artifacts/discobot against other programs; see docs/bench.md. What it starts lives in namespaces of its own:
# nothing else on the machine sees it, port 443 is free in there, and all of it ends with this script however that ends.
. "$(dirname "$0")/../build/common.sh"

quick=
case ${1:-} in
    "") ;;
    --quick) quick=1 ;;
    *) die "$1 is no option; there is --quick" ;;
esac

# What the quick look cannot see it does not judge: machines without the rights for it get a line instead.
if ! unshare --mount --net --pid --fork --mount-proc true 2>/dev/null; then
    reason="the benchmark makes namespaces of its own (port 443, names, processes), which takes root"
    [ -n "$quick" ] || die "$reason"
    echo "bench-quick: NOT MEASURED: $reason"
    exit 0
fi

packages=(curl hey iproute2 nftables nginx-light openssl python3 util-linux)
binary=${BENCH_BINARY:-artifacts/discobot}
[ -n "$quick" ] || packages+=(dante-server docker-registry microsocks mitmproxy squid-openssl)
[ -x "$binary" ] || die "there is no $binary: run make binary"
need "${packages[@]}"

mkdir -p artifacts/bench
work=$(mktemp -d "${TMPDIR:-/tmp}/discobot-bench.XXXXXX")
inside='ip link set lo up
    echo "20000 65535" >/proc/sys/net/ipv4/ip_local_port_range
    echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse
    printf "127.0.0.1 localhost\n127.0.0.2 origin.bench\n127.0.0.3 slow.bench\n127.0.0.4 mirror.bench\n127.0.0.5 echo.bench\n127.0.0.6 led.bench\n" >"$0/hosts"
    mount --bind "$0/hosts" /etc/hosts
    echo "nameserver 127.0.0.1" >"$0/resolv.conf" && mount --bind "$0/resolv.conf" /etc/resolv.conf
    exec /usr/bin/python3 -B bench/bench.py "$@"'
env -u http_proxy -u https_proxy -u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY -u NO_PROXY -u no_proxy -u SSL_CERT_FILE -u SSL_CERT_DIR \
    unshare --mount --net --pid --fork --kill-child --mount-proc \
    bash -c "$inside" "$work" "$work" "$binary" "$@" &
child=$!
# unshare itself leaves SIGTERM to its child; SIGKILL reaches all of them (--kill-child).
finish() { local code=$?; trap - EXIT; kill -KILL $child 2>/dev/null || true; wait $child 2>/dev/null || true; rm -rf "$work"; exit $code; }
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
wait $child
