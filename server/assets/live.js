// Live updates. The server says only that something changed; this page is then read again, and what
// may change in place ([data-refresh=now]) is changed. Lists ([data-refresh=ask]) never move under
// the pointer: a bar offers the new ones. Without this script every page works by reloading.
const news = document.getElementById("news");
let timer = 0;
let last = 0;

function show(text, link) {
  if (!news) return;
  news.replaceChildren();
  if (link) {
    const a = document.createElement("a");
    a.href = location.href;
    a.textContent = text;
    news.append(a);
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

async function look() {
  timer = 0;
  last = Date.now();
  const answer = await fetch(location.href, { headers: { accept: "text/html" }, credentials: "same-origin" });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  let changed = false;
  for (const old of document.querySelectorAll("[data-refresh]")) {
    const now = old.id && fresh.getElementById(old.id);
    if (!now || now.textContent === old.textContent) continue;
    if (old.dataset.refresh === "now") {
      const atEnd = old.scrollTop + old.clientHeight >= old.scrollHeight - 4;
      old.replaceChildren(...document.importNode(now, true).childNodes);
      if (atEnd) old.scrollTop = old.scrollHeight;
    } else if (told(now) !== told(old)) {
      changed = true;
    }
  }
  for (const now of fresh.querySelectorAll("[data-refresh=ask]")) {
    if (!document.getElementById(now.id)) changed = true;
  }
  if (changed) show(news.dataset.new, true);
}

function soon() {
  if (timer) return;
  const wait = Math.max(300, 1500 - (Date.now() - last));
  timer = setTimeout(() => look().catch(() => {}), wait);
}

if (document.querySelector("[data-refresh]")) {
  const source = new EventSource("/api/v1/events");
  for (const kind of ["host", "incident", "job", "job_log", "missed"]) source.addEventListener(kind, soon);
  source.addEventListener("error", () => { if (news) show(news.dataset.lost, false); });
  // What happened between the page's making and this stream, or while it was lost, is not told again.
  source.addEventListener("open", () => {
    if (news && !news.querySelector("a")) news.hidden = true;
    soon();
  });
}
