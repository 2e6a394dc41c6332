#!/bin/sh
# Runs as root while the image is built. `discobot`, the executable of a release, lies beside this file.
set -eu
cd "$(dirname "$0")"
[ -f discobot ] || { echo "discobot-feature: put the executable (discobot-linux-amd64 or -arm64 of a release) beside install.sh, as: discobot" >&2; exit 1; }
install -m 755 discobot /usr/local/bin/discobot
mkdir -p /usr/local/share/discobot /var/lib/discobot
install -m 755 entrypoint.sh /usr/local/share/discobot/entrypoint.sh
{
    echo "tls: {cert_dir: /var/lib/discobot/certs}"
    echo "cache: {dir: /var/lib/discobot/cache}"
    echo "audit: {file: /var/lib/discobot/audit.jsonl}"
    [ -z "${DOMAINS:-}" ] || echo "allowlist: {enabled: true, presets: [${PRESETS:-}], domains: [$(echo "$DOMAINS" | sed 's/[^,][^,]*/"&"/g')]}"
} >/usr/local/share/discobot/policy.yaml
discobot config check /usr/local/share/discobot/policy.yaml
