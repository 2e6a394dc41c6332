#!/bin/bash
# A registry as the world runs them: the registry itself, TLS and logs in front, and a CDN beside it that holds the blobs.
set -eu
trap 'exit 0' TERM
mkdir -p /data /switches
docker-registry serve /tools/registry.yml &
nginx -c /tools/nginx.conf &
wait -n
