// What all views share: how text gets into the page, how numbers are written, how the API is asked.

// Characters that cannot be seen or that change the direction of writing are shown by their numbers.
export const visible = text => String(text).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu, c => `\\u{${c.codePointAt(0).toString(16)}}`);

export const cut = (text, most) => text.length > most ? text.slice(0, most) + '…' : text;

// An element. Strings become text, never HTML.
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.filter(child => child !== undefined).map(child => child instanceof Node ? child : visible(child)));
  return node;
}

// Text of somebody else's: apart from the direction of what is around it.
export const wire = (text, most = 16000) => el('bdi', { class: 'wire' }, cut(String(text), most));

export function setText(node, text) {
  const shown = visible(text);
  if (node.textContent !== shown) node.textContent = shown;
}

export function svg(name, attributes) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

// One child for each item, kept while its item is there. The order of those that are there changes only while nobody points at or is in them.
export function keyed(parent, items, keyOf, make) {
  const nodes = parent.nodes ??= new Map();
  const left = new Set(nodes.keys());
  const wanted = items.map(item => {
    const key = keyOf(item);
    left.delete(key);
    let node = nodes.get(key);
    if (!node) nodes.set(key, node = make(item));
    node.update?.(item);
    return node;
  });
  // Who was about to click on what has just gone must not hit what has taken its place.
  if (left.size && parent.matches(':hover')) {
    parent.inert = true;
    clearTimeout(parent.resting);
    parent.resting = setTimeout(() => { parent.inert = false; }, 500);
  }
  for (const key of left) {
    nodes.get(key).remove();
    nodes.delete(key);
  }
  const isQuiet = !parent.matches(':hover, :focus-within');
  wanted.forEach((node, i) => {
    if (!node.parentNode) parent.insertBefore(node, isQuiet ? parent.children[i] ?? null : null);
    else if (isQuiet && parent.children[i] !== node) parent.insertBefore(node, parent.children[i] ?? null);
  });
}

export function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  for (; n >= 1024 && unit < 4; unit++) n /= 1024;
  return `${unit ? n.toFixed(1) : n} ${units[unit]}`;
}

export const milliseconds = n => n < 1 ? `${n.toFixed(2)} ms` : n < 10000 ? `${Math.round(n)} ms` : `${(n / 1000).toFixed(1)} s`;
export const number = n => Number(n).toLocaleString('en');
const two = n => String(n).padStart(2, '0');
export const clock = time => { const t = new Date(time); return `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`; };
export const date = time => { const t = new Date(time); return isNaN(t) ? '' : `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${clock(t)}`; };

const bracketed = host => host.includes(':') ? `[${host}]` : host;
export const authority = flow => !flow.host ? '' : bracketed(flow.host)
  + (!flow.port || (flow.scheme === 'https' && flow.port === 443) || (flow.scheme === 'http' && flow.port === 80) ? '' : `:${flow.port}`);
export const target = flow => (flow.path ?? '') + (flow.query ? `?${flow.query.join('&')}` : '');
export const url = flow => `${flow.scheme === 'http' ? 'http' : 'https'}://${authority(flow)}${flow.path?.startsWith('/') ? flow.path : '/'}`;
// What a tunnel or a question for a name would go on to do.
export const methodOf = flow => /^[A-Za-z-]{1,40}$/.test(flow.method ?? '') && !['CONNECT', 'DNS'].includes(flow.method) ? flow.method : 'GET';
export const program = flow => flow.client?.program?.split('/').pop() ?? '';
// What is neither HTTP nor TLS is decided by its host and port alone. Of a question the port is told for that alone.
export const rawPort = asked => 'requests' in asked ? asked.port ?? 0 : ['tcp', 'tls', 'udp'].includes(asked.protocol) && ![80, 443].includes(asked.port) ? asked.port ?? 0 : 0;
export const isBlocked = flow => flow.verdict !== 'allowed';

// The token is kept here alone, and gone with the page.
let token = '';
export const isLoggedIn = () => token !== '';
export const logOut = () => { token = ''; };

export async function ask(path, { method = 'GET', body, signal = AbortSignal.timeout(15000) } = {}) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const response = await fetch(path, { method, headers, signal, cache: 'no-store', credentials: 'omit', redirect: 'error', body: body === undefined ? undefined : JSON.stringify(body) });
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  throw Object.assign(new Error(said.error ?? `the proxy answered ${response.status}`), { status: response.status });
}

export const json = async (path, options) => (await ask(path, options)).json();

// An answer to no question: 401 where the token is wrong, and otherwise nothing but a refusal.
export async function logIn(text) {
  if (!/^[\x21-\x7e]+$/.test(text)) return false;
  const before = token;
  token = text;
  try {
    await ask('/api/approvals/none', { method: 'POST', body: {} });
  } catch (e) {
    if (e.status === 401 || e.status === undefined) token = before;
    if (e.status === undefined) throw e;
    return e.status !== 401;
  }
  return true;
}

// A code of `discobot ui`, good once: the token for it, or false.
export async function logInByCode(code) {
  try {
    return await logIn((await json('/api/login', { method: 'POST', body: { code } })).token);
  } catch (e) {
    if (e.status === undefined) throw e;
    return false;
  }
}
