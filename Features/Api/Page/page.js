// The page: its tabs, its login, and when which of its views is drawn and asked for anew.
import { isLoggedIn, json, logIn, logInByCode, logOut, setText } from './shared.js';
import { changed, connection, onChange, reconnect, watch } from './flows.js';
import { render, start } from './traffic.js';
import { draw, notice, poll, prepare } from './views.js';

const Period = 2000;
const byId = id => document.getElementById(id);
const tabs = [...document.querySelectorAll('[role=tab]')];
let open = '';
let drawn = 0;

function show(name, isFocused = false) {
  if (!tabs.some(tab => tab.getAttribute('aria-controls') === name)) name = 'traffic';
  open = name;
  for (const tab of tabs) {
    const isOpen = tab.getAttribute('aria-controls') === name;
    tab.setAttribute('aria-selected', isOpen);
    tab.tabIndex = isOpen ? 0 : -1;
    byId(tab.getAttribute('aria-controls')).hidden = !isOpen;
    if (isOpen && isFocused) tab.focus();
  }
  if (location.hash !== `#${name}`) history.replaceState(null, '', `#${name}`);
  drawn = 0;
  changed();
  refresh();
}

// Sums are redrawn once a second at most; the list with each frame in which something has come.
function frame() {
  byId('connection').dataset.state = connection.state;
  setText(byId('connection'), connection.state === 'live' ? 'live' : connection.reason || 'connecting');
  if (open === 'traffic') render();
  else if (draw[open] && performance.now() - drawn >= 1000) {
    drawn = performance.now();
    draw[open]();
  }
}

async function ask(name) {
  try {
    await poll[name]();
  } catch (e) {
    // The state of the connection says where the proxy is away, or wants the token.
    if (e.status && (e.status !== 401 || isLoggedIn())) notice(e.message, true);
  }
}

async function refresh() {
  const asked = new Set(['blocked', open].filter(name => poll[name]));
  await Promise.all([...asked].map(ask));
}

// What waits for an answer waits for no other view.
async function repeat(name) {
  for (;;) {
    const asked = name();
    if (!document.hidden && connection.state !== 'closed' && poll[asked]) await ask(asked);
    changed();
    await new Promise(resolve => setTimeout(resolve, Period));
  }
}

function showLogin() {
  byId('logged-in').hidden = byId('log-out').hidden = !isLoggedIn();
  byId('token-field').hidden = byId('log-in').hidden = isLoggedIn();
}

function welcome() {
  byId('token').value = '';
  notice('');
  showLogin();
  if (connection.state !== 'live') reconnect();
  refresh();
}

// The address is shown and kept without the code, though it is good for nothing any more.
async function openAddress() {
  const code = /^#login=([0-9a-f]{32})$/.exec(location.hash)?.[1];
  show(code ? 'traffic' : location.hash.slice(1));
  if (!code || isLoggedIn()) return;
  try {
    if (await logInByCode(code)) welcome();
    else notice('This address was used, or is older than a minute: `discobot ui` prints another.', true);
  } catch {
    notice('The proxy does not answer.', true);
  }
}

async function tryLogin() {
  const field = byId('token');
  try {
    if (await logIn(field.value.trim())) {
      welcome();
      byId('log-out').focus();
    } else {
      notice('This is not the token.', true);
      field.focus();
    }
  } catch {
    notice('The proxy does not answer.', true);
  }
}

byId('log-in').addEventListener('click', tryLogin);
byId('token').addEventListener('keydown', e => { if (e.key === 'Enter') tryLogin(); });
byId('log-out').addEventListener('click', () => { logOut(); location.reload(); });
tabs.forEach((tab, i) => {
  tab.addEventListener('click', () => show(tab.getAttribute('aria-controls')));
  tab.addEventListener('keydown', e => {
    const next = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: tabs.length - 1 }[e.key];
    if (next === undefined) return;
    e.preventDefault();
    show(tabs[(next + tabs.length) % tabs.length].getAttribute('aria-controls'), true);
  });
});
addEventListener('hashchange', openAddress);
onChange(frame);
start();
prepare();
openAddress();
watch();
repeat(() => 'blocked');
repeat(() => open === 'blocked' ? '' : open);

// Where everybody may change everything, nobody is asked for a token.
json('/api/config').then(config => { byId('login').hidden = config.api.protect === 'none'; }, () => {});
