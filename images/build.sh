#!/usr/bin/env bash
# images/build.sh [--with-tests] — makes discobot:debian, :alpine, :fedora and :scratch around artifacts/discobot,
# and with --with-tests also discobot-test/tools, where the real servers of the integration tests live, and discobot-test/debian,
# /alpine and /fedora, the images with more clients in them.
. "$(dirname "$0")/../build/common.sh"

[ -x artifacts/discobot ] || die "artifacts/discobot is missing; run: make binary"
export DOCKER_BUILDKIT=0

# The build context is one folder with the executable in it, by the name that it has in a release, so nothing else of the checkout is sent to the
# engine. BuildKit says by itself which machine an image is for; the engine's own builder has to be told.
machine=$(own_machine)
context=artifacts/image
rm -rf $context
mkdir -p $context
cp --reflink=auto -p artifacts/discobot $context/discobot-linux-$machine

image() {
    local name=$1; shift
    docker build -q --build-arg TARGETARCH=$machine -t "$name" "$@" >artifacts/image.log 2>&1 || { cat artifacts/image.log >&2; die "$name could not be built"; }
}

stand_in() { docker image inspect -f '{{with .Config.Labels}}{{index . "discobot.stand-in"}}{{end}}' "$1"; }

# What it is, and that it is not what its name says where a stand-in took the base's place.
describe() {
    local size kind
    size=$(docker image inspect -f '{{.Size}}' "discobot:$1" | numfmt --to=si)
    kind=$(stand_in "discobot:$1")
    say "discobot:$1 (${size}B)${kind:+, a STAND-IN: $kind}"
}

for distro in debian alpine fedora; do
    base=$(images/base.sh $distro)
    args=(--build-arg SDK="$base" --build-arg BASE="$base")
    case $distro in
        alpine)
            args+=(--build-arg INSTALL="apk add --no-cache"
                --build-arg PACKAGES="ca-certificates curl docker git iproute2 iptables openssh-client python3") ;;
        fedora)
            args+=(--build-arg INSTALL="dnf install -y --setopt=install_weak_deps=False"
                --build-arg PACKAGES="ca-certificates curl git iproute iptables moby-engine openssh-clients procps-ng python3") ;;
    esac
    if [ -n "$(stand_in "$base")" ]; then
        # A stand-in has no package manager; it brings what it has.
        args+=(--build-arg PACKAGES=)
    elif [ "$base" = discobot-base/alpine:3.20 ] && ! timeout 20 docker run --rm "$base" apk update >/dev/null 2>&1; then
        say "alpine: no package server answers, so without git, docker and ca-certificates"
        args+=(--build-arg PACKAGES=)
    fi
    image "discobot:$distro" -f Dockerfile "${args[@]}" $context
    describe $distro
done
image discobot:scratch -f images/scratch/Dockerfile $context
describe scratch

if [ "${1:-}" = --with-tests ]; then
    image discobot-test/tools --build-arg BASE="$(images/base.sh debian)" tests.integration/Tools
    for distro in debian alpine fedora; do
        image "discobot-test/$distro" --build-arg BASE="discobot:$distro" tests.integration/Clients
    done
fi
