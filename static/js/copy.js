// A button that copies what stands in an element. Without a clipboard there is no button.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("button[data-copies]")) {
    const words = button.textContent;
    button.hidden = false;

    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Select it and copy by hand";
      }
      setTimeout(() => { button.textContent = words; }, 3000);
    });
  }
}
