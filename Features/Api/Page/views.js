// The views beside the list: what is blocked and asked, hosts, the cache, the policy, and how the proxy is.
import { ask, authority, bytes, clock, date, el, isLoggedIn, json, keyed, methodOf, milliseconds, number, program, rawPort, setText, svg, target, url, wire } from './shared.js';
import { rowOf, section, table, tiles } from './parts.js';
import { makeFindings, makeWarming } from './status.js';
import { Buckets, BucketTime, blocked, hosts, totals } from './flows.js';

const byId = id => document.getElementById(id);
const times = n => n === 1 ? 'once' : `${number(n)} times`;

export function notice(text, isBad = false) {
  setText(byId('notice'), text);
  byId('notice').classList.toggle('bad', isBad);
}

// What changes something: without the token it is asked for.
async function change(path, options, done) {
  try {
    await ask(path, options);
    notice(done);
    return true;
  } catch (e) {
    notice(e.status === 401 ? (isLoggedIn() ? 'The token is wrong.' : 'This needs the token: log in first.') : e.message, true);
    if (e.status === 401) byId('token').focus();
    return false;
  }
}

// The smallest entry that would let it pass, as the proxy itself names it.
async function policyLine(asked, place) {
  place.hidden = false;
  const lines = (list, entry) => {
    const all = el('pre', { tabindex: 0, 'aria-label': 'Lines for the policy' });
    // The ends of lines are ours, and stay what they are.
    all.append(document.createTextNode(`allowlist:\n  ${list}:\n    - `), wire(entry));
    place.replaceChildren(all);
  };
  if (rawPort(asked)) {
    lines('domains', `{host: "${asked.host}", ports: [${rawPort(asked)}]}`);
    return;
  }
  place.replaceChildren('asking');
  try {
    const said = (await json(`/api/explain?url=${encodeURIComponent(url(asked))}&method=${methodOf(asked)}`)).allowlist;
    const found = /the entry (.+?) (?:there|in (allowlist\.ips|allowlist\.domains)) would allow it/.exec(said.reason ?? '');
    if (said.allowed || !found) {
      // What an entry denies, none allows.
      place.replaceChildren(wire(said.allowed ? `The host may be asked now, by ${said.rule}. What was refused was its address, or what nobody can look into.` : said.reason ?? 'No entry would allow it.'));
      return;
    }
    if (/[…?]/.test(found[1])) {
      // Cut, or with what no line can say: it would match nothing.
      place.replaceChildren(wire(`Its path cannot be said in one line; an entry {host: "${asked.host}"} with paths would allow it.`));
      return;
    }
    const list = found[2] === 'allowlist.ips' || said.reason.includes('is not in allowlist.ips;') ? 'ips' : 'domains';
    lines(list, found[1]);
  } catch (e) {
    place.replaceChildren(wire(e.message));
  }
}

function lineButton(asked) {
  const place = el('div', { class: 'line', hidden: true });
  const button = el('button', { type: 'button', 'aria-expanded': 'false', onclick: () => {
    button.setAttribute('aria-expanded', place.hidden);
    if (place.hidden) policyLine(asked(), place);
    else place.hidden = true;
  } }, 'Policy line');
  return { button, place };
}

let questions = [];

function makeQuestion(question) {
  const told = el('p', { class: 'muted' });
  const line = lineButton(() => question);
  let isAnswering = false;
  const answer = (decision, text) => el('button', { type: 'button', onclick: async () => {
    if (isAnswering) return;
    isAnswering = true;
    const isAnswered = await change(`/api/approvals/${encodeURIComponent(question.id)}`, { method: 'POST', body: { decision, by: 'page' } }, `${question.host}: ${text.toLowerCase()}`);
    isAnswering = false;
    if (isAnswered) await poll.blocked();
  } }, text);
  const node = el('li', { class: 'card' },
    el('h3', {}, wire(authority(question), 300)),
    el('p', {}, wire(`${question.method} ${question.path ?? ''}`)), told,
    el('div', { class: 'buttons' }, answer('once', 'Allow once'), answer('session', 'Allow for the session'), answer('deny', 'Deny'), line.button), line.place);
  node.update = q => setText(told, `${number(q.waiting)} waiting, asked ${times(q.requests)} since ${clock(q.asked)}${q.program ? ` by ${q.program}` : ''}; forgotten at ${clock(q.expires)}`);
  return node;
}

function makeBlocked(entry) {
  let last = entry.flow;
  const [what, told] = [el('bdi', { class: 'wire' }), el('p', { class: 'muted' })];
  const line = lineButton(() => last);
  const node = el('li', { class: 'card' }, el('h3', {}, wire(entry.key, 300)), el('p', {}, what), told, el('div', { class: 'buttons' }, line.button), line.place);
  node.update = ({ times: seen, flow }) => {
    last = flow;
    setText(what, `${flow.method ?? flow.entry} ${target(flow).slice(0, 300)}`);
    setText(told, `${times(seen)}, last at ${clock(flow.time)}${program(flow) ? ` by ${program(flow)}` : ''}; ${flow.verdict} by ${flow.rule ?? flow.error ?? 'what it is'}`);
  };
  return node;
}

