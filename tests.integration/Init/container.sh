#!/bin/bash
# container.sh DIR PROGRAM [ARGS] — a container made of namespaces: this machine's files below DIR/upper, DIR/data as the volume.
# Started by unshare with a mount, a process and a network namespace of its own; PROGRAM becomes process 1.
set -e
dir=$1; shift
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
mkdir -p "$dir/root/.data"
mount --bind "$dir/data" "$dir/root/.data"
mount --rbind /dev "$dir/root/dev"
mount -t proc proc "$dir/root/proc"
mount -t tmpfs tmpfs "$dir/root/run"
mount -t tmpfs -o mode=1777 tmpfs "$dir/root/tmp"
ip link set lo up
cd /
exec chroot "$dir/root" "$@"
