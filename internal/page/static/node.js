import { id, make, text, row, short, ago, span, pause, lost, badge, events } from './common.js';

const most = 30; // blocks in the table
let status; // the latest
let last = ''; // event id, to go on from
const tiles = {};

// time makes a Date of a block's time: RFC 3339, or nanoseconds.
const time = (t) => new Date(typeof t === 'number' ? t / 1e6 : t);

function tile(name, value, small) {
  let t = tiles[name];
  if (!t) {
    const dd = make('dd');
    t = tiles[name] = { value: make('span'), small: make('small') };
    dd.append(t.value, t.small);
    id('heads').append(make('div', [make('dt', name), dd]));
  }
  text(t.value, String(value));
  text(t.small, small || '');
}

function showStatus(s) {
  status = s;
  document.title = `${s.ready ? '' : 'not ready: '}${s.chain_id} ${s.heads.safe.height}`;
  text(id('chain'), s.chain_id);
  text(id('mode'), s.mode === 'sequencer' ? 'a sequencer' : 'a full node');
  text(id('version'), `headrace ${s.version || ''}`);
  badge(s.ready ? 'ready' : 'not ready', s.ready ? 'good' : 'bad');
  const trouble = s.reason || s.disk;
  text(id('why'), trouble || (s.waiting.length ? 'It is ready. Meanwhile:' : 'Nothing: it is ready.'));
  id('why').className = s.ready ? '' : 'bad';
  id('remedy').hidden = !s.remedy;
  text(id('remedy'), s.remedy ? 'What to do: ' + s.remedy : '');
  id('waiting').replaceChildren(...s.waiting.map((w) => make('li', `${w.cause} (${w.stage} at ${w.height}${w.since ? ', since ' + span((new Date(s.at) - new Date(w.since)) / 1000) : ''})`)));
  const now = new Date(s.at);
  tile('Unsafe head', s.heads.unsafe.height, s.chain.unsafe_made_at && 'made ' + ago(s.chain.unsafe_made_at, now));
  tile('Safe head', s.heads.safe.height, s.chain.safe_made_at && 'made ' + ago(s.chain.safe_made_at, now));
  tile('Finalized', s.heads.finalized.height);
  const source = s.source;
  tile('Position', source.position.height, source.proven.height ? 'proven to ' + source.proven.height : '');
  tile('Head of the source', source.head.height, source.head_at && ago(source.head_at, now));
  tile('Lag', source.lag, source.lag === 1 ? 'height' : 'heights');
  tile('Block time', source.block_time || '?', source.live ? 'live' : 'not live yet');
  const c = source.catch_up;
  id('catchup').hidden = !c;
  if (c) {
    id('progress').value = c.percent;
    text(id('eta'), `${c.percent.toFixed(1)} % at ${c.rate.toFixed(1)} heights a second` + (c.eta ? `, ${c.eta} to go` : ''));
  }
  id('endpoints').replaceChildren(...source.endpoints.map((e) => {
    const health = make('td', e.healthy ? 'answers' : 'fails', e.healthy ? 'good' : 'bad');
    return row([e.address, e.role, health, e.mode || '', e.head || '', e.lag, e.calls, e.errors, e.last_error ? `${e.last_error} (${ago(e.last_error_at, now)})` : '']);
  }));
  if (s.proposal) proposal(s.proposal);
  for (const tr of id('blocks').children) mark(tr);
  plotNow(s);
}

let proposed; // the last one shown
function proposal(p) {
  const key = JSON.stringify(p);
  if (key === proposed) return;
  proposed = key;
  tell(`proposal ${p.id}${p.l1 ? ` in L1 block ${p.l1.height}` : ''}${p.l2 ? `, up to block ${p.l2.height}` : ''}${p.void ? ': void, ' + p.void : ''}`);
}

function tell(said) {
  const list = id('events');
  list.querySelector('.none')?.remove();
  list.prepend(make('li', `${new Date().toLocaleTimeString()} ${said}`));
  while (list.children.length > 50) list.lastChild.remove();
}

// mark says of a block whether it is safe, as the heads are now.
function mark(tr) {
  const h = status ? status.heads : { safe: { height: 0 }, finalized: { height: 0 } };
  const n = Number(tr.dataset.height);
  const td = tr.lastChild;
  const said = n <= h.finalized.height ? 'finalized' : n <= h.safe.height || tr.dataset.safe ? 'safe' : 'unsafe';
  text(td, said);
  td.className = said === 'unsafe' ? 'hint' : 'good';
}

function showBlock(b) {
  const where = b.header_da_height && b.data_da_height && b.header_da_height !== b.data_da_height ? `${b.header_da_height}, data ${b.data_da_height}` : b.header_da_height || '';
  const hash = make('td', short(b.hash));
  hash.title = b.hash;
  const tr = row([b.height, hash, b.txs, time(b.time).toLocaleTimeString(), where, make('td')]);
  tr.dataset.height = b.height;
  if (b.safe) tr.dataset.safe = 'true';
  tr.className = 'fresh';
  const body = id('blocks');
  for (const old of [...body.children]) if (Number(old.dataset.height) >= b.height) old.remove();
  body.prepend(tr);
  mark(tr);
  while (body.children.length > most) body.lastChild.remove();
}

