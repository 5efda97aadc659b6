// Follows the events of this page on their way: while the bar is open, and while any is still waiting.
const LOOK_EVERY_MS = 2_000;
const LOOK_AT_LEAST_EVERY_MS = 60_000;
const LOOKS_WHILE_CLOSED = 15;
const OPEN_KEY = "x-ray-open";

const bar = document.querySelector("[data-x-ray]");
const panel = bar?.querySelector("[data-x-ray-panel]");
const facts = bar?.querySelector("[data-x-ray-facts]");
let looksLeft = LOOKS_WHILE_CLOSED;
let pauseMs = LOOK_EVERY_MS;

function isWorthLooking() {
  if (document.hidden) return false;
  if (bar.open) return true;
  const waiting = Number(facts.querySelector("[data-waiting]")?.dataset.waiting ?? 0);
  return waiting > 0 && looksLeft-- > 0;
}

function isBeingRead() {
  const selection = getSelection();
  return !selection.isCollapsed && panel.contains(selection.anchorNode);
}

function show(page) {
  const newFacts = page.querySelector("[data-x-ray-new-facts]");
  const newBody = page.querySelector("[data-x-ray-body]");
  if (!newFacts || !newBody || isBeingRead()) return;

  const keep = (node) => node?.closest?.("[data-keep]")?.dataset.keep;
  const find = (key) => newBody.querySelector(`[data-keep="${CSS.escape(key)}"]`);
  for (const open of panel.querySelectorAll("[data-keep][open]")) {
    const again = find(open.dataset.keep);
    if (again) again.open = true;
  }
  const focused = panel.contains(document.activeElement) ? keep(document.activeElement) : null;

  facts.replaceChildren(newFacts.content.cloneNode(true));
  panel.querySelector("[data-x-ray-body]").replaceWith(newBody);
  if (focused) find(focused)?.querySelector("summary").focus({ preventScroll: true });
}

async function look() {
  if (!isWorthLooking()) return;
  try {
    const answer = await fetch(bar.dataset.fragmentUrl, { headers: { Accept: "text/html" } });
    if (answer.ok) show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    pauseMs = LOOK_EVERY_MS;
  } catch {
    // The server is away; what is shown stays, and a later look may find it back.
    pauseMs = Math.min(pauseMs * 2, LOOK_AT_LEAST_EVERY_MS);
  }
}

async function keepLooking() {
  await look();
  setTimeout(keepLooking, pauseMs);
}

if (bar) {
  bar.open = sessionStorage.getItem(OPEN_KEY) === "yes";
  bar.addEventListener("toggle", () => {
    sessionStorage.setItem(OPEN_KEY, bar.open ? "yes" : "no");
    look();
  });
  setTimeout(keepLooking, pauseMs);
}