function plot(kind) {
  const path = svg('path', { d: '' });
  const all = svg('svg', { viewBox: `0 0 ${Buckets * 2} 24`, preserveAspectRatio: 'none', class: `plot ${kind}`, 'aria-hidden': 'true' });
  all.append(path);
  all.show = (sum, part) => {
    const last = Math.floor(Date.now() / BucketTime);
    const values = Array.from({ length: Buckets }, (_, i) => sum.plot.get(last - Buckets + 1 + i)?.[part] ?? 0);
    const most = Math.max(...values, 1);
    path.setAttribute('d', values.map((value, i) => value && `M${i * 2} 24v${(-Math.max(1, value / most * 23)).toFixed(1)}h1.6V24z`).filter(step => step).join(''));
  };
  return all;
}

function makeHost({ host }) {
  const cells = ['requests', 'blocked', 'sent', 'received', 'share'].map(name => el('td', { class: name }));
  const [requests, sizes] = [plot('requests'), plot('bytes')];
  const row = el('tr', {}, el('th', { scope: 'row' }, wire(host, 120)), ...cells, el('td', { class: 'plots' }, requests), el('td', { class: 'plots' }, sizes));
  row.update = sum => {
    const texts = [number(sum.requests), number(sum.blocked), bytes(sum.sent), bytes(sum.received), `${Math.round(100 * sum.hits / sum.requests)} %`];
    cells.forEach((one, i) => setText(one, texts[i]));
    requests.show(sum, 0);
    sizes.show(sum, 1);
  };
  return row;
}

const built = {};

const build = {
  blocked() {
    const [asked, seen] = [el('ul', { class: 'cards' }), el('ul', { class: 'cards' })];
    const [nothing, none] = [el('p', { class: 'muted' }, 'Nothing waits for an answer.'), el('p', { class: 'muted' }, 'Nothing was blocked.')];
    byId('blocked').append(section('Waiting for an answer', nothing, asked), section('Blocked', none, seen));
    return { asked, seen, nothing, none };
  },
  hosts() {
    const { all, body } = table('Hosts by requests', 'host', 'requests', 'blocked', 'sent', 'received', 'cache', '10 min: requests', '10 min: bytes');
    byId('hosts').append(section('Hosts', el('p', { class: 'muted' }, 'What this page has seen.'), all));
    return { body };
  },
  cache() {
    const facts = tiles();
    const { all, body } = table('Largest entries', 'address', 'size', 'stored', 'last used', 'kept by', 'state');
    const warming = makeWarming();
    byId('cache').append(section('Cache', facts.all), section('Warming', ...warming.all), section('Largest entries', all));
    return { facts, body, warming };
  },
  policy() {
    const [mode, all] = [el('p'), el('pre', { tabindex: 0 })];
    const entries = table('Entries in force', 'decision', 'entry', 'from');
    const grants = table('Answers that count', 'answer', 'host', 'until', 'by', '');
    const none = el('p', { class: 'muted' }, 'No answer counts.');
    grants.all.hidden = true;
    byId('policy').append(section('Policy', mode, entries.all), section('Answers', none, grants.all), section('Configuration in force', all));
    return { mode, all, entries: entries.body, grants: grants.body, answers: grants.all, none };
  },
  health() {
    const facts = tiles();
    const { all, body } = table('Values that are missing', 'key', 'place', 'what');
    const none = el('p', { class: 'muted' }, 'Every variable and file that the configuration names has a value.');
    all.hidden = true;
    const doctor = makeFindings();
    byId('health').append(section('Health', facts.all), section('Doctor', ...doctor.all), section('Missing values', none, all));
    return { facts, body, all, none, doctor };
  },
};

export const draw = {
  blocked() {
    const view = built.blocked;
    keyed(view.asked, questions, question => question.id, makeQuestion);
    keyed(view.seen, [...blocked.values()].reverse().slice(0, 100), entry => entry.key, makeBlocked);
    view.nothing.hidden = questions.length > 0;
    view.none.hidden = blocked.size > 0;
  },
  hosts() {
    const sums = [...hosts.values()].sort((a, b) => b.requests - a.requests).slice(0, 100);
    keyed(built.hosts.body, totals.requests ? [totals, ...sums] : [], sum => sum === totals ? '' : sum.host, makeHost);
  },
};

