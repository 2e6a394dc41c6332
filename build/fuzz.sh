#!/usr/bin/env bash
# Grows inputs for the parsers that are ours (tests.unit/Fuzz) for MINUTES each, two parsers at a time: make fuzz MINUTES=10.
# TARGET=Hosts runs one alone. What breaks a property is left in artifacts/fuzz and belongs into tests.unit/Fuzz/Corpus.
. "$(dirname "$0")/common.sh"

need_sdk
minutes=${MINUTES:-1}
[[ $minutes =~ ^[1-9][0-9]{0,3}$ ]] || die "MINUTES must be a whole number from 1 to 9999, not '$minutes'"
rm -rf artifacts/fuzz
dotnet build tests.unit -nologo -v quiet

say "fuzzing for $minutes min each"
# Far beyond the time that all targets need one after another, so that nothing waits for ever.
FUZZ_SECONDS=$((minutes * 60)) nice -n 19 timeout $((minutes * 60 * 10 + 600)) \
    dotnet test tests.unit --no-build -nologo -v quiet --filter "FullyQualifiedName~Discobot.Fuzz.${TARGET:-}" --logger "console;verbosity=minimal" ||
    die "there is a finding; the input is in artifacts/fuzz"
cat artifacts/fuzz/*.run
