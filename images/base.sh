#!/usr/bin/env bash
# images/base.sh debian|alpine|fedora — prints the name of the base image, making it first where it is missing.
# Where a registry answers it is the distribution's own image. Where none does, Debian comes from its package archive, Alpine from its
# minimal root file system where there is one (DISCOBOT_ROOTFS_DIR, or ../shared/rootfs); otherwise Alpine and Fedora are stand-ins:
# Debian's packages in their layout. Where a registry has come within reach later, `docker image rm` of the stand-in makes it asked again.
. "$(dirname "$0")/../build/common.sh"

have() { docker image inspect "$1" >/dev/null 2>&1; }
pull() { timeout 300 docker pull -q "$1" >/dev/null 2>&1; }

debian() {
    local image=discobot-base/debian:12 root
    if have debian:12-slim || { ! have $image && pull debian:12-slim; }; then echo debian:12-slim; return; fi
    if ! have $image; then
        [ "$(id -u)" = 0 ] || die "debian:12-slim cannot be pulled, and only root can make it from Debian's packages"
        need mmdebstrap debian-archive-keyring
        say "making $image from Debian's package archive"
        root=$(mktemp -u --suffix=.tar)
        mmdebstrap --quiet --variant=minbase --include=ca-certificates bookworm "$root" >&2 || { rm -f "$root"; die "mmdebstrap failed"; }
        docker import "$root" $image >/dev/null
        rm -f "$root"
    fi
    echo $image
}

alpine() {
    local image=discobot-base/alpine:3.20 place archive
    if have alpine:3.20 || { ! have $image && ! have discobot-base/alpine:stand-in && pull alpine:3.20; }; then echo alpine:3.20; return; fi
    if have $image; then echo $image; return; fi
    for place in "${DISCOBOT_ROOTFS_DIR:-}" ../shared/rootfs; do
        archive=$(ls "$place"/alpine-minirootfs-3.20.*-"$(uname -m)".tar.gz 2>/dev/null | head -1) || true
        [ -n "$archive" ] || continue
        say "making $image from $archive"
        docker import "$archive" $image >/dev/null
        echo $image
        return
    done
    stand_in alpine "musl and BusyBox of Debian's packages in Alpine's layout"
}

fedora() {
    if have fedora:42 || { ! have discobot-base/fedora:stand-in && pull fedora:42; }; then echo fedora:42; return; fi
    stand_in fedora "Debian's packages in Fedora's layout"
}

# stand_in DISTRO WORDS — what takes the place of a base that cannot be had. Made again when its recipe or Debian's base changed.
stand_in() {
    local image=discobot-base/$1:stand-in
    have $image || say "making $image, $2: NOT ${1^}"
    DOCKER_BUILDKIT=0 docker build -q --build-arg BASE="$(debian)" -t "$image" "images/$1/stand-in" >artifacts/image.log 2>&1 \
        || { cat artifacts/image.log >&2; die "$image could not be built"; }
    echo "$image"
}

case ${1:-} in
    debian | alpine | fedora) "$1" ;;
    *) die "usage: images/base.sh debian|alpine|fedora" ;;
esac
