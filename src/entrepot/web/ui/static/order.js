// The order of a repository's sources: rows are dragged, or moved by keyboard, and the preview follows.
// Without script the buttons of each row do the same, a page at a time.
const form = document.querySelector("[data-order]");
const list = form.querySelector(".order");
const said = document.getElementById("order-said");
let held = null; // the row that was taken by keyboard, with where it stood
let dragged = null;
let asked = null;

const rows = () => [...list.children];
const grip = (row) => row.querySelector(".grip");

function say(kind, row) {
  const at = rows().indexOf(row) + 1;
  const values = { name: row.dataset.name, at, of: rows().length };
  said.textContent = form.dataset[kind].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// One handle can be reached by the tab key, arrow keys lead to the others.
function rove(row) {
  for (const other of rows()) grip(other).tabIndex = other === row ? 0 : -1;
}

function settle() {
  const all = rows();
  for (const [at, row] of all.entries()) {
    row.querySelector("[name=up]").disabled = at === 0;
    row.querySelector("[name=down]").disabled = at === all.length - 1;
  }
}

function put(row, at) {
  const others = rows().filter((other) => other !== row);
  list.insertBefore(row, others[Math.max(0, Math.min(at, others.length))] ?? null);
  settle();
}

// --- the preview of the order that stands here ---------------------------------------------------------------------

let waiting = 0;

function changed() {
  const apply = document.getElementById("apply");
  if (apply) apply.disabled = true;
  document.getElementById("preview").setAttribute("aria-busy", "true");
  clearTimeout(waiting);
  waiting = setTimeout(refresh, 250);
}

async function refresh() {
  const url = new URL(form.action);
  for (const [name, value] of new FormData(form)) if (value && name !== "add") url.searchParams.append(name, value);
  asked?.abort();
  asked = new AbortController();
  try {
    const answer = await fetch(url, { signal: asked.signal, headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.getElementById("preview");
    if (!found) return location.assign(answer.url);
    document.getElementById("preview").replaceWith(document.adoptNode(found));
    history.replaceState(null, "", answer.url);
    if (found.dataset.summary) said.textContent = found.dataset.summary;
  } catch (error) {
    if (error.name !== "AbortError") location.assign(url);
  }
}

// --- keyboard ------------------------------------------------------------------------------------------------------

function take(row) {
  held = { row, from: rows().indexOf(row) };
  grip(row).setAttribute("aria-pressed", "true");
  row.classList.add("held");
  say("saidGrabbed", row);
}

function letGo(kind) {
  const { row, from } = held;
  held = null;
  grip(row).setAttribute("aria-pressed", "false");
  row.classList.remove("held");
  say(kind, row);
  if (rows().indexOf(row) !== from) changed();
}

list?.addEventListener("keydown", (event) => {
  const handle = event.target.closest(".grip");
  if (!handle) return;
  const row = handle.closest("li");
  const at = rows().indexOf(row);
  const places = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: rows().length - 1 };
  if (event.key === " " || event.key === "Enter") {
    if (held) letGo("saidDropped");
    else take(row);
  } else if (event.key === "Escape" && held) {
    put(row, held.from);
    handle.focus();
    letGo("saidCancelled");
  } else if (event.key in places) {
    const to = Math.max(0, Math.min(places[event.key], rows().length - 1));
    if (held) {
      put(row, to);
      handle.focus();
      say("saidMoved", row);
    } else {
      rove(rows()[to]);
      grip(rows()[to]).focus();
    }
  } else return;
  event.preventDefault();
});

list?.addEventListener("focusout", (event) => {
  // Moving a row in the document takes the focus away for a moment.
  setTimeout(() => {
    if (held && !held.row.contains(document.activeElement) && event.target.isConnected) letGo("saidDropped");
  });
});

// A click on a handle by keyboard or by a screen reader is what space is.
list?.addEventListener("click", (event) => {
  const button = event.target.closest("[name=up], [name=down]");
  const handle = event.target.closest(".grip");
  if (handle && event.detail === 0) {
    if (held) letGo("saidDropped");
    else take(handle.closest("li"));
  }
  if (!button) return;
  event.preventDefault();
  const row = button.closest("li");
  put(row, rows().indexOf(row) + (button.name === "up" ? -1 : 1));
  const other = row.querySelector(button.name === "up" ? "[name=down]" : "[name=up]");
  (button.disabled ? other : button).focus();
  say("saidMoved", row);
  changed();
});

// --- pointer -------------------------------------------------------------------------------------------------------

list?.addEventListener("pointerdown", (event) => {
  const handle = event.target.closest(".grip");
  if (!handle || event.button) return;
  const row = handle.closest("li");
  dragged = { row, from: rows().indexOf(row), pointer: event.pointerId };
  handle.setPointerCapture(event.pointerId);
  row.classList.add("held");
});

list?.addEventListener("pointermove", (event) => {
  if (dragged?.pointer !== event.pointerId) return;
  const { row } = dragged;
  const others = rows().filter((other) => other !== row);
  const at = others.filter((other) => middle(other) < event.clientY).length;
  if (at !== rows().indexOf(row)) {
    const handle = grip(row);
    put(row, at);
    // The handle lost the pointer when its row moved in the document.
    if (!handle.hasPointerCapture(event.pointerId)) handle.setPointerCapture(event.pointerId);
  }
});

function middle(row) {
  const { top, height } = row.getBoundingClientRect();
  return top + height / 2;
}

for (const end of ["pointerup", "pointercancel"]) {
  list?.addEventListener(end, (event) => {
    if (dragged?.pointer !== event.pointerId) return;
    const { row, from } = dragged;
    dragged = null;
    row.classList.remove("held");
    if (end === "pointercancel") put(row, from);
    if (rows().indexOf(row) === from) return;
    rove(row);
    say("saidMoved", row);
    changed();
  });
}

// Another version of Bioconductor is another preview.
form.addEventListener("change", (event) => {
  if (["version", "bioc_version"].includes(event.target.name)) changed();
});

if (list) rove(rows().find((row) => row.contains(document.activeElement)) ?? rows()[0]);