function onEvent(kind, data, at) {
  if (at) last = at;
  switch (kind) {
    case 'status':
      lost('');
      showStatus(data);
      break;
    case 'block':
      showBlock(data);
      break;
    case 'reorg':
      tell(`reorg: the blocks from ${data.to.height + 1} to ${data.from.height} are void`);
      for (const tr of [...id('blocks').children]) if (Number(tr.dataset.height) > data.to.height) tr.remove();
      break;
    case 'end':
      throw new Error('the node has ended: ' + data.cause);
  }
}

// follow reads the node's events for ever. After a loss it goes on where it was.
async function follow() {
  for (;;) {
    let why = 'the stream has ended';
    try {
      let from = '';
      if (!last) {
        const s = await (await fetch('/v1/status', { cache: 'no-store' })).json();
        showStatus(s);
        await history();
        from = '&from=' + Math.max(1, s.heads.unsafe.height - 19);
      }
      await events('/v1/events?events=block,status&head=unsafe' + from, last, onEvent);
    } catch (err) {
      why = err.message;
      if (err.status >= 400 && err.status < 500) { // what was known last is not there any more
        last = '';
        id('blocks').replaceChildren();
      }
    }
    lost(`No connection to the node (${why}). Trying again…`);
    await pause(1000);
  }
}

// Plots: one line each, over the last hour, of what the node has kept and of what has come since.
const hour = 3600e3;
const plots = [
  { key: 'latency_ms', name: 'Latency', unit: 'ms', about: 'announced to applied', points: [] },
  { key: 'lag', name: 'Lag', unit: 'heights', about: 'behind the head of the source', points: [] },
  { key: 'rate', name: 'Rate', unit: 'heights/s', about: 'applied', points: [] },
];
const svg = 'http://www.w3.org/2000/svg';

for (const p of plots) {
  p.svg = document.createElementNS(svg, 'svg');
  p.svg.setAttribute('viewBox', '0 0 720 100');
  p.svg.setAttribute('preserveAspectRatio', 'none');
  p.svg.setAttribute('role', 'img');
  p.path = p.svg.appendChild(document.createElementNS(svg, 'path'));
  p.caption = make('figcaption');
  id('plots').append(make('figure', [p.svg, p.caption]));
}

async function history() {
  const h = await (await fetch('/v1/history', { cache: 'no-store' })).json();
  for (const p of plots) p.points = h.points.map((q) => [new Date(q.at).getTime(), q[p.key]]);
}

function plotNow(s) {
  const at = new Date(s.at).getTime();
  const now = { latency_ms: s.source.latency_ms || 0, lag: s.source.lag, rate: s.source.rate };
  for (const p of plots) {
    const prev = p.points.at(-1);
    if (prev && at - prev[0] < 5000 && p.points.length > 1 && prev[0] - p.points.at(-2)[0] < 5000) p.points.pop(); // a point for each 5 s is enough
    p.points.push([at, now[p.key]]);
    while (p.points[0][0] < at - hour) p.points.shift();
    draw(p, at);
  }
}

function draw(p, now) {
  const wide = Math.min(hour, Math.max(300e3, now - p.points[0][0])); // of what there is, five minutes at least
  const top = Math.max(...p.points.map((q) => q[1]), 1e-9);
  let d = '';
  let before = -Infinity;
  for (const [at, v] of p.points) {
    const x = 720 - ((now - at) / wide) * 720;
    d += `${at - before > 60e3 ? 'M' : 'L'}${x.toFixed(1)} ${(98 - (v / top) * 94).toFixed(1)}`; // no line over a time without points
    before = at;
  }
  p.path.setAttribute('d', d);
  const round = (v) => (v >= 100 ? v.toFixed(0) : v.toFixed(v >= 1 ? 1 : 2));
  const said = `${p.name} (${p.about}): ${round(p.points.at(-1)[1])} ${p.unit} now, ${round(top)} at the most`;
  text(p.caption, said);
  p.svg.setAttribute('aria-label', said);
}

id('find').addEventListener('submit', async (e) => {
  e.preventDefault();
  const found = id('found');
  let what = id('what').value.trim();
  let url = '/v1/blocks/' + encodeURIComponent(what.replace(/^0x/i, ''));
  if (/^da:\d+$/i.test(what)) url = '/v1/blocks?da_height=' + what.slice(3);
  try {
    const resp = await fetch(url, { cache: 'no-store' });
    const body = await resp.json();
    if (!resp.ok) throw new Error(body.error || 'HTTP ' + resp.status);
    const list = body.blocks || [body];
    found.replaceChildren(...list.map(describe));
    if (!list.length) text(found, 'No block there.');
  } catch (err) {
    found.replaceChildren(make('p', err.message, 'bad'));
  }
});

function describe(b) {
  const dl = make('dl');
  for (const [key, v] of Object.entries(b)) {
    if (v === '' || v == null) continue;
    dl.append(make('dt', key.replaceAll('_', ' ')), make('dd', key === 'time' ? time(v).toISOString() : Array.isArray(v) ? String(v.length) : String(v)));
  }
  return dl;
}

follow();
