// The list of requests, of which only those in sight are elements, and the details of one.
import { authority, bytes, clock, cut, date, el, isBlocked, json, methodOf, milliseconds, number, program, rawPort, setText, svg, target, url, visible, wire } from './shared.js';
import { flows, totals } from './flows.js';

const byId = id => document.getElementById(id);
const [list, rows, details, latest] = ['list', 'rows', 'details', 'latest'].map(byId);
const pool = [];
let shown = [];
let selected = null;
let explaining = new AbortController();

const outcome = flow => isBlocked(flow) ? (flow.status ? `${flow.status} ${flow.verdict}` : flow.verdict) : flow.status ? String(flow.status) : '–';
const kind = flow => isBlocked(flow) || flow.status >= 500 ? 'bad' : flow.status >= 400 || flow.complete === false ? 'odd' : flow.status >= 200 && flow.status < 300 ? 'good' : 'plain';

function matches(flow, words, status, cache, onlyBlocked) {
  if (onlyBlocked && !isBlocked(flow)) return false;
  if (status && Math.floor((flow.status ?? 0) / 100) !== Number(status)) return false;
  if (cache && flow.cache !== cache) return false;
  if (!words.length) return true;
  const text = `${flow.method ?? ''} ${flow.scheme ?? ''}://${authority(flow)}${target(flow)} ${flow.client?.program ?? ''} ${flow.status ?? ''} ${flow.id}`.toLowerCase();
  return words.every(word => text.includes(word));
}

function filtered() {
  const words = byId('filter').value.toLowerCase().split(' ').filter(word => word);
  const [status, cache, onlyBlocked] = [byId('status').value, byId('cached').value, byId('only-blocked').checked];
  return flows.filter(flow => matches(flow, words, status, cache, onlyBlocked)).reverse();
}

// Who reads further down, or has one open, wants the list to stand still.
const stands = () => selected !== null || list.scrollTop >= height() / 2;
const height = () => parseFloat(getComputedStyle(list).getPropertyValue('--row'));

function makeRow() {
  const cells = ['time', 'outcome', 'method', 'address', 'size', 'duration', 'cache', 'program'].map(name => el('span', { class: name }));
  cells[3].append(el('bdi', { class: 'wire host' }), el('bdi', { class: 'wire path' }));
  const row = el('div', { class: 'row', role: 'option' }, ...cells);
  row.cells = cells;
  rows.append(row);
  return row;
}

function fill(row, flow, index, top) {
  const [time, result, method, address, size, duration, cache, who] = row.cells;
  row.hidden = false;
  row.flow = flow;
  row.id = `row-${index}`;
  row.dataset.kind = kind(flow);
  row.style.transform = `translateY(${top}px)`;
  row.setAttribute('aria-posinset', index + 1);
  row.setAttribute('aria-setsize', shown.length);
  row.setAttribute('aria-selected', flow === selected);
  setText(time, clock(flow.time));
  setText(result, outcome(flow));
  setText(method, flow.method ?? flow.entry);
  setText(address.firstChild, cut(authority(flow) || '–', 120));
  setText(address.lastChild, cut(target(flow), 300));
  setText(size, bytes((flow.request_bytes ?? 0) + (flow.response_bytes ?? 0)));
  setText(duration, milliseconds(flow.duration_ms ?? 0));
  setText(cache, flow.cache === 'none' ? '' : flow.cache ?? '');
  setText(who, program(flow));
}

// A row of the pool keeps its place while the list is not scrolled: what comes changes texts, and moves nothing.
function place() {
  const row = height();
  const first = Math.max(0, Math.floor(list.scrollTop / row) - 2);
  const many = Math.ceil(list.clientHeight / row) + 5;
  while (pool.length < many) pool.push(makeRow());
  rows.style.height = `${shown.length * row}px`;
  for (let i = 0; i < pool.length; i++) {
    const index = first + ((i - first) % pool.length + pool.length) % pool.length;
    if (index < Math.min(shown.length, first + many)) fill(pool[i], shown[index], index, index * row);
    else pool[i].hidden = true;
  }
  const active = shown.indexOf(selected);
  if (active >= first && active < first + many) list.setAttribute('aria-activedescendant', `row-${active}`);
  else list.removeAttribute('aria-activedescendant');
}

export function render(isAsked = false) {
  const now = filtered();
  const isStanding = !isAsked && stands();
  if (!isStanding) shown = now;
  const newer = isStanding && now.length ? (shown.length ? (now.indexOf(shown[0]) + now.length + 1) % (now.length + 1) : now.length) : 0;
  latest.classList.toggle('idle', newer === 0);
  latest.tabIndex = newer === 0 ? -1 : 0;
  setText(latest, newer ? `${number(newer)} newer` : 'to the latest');
  setText(byId('counted'), `${number(now.length)} of ${number(flows.length)}${totals.missed ? `, ${number(totals.missed)} missed` : ''}`);
  place();
}

function close() {
  selected = null;
  explaining.abort();
  details.hidden = true;
  list.focus();
  render();
}

function select(flow) {
  selected = flow;
  explaining.abort();
  explaining = new AbortController();
  details.replaceChildren(...describe(flow));
  details.hidden = false;
  details.scrollTop = 0;
  explain(flow, details.querySelector('.explained'), explaining.signal);
  render();
}

const term = (list, name, ...values) => values.some(value => value !== undefined && value !== '') && list.append(el('dt', {}, name), el('dd', {}, ...values.map(value => value instanceof Node ? value : wire(value))));

