#!/usr/bin/env bash
# bench/egress_start.sh [STARTS] — what egress.mode redirect and enforce add to the start of a container, by turns with open.
. "$(dirname "$0")/../build/common.sh"

binary=${BENCH_BINARY:-artifacts/discobot}
[ -x "$binary" ] || die "there is no $binary: run make binary"
need_programs python3:python3 ip:iproute2 unshare:util-linux
exec env -u http_proxy -u https_proxy -u HTTP_PROXY -u HTTPS_PROXY unshare --mount --net --pid --fork --kill-child --mount-proc \
    python3 -B bench/egress_start.py "$(realpath "$binary")" "$@"
