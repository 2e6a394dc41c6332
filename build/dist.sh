#!/usr/bin/env bash
# Makes artifacts/dist: what a release has, and artifacts/discobot-VERSION.tar.gz of it. The executables come first, and each is tried by build/smoke.sh.
# The same commit makes the same bytes (build/reproducible.sh): nothing here may depend on the day, the directory, the umask or the order of a directory.
. "$(dirname "$0")/common.sh"

machines=(${MACHINES:-amd64 arm64})
need_programs python3:python3
dist=artifacts/dist
# With the flags of an earlier build CMake would go on where it stopped.
rm -rf $dist artifacts/obj/Discobot/release_linux-*/libs
mkdir -p $dist/licenses $dist/completions $dist/man

# keep_licence PACKAGE FILE — FILE is =EXPRESSION where the package names a licence without its text.
keep_licence() {
    local into=$dist/licenses/$1.txt
    case $2 in
        =*) printf '%s: %s (https://spdx.org/licenses/)\n' "$1" "${2#=}" >"$into" ;;
        *) cat "$2" >>"$into.new" ;;
    esac
}

for machine in "${machines[@]}"; do
    build/binary.sh "$machine"
    cp "artifacts/release/$machine/discobot" "$dist/discobot-linux-$machine"
    build/smoke.sh "$machine" "$dist/discobot-linux-$machine"
    version=$(dotnet msbuild Discobot.csproj -getProperty:Version)
    python3 build/sbom.py artifacts/obj/Discobot/project.assets.json "$machine" "$version" "$dist/discobot-linux-$machine.cdx.json" >artifacts/licences
    while IFS=$'\t' read -r package file; do keep_licence "$package" "$file"; done <artifacts/licences
    for made in "$dist"/licenses/*.new; do [ ! -e "$made" ] || mv "$made" "${made%.new}"; done
done

own=$dist/discobot-linux-$(own_machine)
"$own" completion bash >$dist/completions/discobot.bash
"$own" completion zsh >$dist/completions/_discobot
"$own" completion fish >$dist/completions/discobot.fish
"$own" man $dist/man
"$own" config schema >$dist/discobot.schema.json
cp LICENSE CHANGELOG.md $dist
[ ! -d examples/grafana ] || cp -r examples/grafana $dist
(cd $dist && find . -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs sha256sum >SHA256SUMS)
# The time is the commit's, or SOURCE_DATE_EPOCH; where neither is known, 1970.
epoch=${SOURCE_DATE_EPOCH:-$(git -c safe.directory="$PWD" log -1 --format=%ct 2>/dev/null || echo 0)}
tar --sort=name --format=gnu --owner=0 --group=0 --numeric-owner --mode=u+rw,go=u,go-w --mtime="@$epoch" -C artifacts -cf - dist | gzip -n >"artifacts/discobot-$version.tar.gz"
say "$dist: $(find $dist -type f | wc -l) files, $(du -sm $dist | cut -f1) MB"
