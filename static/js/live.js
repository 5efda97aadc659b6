// Keeps true what changes by itself: each marked part of a page is fetched anew while it is looked at.
const LOOK_EVERY_MS = 2_000;
const LOOK_AT_LEAST_EVERY_MS = 60_000;

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

function show(part, page) {
  if (isBeingUsed(part) || wordsOf(page.body) === wordsOf(part)) return;
  const focusable = () => [...part.querySelectorAll("a, button, summary")];
  const place = focusable().indexOf(document.activeElement);
  part.replaceChildren(...page.body.childNodes);
  if (place >= 0) focusable()[place]?.focus({ preventScroll: true });
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

for (const part of document.querySelectorAll("[data-live-url]")) {
  setTimeout(keepLooking, LOOK_EVERY_MS, part, LOOK_EVERY_MS);
}
