// Searches show what they find as one types: the parts that [data-search] names are put in place of those on the page.
const WAIT = 120;
const form = document.querySelector("[data-search]");
const field = form.querySelector("input[type=search]");
let timer = 0;
let latest = 0;
let running;

function address() {
  const url = new URL(form.action);
  for (const [name, value] of new FormData(form)) if (value) url.searchParams.set(name, value);
  return url;
}

async function show() {
  clearTimeout(timer);
  const url = address();
  const mine = (latest += 1);
  running?.abort();
  running = new AbortController();
  let text;
  try {
    const answer = await fetch(url, { headers: { Accept: "text/html", "X-Part": "found" }, signal: running.signal });
    text = await answer.text();
  } catch {
    return;
  }
  // What was asked before may be answered later.
  if (mine === latest) put(new DOMParser().parseFromString(text, "text/html"), url);
}

function put(found, url) {
  const parts = form.dataset.search.split(" ").map((id) => [document.getElementById(id), found.getElementById(id)]);
  if (!parts.every(([, part]) => part)) return location.assign(url); // another page, as that of the sign-in
  const focused = document.activeElement;
  for (const [old, part] of parts) old.replaceWith(document.adoptNode(part));
  if (!focused.isConnected) document.getElementById(focused.id)?.focus({ preventScroll: true });
  history.replaceState(null, "", url);
  document.getElementById("found-said").textContent = document.querySelector("[data-count]")?.textContent.trim() ?? "";
}

function later(event) {
  if (event.target.form !== form || event.isComposing) return;
  clearTimeout(timer);
  timer = setTimeout(show, event.target === field ? WAIT : 0);
}

document.addEventListener("input", (event) => {
  // A day is whole only when it is changed.
  if (event.target === field) later(event);
});
document.addEventListener("compositionend", later);
document.addEventListener("change", (event) => {
  if (event.target !== field) later(event);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  show();
});

// Arrows lead from the field through what was found and back.
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.isComposing) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const hits = [...document.querySelectorAll("[data-hit]")];
  const at = hits.indexOf(event.target);
  if (event.key === "Escape" && at >= 0) field.focus();
  else if (step && (at >= 0 || (event.target === field && step > 0 && hits.length))) (hits[at + step] ?? (step < 0 ? field : hits[at])).focus();
  else if (event.key === "/" && !event.target.closest("input, select, textarea")) field.focus();
  else return;
  event.preventDefault();
});
