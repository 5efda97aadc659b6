// Keeps "3 s ago" true while the page stays open; the words are those of the server's filter.
const units = [[86_400_000, "d"], [3_600_000, "h"], [60_000, "min"], [1_000, "s"]];

function ago(fromMs, nowMs) {
  const passedMs = Math.abs(nowMs - fromMs);
  const found = units.find(([size]) => passedMs >= size);
  if (!found) return fromMs > nowMs ? "now" : "just now";
  const span = `${Math.floor(passedMs / found[0])} ${found[1]}`;
  return fromMs > nowMs ? `in ${span}` : `${span} ago`;
}

function refresh() {
  for (const time of document.querySelectorAll("time[data-relative-time]")) {
    const atMs = Date.parse(time.dateTime);
    const isDue = "due" in time.dataset && atMs <= Date.now();
    const words = isDue ? "now" : ago(atMs, Date.now());
    if (time.textContent !== words) time.textContent = words;
  }
}

setInterval(() => { if (!document.hidden) refresh(); }, 5_000);
