// tally.mjs SUITE RESULTS REQUIRED OPTIMAL — counts what passed by kind, names the required tests that did not, and fails below the given numbers.
// Tests for browsers and for CDNs are left out; one that depends on another that failed counts as failed.
import fs from 'fs'
const [suite, file, required, optimal] = process.argv.slice(2)
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
process.exit(counts.required.passed >= required && counts.optimal.passed >= optimal ? 0 : 1)
