#!/usr/bin/env bash
# build/count.sh SUITE... — adds up artifacts/test-results/SUITE.trx and prints one line, "N passed, N failed".
# Before it stands a line for each test that failed. A suite without a result counts as one failure; so does any failure in the exit code.
. "$(dirname "$0")/common.sh"

# Its name and what it said, in one line: whoever sees only the end of a long output must find out too.
tell_failed() {
    awk '/<UnitTestResult /{ name = $0; sub(/.* testName="/, "", name); sub(/".*/, "", name); bad = /outcome="Failed"/ }
        bad && /<Message>/{ text = "failed: " name ":"; sub(/.*<Message>/, ""); telling = 1; bad = 0 }
        telling { ending = /<\/Message>/; sub(/<\/Message>.*/, ""); sub(/^[ \t]+/, ""); text = text " " $0; if (ending) { print substr(text, 1, 600); telling = 0 } }' "$1" | head -40 || true
}

passed=0 failed=0
for suite in "$@"; do
    counters=$(grep -o '<Counters [^>]*>' "artifacts/test-results/$suite.trx" 2>/dev/null | head -1) || true
    number() { printf %s "$counters" | sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p"; }
    total=$(number total) ok=$(number passed)
    if [ -z "$total" ] || [ "$total" = 0 ]; then
        say "the suite '$suite' has no result"
        failed=$((failed + 1))
        continue
    fi
    [ "$ok" = "$total" ] || tell_failed "artifacts/test-results/$suite.trx" >&2
    passed=$((passed + ok))
    failed=$((failed + total - ok))
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
