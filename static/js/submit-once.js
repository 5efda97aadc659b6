// A form is sent once: a second click while the answer is on its way does nothing.
for (const form of document.querySelectorAll("form[data-submit-once]")) {
  let pressed = null;

  form.addEventListener("submit", (event) => {
    if (pressed) {
      event.preventDefault();
      return;
    }
    pressed = event.submitter ?? form;
    // Disabled a moment later, since a disabled button would not be sent with its form.
    setTimeout(() => { if (pressed) pressed.disabled = true; });
  });

  addEventListener("pageshow", () => {
    if (pressed) pressed.disabled = false;
    pressed = null;
  });
}
