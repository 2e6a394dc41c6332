#!/usr/bin/env bash
# Starts the proxy with its built-in configuration. Needs neither root nor Docker: where the native compiler's packages
# are missing and may not be installed, the same program runs on the .NET runtime.
. "$(dirname "$0")/common.sh"

start=(artifacts/discobot)
if make --question binary 2>/dev/null; then
    :
elif [ "$(id -u)" = 0 ] || { command -v dpkg-query >/dev/null && [ -z "$(missing "${native_packages[@]}")" ]; }; then
    make --no-print-directory binary
else
    need_sdk
    say "no native compiler here (apt-get install ${native_packages[*]}); running on the .NET runtime instead"
    dotnet build Discobot.csproj -c Release -nologo -v quiet
    start=(dotnet artifacts/bin/Discobot/release/discobot.dll)
fi

say "starting ${start[*]} proxy: HTTP, HTTPS and SOCKS5 on localhost:17080, its API on localhost:17081"
say "try: curl -x http://localhost:17080 http://example.com/ and curl http://localhost:17081/health; Ctrl-C stops it"
exec "${start[@]}" proxy