function describe(flow) {
  const facts = el('dl');
  const client = flow.client ?? {};
  term(facts, 'outcome', `${outcome(flow)}${flow.complete === false ? ', cut off' : ''}`);
  term(facts, 'rule', flow.rule);
  term(facts, 'error', flow.error);
  term(facts, 'asked by', client.program);
  term(facts, 'started by', (client.parents ?? []).join(' ← '));
  term(facts, 'process', client.pid === undefined ? (client.uid === undefined ? undefined : `uid ${client.uid}`) : `${client.pid}, uid ${client.uid}`);
  term(facts, 'client', client.address);
  term(facts, 'came by', [flow.entry, flow.protocol].filter(word => word).join(', '));
  term(facts, 'upstream', flow.upstream_address);
  term(facts, 'cache', flow.cache);
  term(facts, 'sent', bytes(flow.request_bytes ?? 0));
  term(facts, 'received', bytes(flow.response_bytes ?? 0));
  term(facts, 'added fields', (flow.injected ?? []).join(', '));
  term(facts, 'began', date(flow.time));
  term(facts, 'id', flow.id);
  return [
    el('div', { class: 'top' }, el('h2', {}, wire(flow.method ?? flow.entry, 40)), el('button', { type: 'button', class: 'close', onclick: close }, 'Close')),
    el('p', { class: 'address' }, wire(flow.scheme ? `${flow.scheme}://${authority(flow)}${target(flow)}` : authority(flow))),
    timing(flow), facts,
    el('h3', {}, 'Would it pass now?'), el('div', { class: 'explained' }, 'asking'),
  ];
}

function timing(flow) {
  const all = Math.max(flow.duration_ms ?? 0, 0.01);
  const parts = [['name', flow.dns_ms], ['connect', flow.connect_ms], ['TLS', flow.tls_ms], ['first byte', flow.first_byte_ms]].filter(([, time]) => time > 0);
  const rest = all - parts.reduce((sum, [, time]) => sum + time, 0);
  if (rest > 0) parts.push([parts.length ? 'the rest' : 'all', rest]);
  const scale = 1000 / parts.reduce((sum, [, time]) => sum + time, 0);
  const bar = svg('svg', { viewBox: '0 0 1000 10', preserveAspectRatio: 'none', class: 'bar', role: 'img', 'aria-label': visible(`${milliseconds(all)}: ${parts.map(([name, time]) => `${name} ${milliseconds(time)}`).join(', ')}`) });
  const legend = el('ul', { class: 'legend' });
  let x = 0;
  for (const [name, time] of parts) {
    const part = name.replace(' ', '-').toLowerCase();
    bar.append(svg('rect', { x, y: 0, width: Math.max(2, time * scale), height: 10, class: `part ${part}` }));
    x += time * scale;
    legend.append(el('li', {}, el('i', { class: `swatch ${part}` }), `${name} ${milliseconds(time)}`));
  }
  return el('div', { class: 'timing' }, bar, legend);
}

async function explain(flow, place, signal) {
  if (!flow.host || flow.entry === 'dns' || flow.entry === 'approval' || rawPort(flow)) {
    place.replaceChildren('This is no request for an address.');
    return;
  }
  try {
    const said = await json(`/api/explain?url=${encodeURIComponent(url(flow))}&method=${methodOf(flow)}`, { signal });
    const chain = el('dl');
    term(chain, 'outcome', said.outcome);
    term(chain, 'interception', said.interception);
    term(chain, 'allowlist', said.allowlist.reason ?? `allowed by ${said.allowlist.rule} (mode ${said.allowlist.mode})`);
    term(chain, 'address', said.address);
    term(chain, 'cache', said.cache && `${said.cache.state}${said.cache.reason ? `: ${said.cache.reason}` : ''}`);
    term(chain, 'headers', said.headers && `${said.headers.pattern}: ${[...said.headers.set ?? [], ...said.headers.append ?? []].join(', ')}`);
    term(chain, 'upstream', said.upstream);
    place.replaceChildren(chain);
  } catch (e) {
    if (!signal.aborted) place.replaceChildren(wire(e.message));
  }
}

function move(by) {
  if (!shown.length) return;
  const index = Math.min(shown.length - 1, Math.max(0, selected && shown.includes(selected) ? shown.indexOf(selected) + by : 0));
  const [row, top] = [height(), index * height()];
  select(shown[index]);
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + row > list.scrollTop + list.clientHeight) list.scrollTop = top + row - list.clientHeight;
}

export function start() {
  list.addEventListener('scroll', () => stands() ? place() : render(), { passive: true });
  new ResizeObserver(() => place()).observe(list);
  // The row under the pointer as the button goes down, whatever comes until it goes up.
  let pressed = null;
  list.addEventListener('pointerdown', e => { pressed = e.target.closest('.row')?.flow ?? null; });
  list.addEventListener('click', () => pressed && select(pressed));
  list.addEventListener('keydown', e => {
    const page = Math.max(1, Math.floor(list.clientHeight / height()) - 1);
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity, Enter: 0 }[e.key];
    if (by === undefined) return;
    e.preventDefault();
    move(by);
    if (e.key === 'Enter') details.querySelector('.close').focus();
  });
  byId('traffic').addEventListener('keydown', e => { if (e.key === 'Escape' && selected) close(); });
  for (const id of ['filter', 'status', 'cached', 'only-blocked']) byId(id).addEventListener('input', () => { list.scrollTop = 0; render(true); });
  latest.addEventListener('click', () => {
    selected = null;
    details.hidden = true;
    list.scrollTop = 0;
    render(true);
    list.focus();
  });
}
