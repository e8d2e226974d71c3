// What the pages share. Text of others goes into the page by textContent alone.

export const id = (name) => document.getElementById(name);

// make returns an element with a text, or with children.
export function make(tag, content, className) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (Array.isArray(content)) e.append(...content);
  else if (content !== undefined) e.textContent = content;
  return e;
}

// text changes what an element says, if it says something else: a screen reader hears of changes alone.
export function text(e, said) {
  if (e.textContent !== said) e.textContent = said;
}

export function row(cells) {
  const tr = document.createElement('tr');
  for (const c of cells) tr.append(c instanceof Node ? c : make('td', String(c ?? '')));
  return tr;
}

export const short = (hash) => (hash && hash.length > 16 ? hash.slice(0, 8) + '…' + hash.slice(-6) : hash || '');

// ago says how long ago a time was, from a Date or what makes one.
export function ago(at, now = Date.now()) {
  const s = (now - new Date(at)) / 1000;
  if (!(s < 1e9)) return '';
  return span(Math.max(0, s)) + ' ago';
}

export function span(s) {
  if (s < 10) return s.toFixed(1) + ' s';
  if (s < 120) return Math.round(s) + ' s';
  if (s < 7200) return Math.round(s / 60) + ' min';
  if (s < 172800) return Math.round(s / 3600) + ' h';
  return Math.round(s / 86400) + ' d';
}

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// lost says that the server does not answer, or that it does again.
export function lost(why) {
  const link = id('link');
  link.hidden = !why;
  text(link, why || '');
  if (why) badge('no connection', 'bad');
}

export function badge(said, className) {
  const b = id('ready');
  text(b, said);
  b.className = 'badge ' + className;
}

// events reads a stream of server-sent events until it ends, and gives each to a function.
export async function events(url, last, each) {
  const headers = last ? { 'Last-Event-ID': last } : {};
  const resp = await fetch(url, { headers, cache: 'no-store' });
  if (!resp.ok) {
    const err = new Error((await resp.json().catch(() => ({}))).error || 'HTTP ' + resp.status);
    err.status = resp.status;
    throw err;
  }
  const reader = resp.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\n\n');
    rest = parts.pop();
    for (const part of parts) {
      const e = { kind: 'message', data: '', id: '' };
      for (const line of part.split('\n')) {
        if (line.startsWith('event: ')) e.kind = line.slice(7);
        else if (line.startsWith('data: ')) e.data += line.slice(6);
        else if (line.startsWith('id: ')) e.id = line.slice(4);
      }
      if (e.data) each(e.kind, JSON.parse(e.data), e.id);
    }
  }
}
