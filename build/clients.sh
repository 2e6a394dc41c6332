#!/usr/bin/env bash
# build/clients.sh — puts into artifacts/clients the clients of package registries that come from npm's registry. Where that does not answer, it says so,
# and their tests look at nothing.
. "$(dirname "$0")/common.sh"

clients=(pnpm@9.15.9 yarn@1.22.22)
place=artifacts/clients
[ "$(cat $place/have 2>/dev/null)" != "${clients[*]}" ] || exit 0
rm -rf $place && mkdir -p $place
if timeout 120 npm install --silent --no-audit --no-fund --no-update-notifier --ignore-scripts --prefix $place "${clients[@]}" >$place/log 2>&1; then
    echo "${clients[*]}" >$place/have
else
    say "pnpm and yarn are NOT tried: npm's registry does not answer (log: $place/log)"
    touch $place/absent
fi
