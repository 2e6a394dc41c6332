// What is brought into the cache, and what doctor has found: each tells of work that was begun elsewhere.
import { bytes, date, el, keyed, number, setText, wire } from './shared.js';
import { cell, rowOf, table } from './parts.js';

export function makeWarming() {
  const [told, bar] = [el('p', { class: 'muted' }), el('progress', { 'aria-label': 'Things brought in', hidden: true })];
  const items = table('What is being brought in', 'what', 'state', 'received', 'of', 'reason');
  items.all.hidden = true;
  const makeItem = step => {
    const [received, total] = [cell(), cell()];
    const row = el('tr', {}, cell(wire(step.name)), cell(step.state), received, total, cell(wire(step.reason ?? '')));
    row.update = now => { setText(received, bytes(now.bytes)); setText(total, now.total ? bytes(now.total) : ''); };
    return row;
  };
  return {
    all: [told, bar, items.all],
    show: warm => {
      const done = warm.stored + warm.here + warm.failed;
      setText(told, warm.named === 0 ? 'Nothing was brought in since the start; `discobot cache warm` and cache.warm do that.'
        : `${warm.running ? 'Under way' : 'Over'}: ${number(done)} of ${number(warm.named)}, ${number(warm.stored)} stored, ${number(warm.here)} here already, ${number(warm.failed)} failed; ${bytes(warm.bytes)}`);
      bar.hidden = !warm.running;
      bar.max = Math.max(warm.named, 1);
      bar.value = done;
      items.all.hidden = warm.items.length === 0;
      keyed(items.body, warm.items, step => `${step.item} ${step.name} ${step.state}`, makeItem);
    },
  };
}

// The machine's own checks are run by whoever may run them, and left with the proxy.
export function makeFindings() {
  const told = el('p', { class: 'muted' });
  const findings = table('What doctor found', 'result', 'area', 'what', 'detail');
  findings.all.hidden = true;
  return {
    all: [told, findings.all],
    show: left => {
      const failed = left.findings.filter(one => one.result === 'failed').length;
      setText(told, left.at ? `Of ${date(left.at)}: ${failed ? `${number(failed)} of ${number(left.findings.length)} checks failed.` : 'nothing failed.'}`
        : 'Not run since the proxy started: `discobot doctor` in the container checks it, and what it finds is shown here.');
      findings.all.hidden = left.findings.length === 0;
      keyed(findings.body, left.findings, one => JSON.stringify(one), one => {
        const row = rowOf(one.result, wire(one.area), wire(one.name), wire(one.fix ? `${one.detail}; fix: ${one.fix}` : one.detail));
        row.classList.toggle('failed', one.result === 'failed');
        return row;
      });
    },
  };
}
