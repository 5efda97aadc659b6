// One fewer, one more: shows the two buttons beside a number and lets them count within its limits.
for (const stepper of document.querySelectorAll("[data-quantity-stepper]")) {
  const input = stepper.querySelector("input");

  for (const button of stepper.querySelectorAll("[data-step]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const wanted = (Number.parseInt(input.value, 10) || 0) + Number(button.dataset.step);
      input.value = Math.min(Number(input.max), Math.max(Number(input.min), wanted));
      input.dispatchEvent(new Event("change", { bubbles: true }));
    });
  }
}
