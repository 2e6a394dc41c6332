// tally.mjs SUITE RESULTS REQUIRED OPTIMAL TRX — counts what passed by kind, names the required tests that did not, and fails below the given numbers.
// TRX is where build/count.sh finds that: of each kind one test, which is that no fewer passed.
// Tests for browsers and for CDNs are left out; one that depends on another that failed counts as failed.
import fs from 'fs'
const [suite, file, required, optimal, trx] = process.argv.slice(2)
process.chdir(suite)
const groups = (await import(`${suite}/tests/index.mjs`)).default
const results = JSON.parse(fs.readFileSync(file))
const counts = {}
for (const test of groups.flatMap(group => group.tests)) {
  if (test.browser_only || test.cdn_only || test.id.startsWith('cdn-') || test.id.startsWith('surrogate')) continue
  const kind = test.kind ?? 'required'
  const passed = [test.id, ...(test.depends_on ?? [])].every(id => results[id] === true)
  counts[kind] ??= { passed: 0, of: 0 }
  counts[kind].of++
  if (passed) counts[kind].passed++
  else if (kind === 'required') console.log(`failed, required: ${test.id} ${JSON.stringify(results[test.id])}`)
}
for (const [kind, { passed, of }] of Object.entries(counts)) console.log(`${kind}: ${passed} of ${of}`)
const failures = Object.entries({ required, optimal }).filter(([kind, least]) => counts[kind].passed < least)
fs.writeFileSync(trx, `<Counters total="2" passed="${2 - failures.length}" failed="${failures.length}" />\n` + failures.map(([kind, least]) =>
  `<UnitTestResult testName="http-cache-tests, ${kind}" outcome="Failed">\n<Message>${counts[kind].passed} passed, ${least} did before</Message>\n`).join(''))
process.exit(failures.length === 0 ? 0 : 1)
