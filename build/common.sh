# What the scripts share: how they speak, and how they get what they need. Sourced, from the top of the checkout.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# What the native compiler links with.
native_packages=(binutils clang cmake libssl-dev lld make zlib1g-dev)

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# own_machine — this machine, as executables and images are named: amd64 or arm64.
own_machine() {
    case $(uname -m) in
        x86_64) echo amd64 ;;
        aarch64) echo arm64 ;;
        *) die "no native compiler for $(uname -m)" ;;
    esac
}

# missing PACKAGE... — prints those of the Debian packages that are not installed.
missing() {
    local package
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || echo "$package"
    done
}

# need PACKAGE... — installs the Debian packages that are missing when it may, and names them when it may not.
need() {
    command -v dpkg-query >/dev/null || { say "this machine is neither Debian nor Ubuntu; it should have what these packages hold: $*"; return 0; }
    local packages
    mapfile -t packages < <(missing "$@")
    [ ${#packages[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || die "missing packages; please run: sudo apt-get install -y --no-install-recommends ${packages[*]}"
    mkdir -p artifacts
    say "installing ${packages[*]} (log: artifacts/packages.log)"
    # A service that a package would start has no place on a machine that only builds and tests.
    local policy=/usr/sbin/policy-rc.d ours=
    [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; ours=1; }
    local failed=
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"; } \
        </dev/null >artifacts/packages.log 2>&1 || failed=1
    [ -z "$ours" ] || rm -f $policy
    [ -z "$failed" ] || { cat artifacts/packages.log >&2; die "apt-get could not install ${packages[*]}"; }
}

# need_foreign ARCHITECTURE PACKAGE... — the same of packages for another machine.
need_foreign() {
    local architecture=$1; shift
    if command -v dpkg >/dev/null && ! dpkg --print-foreign-architectures | grep -qx "$architecture"; then
        [ "$(id -u)" = 0 ] || die "packages for $architecture are needed; please run: sudo dpkg --add-architecture $architecture"
        dpkg --add-architecture "$architecture"
    fi
    need "$@"
}

# need_programs PROGRAM:PACKAGE... — the packages of those programs that are not on the PATH, however they would have come there.
need_programs() {
    local pair packages=()
    for pair in "$@"; do command -v "${pair%%:*}" >/dev/null || packages+=("${pair##*:}"); done
    [ ${#packages[@]} = 0 ] || need "${packages[@]}"
}

# need_sdk — the .NET SDK that global.json pins, or words on how to get it.
need_sdk() {
    local wanted; wanted=$(sed -n 's/.*"version": *"\([^"]*\)".*/\1/p' global.json)
    local ways="see https://dotnet.microsoft.com/download/dotnet/${wanted%%.*}.0, or run: curl -sSL https://dot.net/v1/dotnet-install.sh | bash -s -- --version $wanted"
    ways+=" && export PATH=~/.dotnet:\$PATH; the way without an SDK: docker build -t discobot ."
    command -v dotnet >/dev/null || die "the .NET SDK $wanted is missing (no 'dotnet' on the PATH); $ways"
    dotnet --version >/dev/null 2>&1 || die "the .NET SDK $wanted or a later $(printf %s "$wanted" | cut -d. -f1-2) is missing (found: $(dotnet --list-sdks | cut -d' ' -f1 | paste -sd, -)); $ways"
}
