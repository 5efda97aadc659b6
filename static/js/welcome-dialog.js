// The welcome is open as it comes from the server; here it becomes modal, Esc answers like the
// backdrop, and closing it loads no page again: one visit to the shop stays one view.
const dialog = document.querySelector("[data-welcome-dialog]");

function answer(form, button) {
  return fetch(form.action, {
    method: "POST",
    body: new URLSearchParams(new FormData(form, button)),
    redirect: "manual",
    keepalive: true,
  });
}

if (dialog) {
  const form = dialog.querySelector("form");
  dialog.close();
  dialog.showModal();

  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    form.requestSubmit(form.querySelector('[value="background"]'));
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!dialog.open) return;
    dialog.close();
    answer(form, event.submitter).catch(() => {
      // The store is away; there is nobody to tell.
    });
  });
}
