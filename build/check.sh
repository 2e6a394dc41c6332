#!/usr/bin/env bash
# Format, warnings, analyzers (the build runs them), and the syntax of the scripts.
. "$(dirname "$0")/common.sh"

need_sdk
for script in build/*.sh images/*.sh .ci/run bench/*.sh; do
    [ ! -e "$script" ] || bash -n "$script"
done
say "building with warnings as errors and analyzers"
dotnet build Discobot.sln -nologo -v quiet -warnaserror
say "checking the format"
dotnet format Discobot.sln --no-restore --verify-no-changes
