#!/usr/bin/env bash
# bench/install.sh [RUNS] — `pip install`, `npm install` and, by the lockfile that this wrote, `npm ci` for the first time, the second, and with the registry switched off, over a link of
# 100 Mbit/s and 40 ms. Real clients that keep nothing themselves, a registry that has its indexes confirmed each time; in namespaces of its own.
. "$(dirname "$0")/../build/common.sh"

if [ -z "${DISCOBOT_INSIDE:-}" ]; then
    [ -x artifacts/discobot ] || die "there is no artifacts/discobot: run make binary"
    need_programs curl:curl openssl:openssl python3:python3 pip3:python3-pip npm:npm ip:iproute2 unshare:util-linux
    DISCOBOT_INSIDE=1 exec unshare --mount --net --pid --fork --kill-child --mount-proc "$0" "$@"
fi

runs=${1:-3} results=() mbit=100 round_trip=40 wheels=12 wheel_mb=8 packages=100 package_kb=500
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY no_proxy SSL_CERT_FILE REQUESTS_CA_BUNDLE CURL_CA_BUNDLE PIP_FIND_LINKS
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
bench=$OLDPWD/bench binary=$OLDPWD/artifacts/discobot
ip link set lo up
printf '127.0.0.1 localhost\n127.0.0.2 registry.test\n' >hosts && mount --bind hosts /etc/hosts

openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=Bench Authority" -keyout ca.key -out ca.crt 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj /CN=registry.test -keyout server.key -out server.csr 2>/dev/null
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -days 2 -out server.crt -extfile <(echo "subjectAltName=DNS:registry.test") 2>/dev/null
python3 "$bench/registry.py" 8443 server.crt server.key registry.test $wheels $wheel_mb $packages $package_kb >registry.log &
registry=$!
until grep -q serving registry.log; do sleep 0.2; done
switch_on() { python3 "$bench/slow_link.py" 443 127.0.0.1:8443 $mbit $round_trip 127.0.0.2 & link=$!; until curl -sk https://registry.test >/dev/null; do sleep 0.1; done; }
cat >config.yaml <<YAML
proxy: { upstream: direct }
api: { token_file: $work/api.token }
tls: { cert_dir: $work/certs, extra_ca: [$work/ca.crt] }
cache: { enabled: true, dir: $work/cache, max_size: 10GB }
logging: { level: warn }
audit: { enabled: false }
YAML
"$binary" proxy --config config.yaml >proxy.log 2>&1 &
until curl -sf localhost:17081/health >/dev/null; do sleep 0.1; done

export HTTPS_PROXY=http://localhost:17080 PIP_CERT=$work/certs/ca.crt NODE_EXTRA_CA_CERTS=$work/certs/ca.crt
# A file of CAs that the machine's own settings name is used instead of what NODE_EXTRA_CA_CERTS adds.
npm_options=(--cache ./.npm --cafile "$NODE_EXTRA_CA_CERTS" --no-audit --no-fund --no-update-notifier --registry https://registry.test/npm --omit-lockfile-registry-resolved=false)
# install CLIENT — seconds of one installation on a new machine: nothing is left of the one before.
install() {
    rm -rf target && mkdir target
    local start; start=$(date +%s.%N)
    case $1 in
        pip) pip3 install -q --no-cache-dir --disable-pip-version-check --no-warn-conflicts --root-user-action=ignore --target target -i https://registry.test/simple all >out 2>&1 ;;
        npm) (cd target && npm install "${npm_options[@]}" all >../out 2>&1) && mkdir -p lock && cp target/package*.json lock ;;
        npm-ci) cp lock/package*.json target && (cd target && npm ci "${npm_options[@]}" >../out 2>&1) ;;
    esac || { cat out >&2; die "$1: the installation failed"; }
    python3 -c "import sys, time; print(f'{time.time() - float(sys.argv[1]):.2f}')" "$start"
}
asked() { awk -v from="$1" 'NR > from { n[$1]++; bytes += $2 } END { printf "%d x 200, %d x 304, %.1f MB", n[200], n[304], bytes / 1e6 }' registry.log; }
lines() { wc -l <registry.log; }
median() { sort -n | sed -n "$(((runs + 1) / 2))p"; }

for client in pip npm npm-ci; do
    switch_on
    for run in $(seq "$runs"); do
        curl -sf -X DELETE localhost:17081/api/cache >/dev/null
        for time in first second; do
            before=$(lines)
            seconds=$(install $client)
            echo "$seconds" >>$client.$time
            say "$client, run $run, $time: $seconds s; the registry answered $(asked "$before")"
        done
    done
    # What the last of them brought is there; nobody listens at the registry's address any more.
    kill $link && wait $link || true
    seconds=$(install $client)
    say "$client, the registry switched off: $seconds s"
    first=$(median <$client.first) second=$(median <$client.second)
    results+=("$client over $mbit Mbit/s and $round_trip ms, median of $runs: first $first s, second $second s, ratio $(awk "BEGIN { printf \"%.1f\", $first / $second }"); registry off $seconds s")
done
kill $registry
printf '%s\n' "${results[@]}"
