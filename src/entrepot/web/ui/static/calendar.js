// A month of days: one of them has the focus and arrow keys move it; other months come without a new page.
const USABLE = "a.day";

export function rove() {
  for (const days of document.querySelectorAll("[data-calendar] .month")) {
    const first = days.querySelector("[data-focus]");
    for (const day of days.querySelectorAll(USABLE)) day.tabIndex = day === first ? 0 : -1;
  }
}

// Replaces the element with that id by the one of another page of ours, and says where that is.
export async function swap(url, id) {
  let answer, text;
  try {
    answer = await fetch(url, { headers: { Accept: "text/html" } });
    text = await answer.text();
  } catch {
    location.assign(url);
    return false;
  }
  const found = new DOMParser().parseFromString(text, "text/html").getElementById(id);
  if (!found) {
    location.assign(url);
    return false;
  }
  document.getElementById(id).replaceWith(document.adoptNode(found));
  history.replaceState(null, "", url);
  rove();
  return true;
}

async function turnTo(url, way) {
  if (!(await swap(url, "calendar"))) return;
  const calendar = document.getElementById("calendar");
  const again = way && calendar.querySelector(`a[data-way="${way}"]`);
  (again || calendar.querySelector("[data-focus]") || calendar.querySelector("a[data-way]"))?.focus();
}

function focus(day) {
  for (const other of day.closest(".month").querySelectorAll(USABLE)) other.tabIndex = other === day ? 0 : -1;
  day.focus();
}

function move(day, step) {
  const days = [...day.closest(".month").querySelectorAll(".day")];
  for (let at = days.indexOf(day) + step; at >= 0 && at < days.length; at += step) {
    if (days[at].matches(USABLE)) return focus(days[at]);
  }
}

function edge(day, isLast) {
  const week = [...day.closest("tr").querySelectorAll(USABLE)];
  focus(isLast ? week.at(-1) : week[0]);
}

const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };
const WAYS = { PageUp: "before", PageDown: "after" };

document.addEventListener("keydown", (event) => {
  const day = event.target.closest?.("[data-calendar] a.day");
  if (!day || event.altKey || event.ctrlKey || event.metaKey) return;
  const way = WAYS[event.key] && day.closest("[data-calendar]").querySelector(`a[data-way="${WAYS[event.key]}"]`);
  if (event.key in STEPS) move(day, STEPS[event.key]);
  else if (event.key === "Home" || event.key === "End") edge(day, event.key === "End");
  else if (way) turnTo(way.href);
  else return;
  event.preventDefault();
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-calendar] a[data-way]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  turnTo(link.href, link.dataset.way);
});

rove();
