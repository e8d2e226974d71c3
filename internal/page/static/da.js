import { id, make, text, row, short, pause, lost, badge } from './common.js';

let token = '';
const most = 40;

// ask makes a request with the token, if there is one. What is not answered as it should be is an error.
async function ask(url, opt = {}) {
  const headers = token ? { Authorization: 'Bearer ' + token } : {};
  if (opt.body) headers['Content-Type'] = 'application/json';
  const resp = await fetch(url, { ...opt, headers, cache: 'no-store' });
  if (!resp.ok) {
    const err = new Error((await resp.json().catch(() => ({}))).error || 'HTTP ' + resp.status);
    err.status = resp.status;
    throw err;
  }
  return resp;
}

let calls = 0;
async function call(method, ...params) {
  const resp = await ask('/', { method: 'POST', body: JSON.stringify({ jsonrpc: '2.0', id: ++calls, method, params }) });
  const answer = await resp.json();
  if (answer.error) throw new Error(answer.error.message);
  return answer.result;
}

// heights shows each new height, as the server tells it.
async function heights() {
  let next = 0;
  for (;;) {
    try {
      const h = next ? await call('header.WaitForHeight', next) : await call('header.LocalHead');
      const header = h.header;
      const height = Number(header.height);
      next = height + 1;
      lost('');
      badge('answers', 'good');
      text(id('chain'), header.chain_id);
      text(id('head'), String(height));
      const hash = h.commit.block_id.hash;
      const cell = make('td', short(hash));
      cell.title = hash;
      const tr = row([height, cell, new Date(header.time).toLocaleTimeString(), (h.dah.row_roots.length / 2) + ' wide']);
      tr.className = 'fresh';
      id('heights').prepend(tr);
      while (id('heights').children.length > most) id('heights').lastChild.remove();
    } catch (err) {
      if (err.status === 401) id('auth').hidden = false;
      next = 0;
      lost(`The server does not answer calls (${err.message}). Trying again…`);
      await pause(1000);
    }
  }
}

// faults shows what is in force, whoever has switched it.
async function faults() {
  let seen = '';
  for (;;) {
    try {
      if (!id('faults').children.length) switches(await (await ask('/faults/kinds')).json());
      const resp = await ask('/faults' + (seen ? '?after=' + seen : ''));
      seen = (resp.headers.get('ETag') || '').replaceAll('"', '');
      inForce(await resp.json());
      id('closed').hidden = true;
    } catch (err) {
      seen = '';
      id('closed').hidden = false;
      text(id('closed'), 'The faults cannot be seen: ' + err.message);
      if (err.status === 401) id('auth').hidden = false;
      await pause(1000);
    }
  }
}

let force = [];
const buttons = new Map();

function switches(kinds) {
  id('faults').replaceChildren(...kinds.map((k) => {
    const b = make('button', [make('span', k.kind, 'mono'), make('small', k.help.replaceAll('`', ''))]);
    b.type = 'button';
    b.id = 'fault-' + k.kind;
    b.setAttribute('role', 'switch');
    b.setAttribute('aria-checked', 'false');
    b.addEventListener('click', () => flip(k.kind));
    buttons.set(k.kind, b);
    return make('li', [b]);
  }));
}

async function flip(kind) {
  try {
    const on = force.filter((f) => f.kind === kind);
    if (!on.length) await ask('/faults', { method: 'POST', body: JSON.stringify({ kind }) });
    for (const f of on) await ask('/faults?id=' + f.id, { method: 'DELETE' });
  } catch (err) {
    id('closed').hidden = false;
    text(id('closed'), err.message);
  }
}

function inForce(list) {
  force = list;
  for (const [kind, b] of buttons) b.setAttribute('aria-checked', String(list.some((f) => f.kind === kind)));
  id('force').replaceChildren(...(list.length ? list.map((f) => {
    const { id: n, kind, ...rest } = f;
    return make('li', `${kind} ${Object.entries(rest).map(([k, v]) => `${k}=${v}`).join(' ')}`);
  }) : [make('li', 'none', 'none')]));
}

id('clear').addEventListener('click', () => ask('/faults', { method: 'DELETE' }).catch((err) => { id('closed').hidden = false; text(id('closed'), err.message); }));
id('auth').addEventListener('submit', (e) => {
  e.preventDefault();
  token = id('token').value.trim();
  id('auth').hidden = true;
});

heights();
faults();
