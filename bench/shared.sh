#!/usr/bin/env bash
# bench/shared.sh [MEGABYTES] — what 20 containers on two machines take from the origin of one set of images (1,000 MB), and what an outage of their
# store costs a pull; see docs/scale.md. Needs root: machines are network namespaces, each behind a link of 100 Mbit/s.
. "$(dirname "$0")/../build/common.sh"

megabytes=${1:-1000} binary=$(realpath "${BENCH_BINARY:-artifacts/discobot}")
[ "$(id -u)" = 0 ] || die "the machines are namespaces: please run it as root"
[ -x "$binary" ] || die "there is no $binary: run make binary"
need_programs ip:iproute2 python3:python3 unshare:util-linux
mkdir -p artifacts/bench
work=$(mktemp -d "${TMPDIR:-/tmp}/discobot-shared.XXXXXX")
trap 'rm -rf "$work"' EXIT
unshare --mount --net --pid --fork --mount-proc --kill-child bash -ec '
    work=$0
    mkdir -p /run/netns
    mount -t tmpfs none /run/netns
    printf "127.0.0.1 localhost\n10.198.60.1 origin.test\n10.198.60.2 store.test\n" >"$work/hosts"
    mount --bind "$work/hosts" /etc/hosts
    ip link set lo up
    ip address add 10.198.60.1/32 dev lo
    ip address add 10.198.60.2/32 dev lo
    for machine in 1 2; do
        ip netns add machine$machine
        ip link add link$machine type veth peer name eth0 netns machine$machine
        ip address add 10.198.6$machine.1/24 dev link$machine
        ip link set link$machine up
        ip -n machine$machine link set lo up
        ip -n machine$machine address add 10.198.6$machine.2/24 dev eth0
        ip -n machine$machine link set eth0 up
        ip -n machine$machine route add default via 10.198.6$machine.1
        # Both directions of the line. There is no delay in it, which takes netem, and not every kernel has that.
        tc qdisc add dev link$machine root tbf rate 100mbit burst 64kb latency 100ms
        tc -n machine$machine qdisc add dev eth0 root tbf rate 100mbit burst 64kb latency 100ms
    done
    exec python3 -B bench/shared.py "$work" "$1" "$2"' "$work" "$binary" "$megabytes" | tee artifacts/bench/shared.log
exit "${PIPESTATUS[0]}"