function metrics(text) {
  const found = new Map();
  for (const line of text.split('\n')) {
    const parts = /^([a-z_]+)(?:\{[^}]*\})? (\S+)$/.exec(line);
    if (parts) found.set(parts[1], (found.get(parts[1]) ?? 0) + Number(parts[2]));
  }
  return found;
}

let nextEntries = 0;

export const poll = {
  async blocked() {
    questions = await json('/api/approvals');
    setText(byId('waiting'), questions.length ? String(questions.length) : '');
    if (built.blocked) draw.blocked();
  },
  async hosts() {},
  async cache() {
    const [stats, warm] = await Promise.all([json('/api/cache/stats'), json('/api/cache/warm')]);
    built.cache.warming.show(warm);
    built.cache.facts.show([
      ['hit rate', `${(100 * stats.hit_rate).toFixed(1)} %`], ['hits', number(stats.hits)], ['misses', number(stats.misses)], ['stored', bytes(stats.current_size)],
      ['room', bytes(stats.max_size)], ['entries', number(stats.entries)], ['saved, as seen here', bytes(totals.saved)], ['served', bytes(stats.bytes_served)],
      ['shared downloads', number(stats.shared)], ['evictions', number(stats.evictions)], ['in place of registries', number(stats.offline)], ['errors', number(stats.errors)],
    ]);
    // All entries are gone through for these, of which there may be a million.
    if (performance.now() < nextEntries) return;
    nextEntries = performance.now() + 30000;
    const entries = await json('/api/cache/entries?sort=size&limit=20');
    keyed(built.cache.body, entries, entry => `${entry.file} ${entry.key} ${entry.used_at} ${entry.state}`,
      entry => rowOf(wire(entry.key), bytes(entry.size), date(entry.stored_at), date(entry.used_at), wire(entry.rule), entry.state + (entry.private ? ', private' : '')));
  },
  async policy() {
    const [policy, grants, config] = await Promise.all([json('/api/policy'), json('/api/grants'), ask('/api/config').then(answer => answer.text())]);
    const meaning = { off: 'Everything may leave that is not denied.', enforce: 'Only what an entry allows may leave.', ask: 'What no entry decides waits for an answer.', learn: 'Everything may leave that is not denied, and is recorded.' };
    const view = built.policy;
    setText(view.mode, `Mode ${policy.mode}: ${meaning[policy.mode] ?? ''} ${policy.file ? `Read from ${policy.file}, and changed by the API since where somebody did.` : 'No file was read: the built-in default, and what the API changed.'}`);
    keyed(view.entries, policy.entries, entry => `${entry.decision} ${entry.entry} ${entry.from}`, entry => rowOf(entry.decision, wire(entry.entry), entry.from));
    view.answers.hidden = grants.length === 0;
    view.none.hidden = grants.length > 0;
    keyed(view.grants, grants, grant => grant.id, grant => rowOf(
      grant.decision, wire(authority(grant)), grant.until ? date(grant.until) : grant.scope === 'once' ? 'what waited is over' : 'the proxy ends', wire(`${grant.by} at ${clock(grant.at)}`),
      el('button', { type: 'button', onclick: async () => { if (await change(`/api/grants/${encodeURIComponent(grant.id)}`, { method: 'DELETE' }, `${grant.host}: taken back`)) await poll.policy(); } }, 'Take back')));
    if (view.text !== config) view.all.replaceChildren(...(view.text = config).split('\n').flatMap(line => [document.createTextNode('\n'), wire(line)]).slice(1));
  },
  async health() {
    const [health, missing, left, found] = await Promise.all([
      json('/health'), json('/api/config/missing'), json('/api/doctor'), ask('/metrics').then(async answer => metrics(await answer.text()))]);
    built.health.doctor.show(left);
    const at = name => found.get(name) ?? 0;
    built.health.facts.show([
      ['state', health.status], ['running since', date(1000 * at('process_start_time_seconds'))], ['process', String(health.pid)],
      ['memory', bytes(at('process_working_set_bytes'))], ['processor', milliseconds(1000 * at('process_cpu_seconds_total'))],
      ['connections', number(at('discobot_connections_open'))], ['requests', number(at('discobot_requests_total'))], ['blocked', number(at('discobot_blocked_total'))],
      ['sent', bytes(at('discobot_upstream_sent_bytes_total'))], ['received', bytes(at('discobot_upstream_received_bytes_total'))],
      ['authority', health.ca_cert], ['authority expires', date(1000 * at('discobot_ca_expiry_timestamp_seconds'))],
    ]);
    built.health.none.hidden = missing.length > 0;
    built.health.all.hidden = missing.length === 0;
    keyed(built.health.body, missing, mistake => mistake.key, mistake => rowOf(wire(mistake.key), wire(`${mistake.file}${mistake.line ? `:${mistake.line}` : ''}`), wire(mistake.message)));
  },
};

export function prepare() {
  for (const name of Object.keys(build)) built[name] = build[name]();
}
