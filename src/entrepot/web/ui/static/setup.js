// The form of the set-up shows its result by itself, and days of the calendar do so without a new page.
import { swap } from "./calendar.js";

let latest = 0;

async function show(url, focused) {
  const mine = (latest += 1);
  if (!(await swap(url, "setup")) || mine !== latest) return;
  const again = document.getElementById(focused) ?? document.querySelector("#calendar [data-focus]");
  again?.focus({ preventScroll: true });
  const said = document.getElementById("setup-said");
  said.textContent = said.dataset.said;
}

document.addEventListener("change", (event) => {
  const form = event.target.closest("#choices");
  if (!form) return;
  const url = new URL(form.action);
  const month = new URLSearchParams(location.search).get("month");
  for (const [name, value] of new FormData(form)) if (value) url.searchParams.set(name, value);
  if (month) url.searchParams.set("month", month);
  show(url.href, event.target.id);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("#setup a.day, #setup a[data-go]");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  show(link.href, "");
});
