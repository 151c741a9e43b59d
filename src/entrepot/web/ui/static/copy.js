// Buttons that copy: [data-copy] is the text, [data-done] what the button says when it is done.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const words = button.querySelector("span");
  try {
    await write(button.dataset.copy);
  } catch {
    return;
  }
  const before = words.dataset.before ?? words.textContent;
  words.dataset.before = before;
  words.textContent = button.dataset.done;
  announce(button.dataset.done);
  setTimeout(() => (words.textContent = before), 1500);
});

// Without https a browser has no clipboard for scripts; a selection works everywhere.
async function write(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("not copied");
}

function announce(text) {
  let region = document.getElementById("announced");
  if (!region) {
    region = document.createElement("div");
    region.id = "announced";
    region.className = "visually-hidden";
    region.setAttribute("aria-live", "polite");
    document.body.append(region);
  }
  region.textContent = text;
}
