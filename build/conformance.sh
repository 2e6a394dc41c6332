#!/usr/bin/env bash
# build/conformance.sh — the public suite for HTTP caches against the executable, as a shared cache for everything. Fails below the figures that
# docs/cache.md names, and ends with 3 where it cannot be fetched. Clients, proxy and origin are on the loopback address.
. "$(dirname "$0")/common.sh"
need_programs node:nodejs npm:npm
version=0.4.5
suite=$PWD/artifacts/conformance/package
if [ ! -d "$suite/node_modules/node-fetch" ]; then
    say "fetching http-cache-tests $version (npm)"
    mkdir -p artifacts/conformance
    (cd artifacts/conformance && npm pack --silent "http-cache-tests@$version" >/dev/null && tar xzf "http-cache-tests-$version.tgz") \
        || { say "http-cache-tests $version is NOT run: no npm registry answers"; exit 3; }
    (cd "$suite" && npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts --omit=dev node-fetch@2) || { say "http-cache-tests is NOT run: node-fetch cannot be fetched"; exit 3; }
fi

here=$PWD/build/conformance
work=$(mktemp -d)
port=8000 proxy=18740
cat >"$work/config.yaml" <<Y
proxy: {port: $proxy, api_port: $((proxy + 1))}
tls: {cert_dir: $work/certs}
cache: {dir: $work/cache, rules: [{pattern: ".*", mode: revalidate}]}
logging: {level: error}
Y
artifacts/discobot proxy -config "$work/config.yaml" >"$work/proxy.log" 2>&1 &
server=$!
export npm_config_protocol=http npm_config_port=$port npm_config_base=http://127.0.0.1:$port npm_config_id="" npm_package_config_id="" npm_config_pidfile="$work/pid"
(cd "$suite" && exec node server/server.mjs) >"$work/origin.log" 2>&1 &
origin=$!
trap 'kill $server $origin 2>/dev/null; wait; rm -rf "$work"' EXIT
for _ in $(seq 100); do
    artifacts/discobot health --api 127.0.0.1:$((proxy + 1)) >/dev/null 2>&1 && (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null && break
    sleep 0.1
done
say "running the suite (about 20 seconds)"
(cd "$suite" && VIA=$proxy timeout 300 node --no-warnings -r "$here/through.cjs" cli.mjs) >artifacts/conformance/results.json
mkdir -p artifacts/test-results
node "$here/tally.mjs" "$suite" "$PWD/artifacts/conformance/results.json" 150 76 "$PWD/artifacts/test-results/conformance.trx"
