// Keeps true what changes by itself: each marked part of a page is fetched anew while it is looked at.
// What its data-live-says picks is also told to who listens, when it reads differently than before.
const LOOK_EVERY_MS = 2_000;
const LOOK_AT_LEAST_EVERY_MS = 60_000;

const parts = document.querySelectorAll("[data-live-url]");
const status = document.createElement("p");

function isBeingUsed(part) {
  const selection = getSelection();
  const isRead = !selection.isCollapsed && part.contains(selection.anchorNode);
  return isRead || part.querySelector("button:disabled") !== null;
}

// Tokens and moments are anew each time; what people read is not.
function wordsOf(part) {
  const copy = part.cloneNode(true);
  for (const time of copy.querySelectorAll("time")) time.textContent = time.dateTime;
  return copy.textContent.replace(/\s+/g, " ").trim();
}

function said(part) {
  const { liveSays } = part.dataset;
  return liveSays ? [...part.querySelectorAll(liveSays)].map(wordsOf) : [];
}

// A link is the same wherever it has moved to; anything else is where it was.
function finder(part, sought) {
  const all = () => [...part.querySelectorAll("a, button, summary")];
  const href = sought.getAttribute("href");
  const alike = () => (href ? all().filter((each) => each.getAttribute("href") === href) : all());
  const place = alike().indexOf(sought);
  return () => alike()[place];
}

// The first link that is in sight, if the part begins above it: what is read stays where it is.
function firstInSight(part) {
  if (part.getBoundingClientRect().top >= 0) return undefined;
  return [...part.querySelectorAll("a")].find((link) => link.getBoundingClientRect().top >= 0);
}

function show(part, page) {
  if (isBeingUsed(part) || wordsOf(page.body) === wordsOf(part)) return;
  const before = said(part);
  const focused = part.contains(document.activeElement) ? finder(part, document.activeElement) : undefined;
  const read = firstInSight(part);
  const top = read?.getBoundingClientRect().top;
  const readAgain = read && finder(part, read);
  const open = [...part.querySelectorAll("details[data-keep][open]")].map((each) => each.dataset.keep);

  part.replaceChildren(...page.body.childNodes);

  for (const each of part.querySelectorAll("details[data-keep]")) each.open = open.includes(each.dataset.keep);
  focused?.()?.focus({ preventScroll: true });
  const again = readAgain?.();
  if (again) scrollBy({ top: again.getBoundingClientRect().top - top, behavior: "instant" });
  const news = said(part).filter((words) => !before.includes(words));
  if (news.length > 0) status.textContent = news.join(". ");
}

async function keepLooking(part, pauseMs) {
  let nextMs = LOOK_EVERY_MS;
  if (!document.hidden) {
    try {
      const answer = await fetch(part.dataset.liveUrl, { headers: { Accept: "text/html" } });
      if (answer.ok && !answer.redirected) {
        show(part, new DOMParser().parseFromString(await answer.text(), "text/html"));
      }
    } catch {
      // The server is away; what is shown stays, and a later look may find it back.
      nextMs = Math.min(pauseMs * 2, LOOK_AT_LEAST_EVERY_MS);
    }
  }
  setTimeout(keepLooking, nextMs, part, nextMs);
}

if (parts.length > 0) {
  status.className = "visually-hidden";
  status.setAttribute("role", "status");
  document.getElementById("main").append(status);
}
for (const part of parts) {
  setTimeout(keepLooking, LOOK_EVERY_MS, part, LOOK_EVERY_MS);
}
