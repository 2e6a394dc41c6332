#!/usr/bin/env bash
# bench/soak.sh — MINUTES (20) of mixed load with faults; ends with a table. Needs root: the network, the names and the full disk are of its own namespaces.
. "$(dirname "$0")/../build/common.sh"

minutes=${MINUTES:-20}
[ "$(id -u)" = 0 ] || die "the soak makes namespaces: please run it as root"
need_programs ip:iproute2 nft:nftables openssl:openssl python3:python3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=soak CA" -keyout "$work/ca.key" -out "$work/ca.pem" 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj "/CN=origin.test" -keyout "$work/server.key" -out "$work/server.csr" 2>/dev/null
printf 'subjectAltName=DNS:origin.test\n' >"$work/san"
openssl x509 -req -in "$work/server.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 2 -extfile "$work/san" -out "$work/server.pem" 2>/dev/null
say "soaking for $minutes minutes"
unshare -m -n -p -f --mount-proc --kill-child bash -ec '
    work=$1; mkdir "$work/disk"; mount -t tmpfs -o size=64m tmpfs "$work/disk"
    printf "nameserver 10.198.51.53\noptions timeout:1 attempts:1\n" >"$work/resolv.conf"; mount --bind "$work/resolv.conf" /etc/resolv.conf
    ip link set lo up; ip link add soak type veth peer name beyond; ip link set soak up; ip link set beyond up
    for address in 10.198.51.1 10.198.51.53 10.198.51.77; do ip address add $address/24 dev soak; done
    nft "add table ip soak; add chain ip soak out { type nat hook output priority -100; }; add rule ip soak out ip saddr 10.198.51.77 tcp dport 80 redirect to :17090"
    exec python3 bench/soak.py "$work" "$2" "$3"' bash "$work" "$PWD/artifacts/native/discobot" "$minutes" | tee artifacts/soak.log
exit "${PIPESTATUS[0]}"
