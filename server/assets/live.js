// Live updates. The server says only that something changed; this page is then read again. What may
// change in place ([data-refresh=now]) is replaced. A list ([data-refresh=ask]) never moves: the rows
// that are there (data-key) get their new content where they stand, and a bar offers what is new.
// Without this script every page works by reloading.
const news = document.getElementById("news");
let timer = 0;
let last = 0;
let lost = false;
let wanted = false;
let away = false;

function say(text, link) {
  if (!news) return;
  if (link) {
    const a = document.createElement("a");
    a.href = location.href;
    a.textContent = text;
    news.replaceChildren(a);
  } else {
    news.textContent = text;
  }
  news.hidden = false;
}

// What stands there, without the times: that one grew older is no news.
function told(part) {
  const copy = part.cloneNode(true);
  for (const time of copy.querySelectorAll("time")) time.remove();
  return copy.textContent;
}

// Replaces what is inside, and keeps what the reader unfolded and how far they scrolled.
function replace(old, now) {
  if (old.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) return;
  const atEnd = old.scrollTop + old.clientHeight >= old.scrollHeight - 4;
  const open = [...old.querySelectorAll("details")].map((d) => d.open);
  old.replaceChildren(...document.importNode(now, true).childNodes);
  old.querySelectorAll("details").forEach((d, at) => { if (open[at] !== undefined) d.open = open[at]; });
  if (atEnd) old.scrollTop = old.scrollHeight;
}

// Updates the rows of a list in place; gives how many are new, or -1 where it has no rows.
function update(old, now) {
  const fresh = new Map([...now.querySelectorAll("[data-key]")].map((row) => [row.dataset.key, row]));
  const rows = old.querySelectorAll("[data-key]");
  if (rows.length === 0) return told(now) === told(old) ? 0 : Math.max(fresh.size, 1);
  for (const row of rows) {
    const next = fresh.get(row.dataset.key);
    fresh.delete(row.dataset.key);
    row.classList.toggle("gone", !next);
    if (!next) row.title = news.dataset.gone;
    else if (told(next) !== told(row)) replace(row, next);
  }
  return fresh.size;
}

async function look() {
  timer = 0;
  last = Date.now();
  const answer = await fetch(location.href, { headers: { accept: "text/html" }, credentials: "same-origin" });
  // Nobody nudges a page whose server has no database: it asks again by itself.
  if (answer.status >= 500) {
    away = true;
    say(news.dataset.away, false);
    setTimeout(soon, 10000);
    return;
  }
  if (!answer.ok || answer.redirected) return;
  if (away) greet();
  away = false;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  let count = 0;
  for (const old of document.querySelectorAll("[data-refresh]")) {
    const now = page.getElementById(old.id);
    if (!now) continue;
    if (old.dataset.refresh === "ask") count += update(old, now);
    else if (now.textContent !== old.textContent) replace(old, now);
  }
  for (const now of page.querySelectorAll("[data-refresh]")) {
    if (!document.getElementById(now.id)) count += 1;
  }
  if (count > 0) say(news.dataset.new.replace("{n}", count.toLocaleString(document.documentElement.lang)), true);
}

// It works again: said for a moment, unless there is something to offer.
function greet() {
  say(news.dataset.back, false);
  setTimeout(() => { if (!lost && !away && !news.querySelector("a")) news.hidden = true; }, 5000);
}

function soon() {
  // A page that nobody looks at waits until somebody does.
  if (document.hidden) { wanted = true; return; }
  if (timer) return;
  timer = setTimeout(() => look().catch(() => {}), Math.max(300, 1500 - (Date.now() - last)));
}

if (news && document.querySelector("[data-refresh]:not(#halt)")) {
  const source = new EventSource("/api/v1/events");
  for (const kind of ["host", "incident", "job", "job_log", "database", "halt", "campaign", "freezes", "missed"]) source.addEventListener(kind, soon);
  source.addEventListener("error", () => {
    lost = true;
    say(news.dataset.lost, false);
  });
  // What happened between the page's making and this stream, or while it was lost, is not told again.
  source.addEventListener("open", () => {
    if (lost) greet();
    lost = false;
    soon();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || !wanted) return;
    wanted = false;
    soon();
  });
}
