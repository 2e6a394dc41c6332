#!/usr/bin/env bash
# build/test.sh unit|integration — runs a suite and leaves its result as artifacts/test-results/SUITE.trx.
. "$(dirname "$0")/common.sh"

suite=$1
project=tests.$suite
need_sdk
mkdir -p artifacts/test-results
rm -f "artifacts/test-results/$suite.trx"

# What a killed test left behind; each test removes its own.
sweep() {
    local left
    left=$(docker ps -aq --filter label=discobot.test 2>/dev/null); [ -z "$left" ] || docker rm -fv $left >/dev/null
    left=$(docker network ls -q --filter label=discobot.test 2>/dev/null); [ -z "$left" ] || docker network rm $left >/dev/null
    left=$(docker volume ls -q --filter label=discobot.test 2>/dev/null); [ -z "$left" ] || docker volume rm -f $left >/dev/null
}
if [ "$suite" = unit ]; then
    # The clients whose opinion on our certificates counts, and what makes and tries networks of the tests' own.
    need_programs bundle:bundler cargo:cargo chromium:chromium curl:curl docker-registry:docker-registry gem:ruby git:git gnutls-cli:gnutls-bin go:golang-go gpg:gpg ip:iproute2 java:default-jre-headless mvn:maven nc:netcat-openbsd nft:nftables node:nodejs npm:npm openssl:openssl ping:iputils-ping promtool:prometheus python3:python3 skopeo:skopeo swift-account-server:swift-account swift-container-server:swift-container swift-object-server:swift-object swift-proxy-server:swift-proxy sysctl:procps
    # A file system that fails is Debian's Python's.
    need python3-fusepy fuse3
    build/clients.sh
    # What tests start as a process is what is shipped, and starts ten times as fast as what was built with them.
    export DISCOBOT_EXECUTABLE=$PWD/artifacts/native/discobot
else
    need_programs chromium:chromium curl:curl systemd-analyze:systemd
    docker compose version >/dev/null 2>&1 || need_programs docker-compose:docker-compose
    [ -e /dev/fuse ] || modprobe fuse 2>/dev/null || say "there is no /dev/fuse: the tests of AgentFS will fail"
    trap sweep EXIT
    export TESTCONTAINERS_RYUK_DISABLED=true
fi

say "running $project"
# A test that hangs is named and ended. Under nohup or in the background of a script signals are ignored, which programs inherit and which tests send.
env --default-signal=HUP,INT,QUIT dotnet test "$project" -nologo -v quiet --results-directory artifacts/test-results \
    --logger "trx;LogFileName=$suite.trx" --logger "console;verbosity=minimal" \
    --blame-hang-timeout 10m --blame-hang-dump-type none
