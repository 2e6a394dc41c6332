// The flows that are kept, what they add up to, and the stream that they come by.
import { ask, authority, isBlocked } from './shared.js';

const Most = 2000;
const MostCharacters = 4e6;
const MostHosts = 500;
const Silence = 45000;
export const Buckets = 60;
export const BucketTime = 10000;

export const flows = [];
export const hosts = new Map();
export const blocked = new Map();
const emptySum = host => ({ host, requests: 0, blocked: 0, sent: 0, received: 0, hits: 0, saved: 0, plot: new Map() });
export const totals = { ...emptySum('all'), missed: 0 };
export const connection = { state: 'waiting', reason: '' };

const ids = new Set();
const listeners = new Set();
let characters = 0;
let isScheduled = false;
let retry = new AbortController();

export const onChange = listener => listeners.add(listener);

// Once before the next frame, however much has come.
export function changed() {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(() => {
    isScheduled = false;
    for (const listener of listeners) listener();
  });
}

const weight = flow => 400 + (flow.path?.length ?? 0) + (flow.host?.length ?? 0) + (flow.rule?.length ?? 0) + (flow.query?.join().length ?? 0);

function count(sum, flow) {
  sum.requests++;
  if (isBlocked(flow)) sum.blocked++;
  sum.sent += flow.request_bytes ?? 0;
  sum.received += flow.response_bytes ?? 0;
  if (flow.cache === 'hit' || flow.cache === 'revalidated' || flow.cache === 'stale') {
    sum.hits++;
    sum.saved += flow.response_bytes ?? 0;
  }
  const bucket = Math.floor(Date.parse(flow.time) / BucketTime);
  const [requests, size] = sum.plot.get(bucket) ?? [0, 0];
  sum.plot.set(bucket, [requests + 1, size + (flow.request_bytes ?? 0) + (flow.response_bytes ?? 0)]);
  forget(sum);
}

const Others = '(others)';

// Beyond so many hosts those that were not seen for longest are one: whoever makes up names fills no memory, and hides no other.
function sumOf(name) {
  const sum = hosts.get(name) ?? emptySum(name);
  // Behind all others: the order is that of when they were last seen.
  hosts.delete(name);
  hosts.set(name, sum);
  if (hosts.size > MostHosts) {
    const rest = hosts.get(Others) ?? emptySum(Others);
    hosts.set(Others, rest);
    // One of the first two: a flood of new names walks through no list.
    let oldest;
    for (oldest of hosts.keys()) if (oldest !== Others) break;
    const old = hosts.get(oldest);
    hosts.delete(oldest);
    for (const part of ['requests', 'blocked', 'sent', 'received', 'hits', 'saved']) rest[part] += old[part];
    for (const [bucket, [requests, size]] of old.plot) {
      const [before, was] = rest.plot.get(bucket) ?? [0, 0];
      rest.plot.set(bucket, [before + requests, was + size]);
    }
    forget(rest);
  }
  return sum;
}

function forget(sum) {
  if (sum.plot.size > 2 * Buckets) for (const old of [...sum.plot.keys()].sort((a, b) => a - b).slice(0, sum.plot.size - Buckets)) sum.plot.delete(old);
}

function take(list) {
  for (const flow of list) {
    if (flow.dropped) totals.missed += flow.dropped;
    if (!flow.id || ids.has(flow.id)) continue;
    ids.add(flow.id);
    flows.push(flow);
    characters += weight(flow);
    count(totals, flow);
    if (flow.host) count(sumOf(flow.host), flow);
    if (isBlocked(flow) && flow.host) {
      const key = authority(flow);
      const times = (blocked.get(key)?.times ?? 0) + 1;
      blocked.delete(key);
      blocked.set(key, { key, times, flow });
      if (blocked.size > MostHosts) blocked.delete(blocked.keys().next().value);
    }
  }
  let old = 0;
  for (; flows.length - old > Most || (characters > MostCharacters && flows.length - old > 1); old++) {
    characters -= weight(flows[old]);
    ids.delete(flows[old].id);
  }
  flows.splice(0, old);
  changed();
}

function become(state, reason = '') {
  Object.assign(connection, { state, reason });
  changed();
}

// Server-sent events, read by fetch: an EventSource cannot carry the token.
async function follow(signal, alive) {
  const response = await ask('/api/flows/stream', { signal });
  // What ends from now on comes by the stream, and what ended before is kept: nothing lies between.
  take((await (await ask('/api/flows', { signal })).json()).flows);
  become('live');
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    const from = Math.max(0, text.length - 1);
    text += value;
    let end = text.indexOf('\n\n', from);
    for (; end >= 0; end = text.indexOf('\n\n')) {
      if (text.startsWith('data: ')) take(JSON.parse(text.slice(6, end)));
      text = text.slice(end + 2);
    }
  }
}

export function reconnect() {
  retry.abort();
}

export async function watch() {
  for (let wait = 250; ; wait = Math.min(2000, wait * 2)) {
    const over = new AbortController();
    let timer;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => over.abort(), Silence);
    };
    retry = new AbortController();
    retry.signal.addEventListener('abort', () => over.abort());
    try {
      alive();
      await follow(over.signal, () => { wait = 250; alive(); });
      become('waiting', 'reconnecting');
    } catch (e) {
      become(e.status === 401 ? 'closed' : 'waiting', e.status === 401 ? 'needs the token' : e.status ? e.message : 'reconnecting');
    }
    clearTimeout(timer);
    over.abort();
    const again = retry.signal.aborted ? Promise.resolve() : new Promise(resolve => {
      setTimeout(resolve, wait);
      retry.signal.addEventListener('abort', resolve);
    });
    await again;
  }
}
