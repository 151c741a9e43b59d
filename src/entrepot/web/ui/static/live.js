// A job that runs: [data-live] is its place in the API, [data-after] the last line that the page has. New lines are
// appended and the progress is told until the job is over; the words for it stand in data- attributes.
const OVER = ["done", "failed", "cancelled"];
const MOST = 5000;
const SOON = 1000;
const LATER = 10000;

// As showing.plain: escapes of terminals, control characters, and those that turn the direction of text.
const ESCAPES = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^]*?(?:\x07|\x1b\\|$)|\x1b[@-Z\\-_]?/gu;
const ODD = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]/gu;
const ENDS = /\r\n?|[\u0085\u2028\u2029]/g;

export function plain(text) {
  return text.replace(ESCAPES, "").replace(ENDS, "\n").replace(ODD, "");
}

for (const section of document.querySelectorAll("[data-live]")) follow(section);

async function follow(section) {
  const log = section.querySelector("[data-lines]");
  const says = section.querySelector("[data-says]");
  let after = Number(section.dataset.after);
  let pause = SOON;
  log.scrollTop = log.scrollHeight;
  for (;;) {
    await wait(document.hidden ? LATER : pause);
    try {
      // First the job: what it says after that is asked for once more, so that no line is missed at its end.
      const job = await ask(section.dataset.live);
      for (;;) {
        const lines = await ask(`${section.dataset.live}/logs?after=${after}`);
        if (!lines.length) break;
        after = lines.at(-1).id;
        append(log, lines);
      }
      tell(section, job);
      if (says.dataset.before) says.textContent = says.dataset.before;
      pause = SOON;
      if (OVER.includes(job.state)) return finish(section, says);
    } catch (error) {
      if (error.isFinal) return;
      says.dataset.before ??= says.textContent;
      says.textContent = section.dataset.lost;
      pause = Math.min(pause * 2, LATER);
    }
  }
}

async function ask(url) {
  const answer = await fetch(url, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw Object.assign(new Error(answer.statusText), { isFinal: answer.status < 500 && answer.status !== 429 });
  return answer.json();
}

// The newest line stays in sight for those who are at the end; who reads further up is left where they are.
function append(log, lines) {
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  for (const line of lines) log.append(document.createTextNode(`${plain(line.text)}\n`));
  while (log.childNodes.length > MOST) log.firstChild.remove();
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

function tell(section, job) {
  const { step, done, total } = job.progress;
  const bar = section.querySelector("[data-progress]");
  if (!bar) return;
  if (total) {
    bar.max = total;
    bar.value = Math.min(done, total);
  } else {
    bar.removeAttribute("value");
  }
  const number = (value) => value.toLocaleString("en");
  section.querySelector("[data-counted]").textContent = total
    ? section.dataset.words.replace("{done}", number(done)).replace("{total}", number(total)) : "";
  section.querySelector("[data-step]").textContent = plain(step);
}

function finish(section, says) {
  section.querySelector(".progress")?.remove();
  section.querySelector("[data-step]")?.remove();
  says.textContent = section.dataset.over;
}

function wait(milliseconds) {
  return new Promise((done) => setTimeout(done, milliseconds));
}
