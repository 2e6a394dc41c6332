#!/usr/bin/env bash
# Makes artifacts/dist of the last commit twice, in directories whose names differ in length, with another umask, time zone and language, and compares
# them byte by byte. Needs what build/dist.sh needs.
. "$(dirname "$0")/common.sh"

need_programs diff:diffutils git:git
work=$(mktemp -d "${TMPDIR:-/tmp}/discobot-reproducible.XXXXXX")
trap 'rm -rf "$work"' EXIT
# make_dist DIRECTORY — a checkout of its own. What git has not got takes no part.
make_dist() {
    git -c safe.directory="$PWD" clone -q --no-hardlinks . "$work/$1"
    (cd "$work/$1" && build/dist.sh)
}
(umask 022; make_dist a)
(umask 077; export TZ=Asia/Kathmandu LC_ALL=C.UTF-8; make_dist another/directory)
failed=
for file in "$work"/a/artifacts/discobot-*.tar.gz; do
    cmp "$file" "$work/another/directory/artifacts/${file##*/}" || failed=1
done
diff -rq "$work/a/artifacts/dist" "$work/another/directory/artifacts/dist" || failed=1
[ -z "$failed" ] || die "two builds of the same commit differ"
say "the same bytes twice: $(cd "$work/a/artifacts" && sha256sum discobot-*.tar.gz)"
