// The server's front page: documents dropped, watched as they are read, and what came of them.

const status = document.getElementById("status"), list = document.getElementById("jobs"), drop = document.getElementById("drop");
const say = (text) => { status.textContent = text; };
const rows = new Map();

function make(tag, { text, ...attributes } = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) if (key in made) made[key] = value; else made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  made.append(...inside);
  return made;
}

async function asked(path, options) {
  const answer = await fetch(path, options);
  if (!answer.ok) {
    let why = `${answer.status} ${answer.statusText}`;
    try { const said = (await answer.json()).detail; if (typeof said === "string") why = said; } catch { /* plain text */ }
    throw new Error(why);
  }
  return answer;
}

async function upload(files) {
  for (const file of files) {
    const form = new FormData();
    form.append("file", file);
    form.append("pipeline", document.getElementById("pipeline").value);
    form.append("to", document.getElementById("formats").value);
    const range = document.getElementById("range").value.trim();
    if (range) form.append("pages", range);
    try {
      const job = await (await asked("api/jobs", { method: "POST", body: form })).json();
      show(job, true);
      follow(job.id);
      say(`Submitted: ${job.name}`);
    } catch (error) { say(`${file.name}: ${error.message}`); }
  }
}

function show(job, first = false) {
  let row = rows.get(job.id);
  if (!row) {
    row = make("li", { id: `job-${job.id}` });
    rows.set(job.id, row);
    if (first) list.prepend(row); else list.append(row);
  }
  const found = job.done > 0 || job.state === "finished";
  const told = { queued: "waiting", running: job.pages ? `page ${job.done} of ${job.pages}` : "being opened", finished: job.status,
    failed: "failed", cancelled: "cancelled" }[job.state];
  const counted = Object.keys(job.kinds).length ? Object.entries(job.kinds).map(([kind, count]) => `${count} ${kind.replace("_", " ")}`).join(", ")
    + "; " + Object.entries(job.verdicts).map(([verdict, count]) => `${count} ${verdict}`).join(", ") : "";
  // While nothing but numbers changes the buttons stay the same ones: who is about to press one still can.
  const form = `${job.state} ${found}`;
  if (row.dataset.form === form) {
    row.querySelector(".badge").textContent = told ?? job.state;
    row.querySelector(".counts").textContent = counted;
    const bar = row.querySelector("progress");
    if (bar) { bar.max = job.pages ?? 1; bar.value = job.done; }
    return;
  }
  row.dataset.form = form;
  const head = make("div", { className: "row" }, make("h2", { text: job.name }), make("span", { className: "badge", text: told ?? job.state }));
  if (found) head.append(make("a", { href: `review?document=${job.id}`, text: "Review" }));
  if (job.state === "finished") head.append(make("a", { href: `api/jobs/${job.id}/archive`, text: "Download" }));
  if (job.state === "queued" || job.state === "running") {
    head.append(make("button", { type: "button", text: "Cancel", "aria-label": `Cancel ${job.name}`, onclick: () => act(job, "cancel", "POST") }));
  } else {
    head.append(make("button", { type: "button", text: "Delete", "aria-label": `Delete ${job.name}`, onclick: () => act(job, "", "DELETE") }));
  }
  const parts = [head];
  if (job.state === "running") parts.push(make("progress", { max: job.pages ?? 1, value: job.done, "aria-label": `${job.name}: pages read` }));
  parts.push(make("p", { className: "counts", text: counted }));
  if (job.error) parts.push(make("p", { className: "wrong", text: job.error }));
  row.replaceChildren(...parts);
}

async function act(job, what, method) {
  try {
    await asked(`api/jobs/${job.id}${what && `/${what}`}`, { method });
    if (method === "DELETE") { rows.get(job.id)?.remove(); rows.delete(job.id); say(`Deleted: ${job.name}`); }
    else say(`Cancelled: ${job.name}`);
  } catch (error) { say(error.message); }
}

function follow(id) {
  const source = new EventSource(`api/jobs/${id}/events`);
  let waiting = false;
  const refresh = async () => {
    if (waiting) return;
    waiting = true;
    setTimeout(async () => {
      waiting = false;
      try { show(await (await asked(`api/jobs/${id}`)).json()); } catch { /* deleted */ }
    }, 150);
  };
  source.onmessage = (event) => {
    const said = JSON.parse(event.data);
    if (said.event === "ended") { source.close(); show(said); say(`${said.name}: ${said.status ?? said.state}`); } else refresh();
  };
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) setTimeout(refresh, 1000); };
}

drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => { event.preventDefault(); drop.classList.remove("over"); upload(event.dataTransfer.files); });
drop.addEventListener("submit", (event) => {
  event.preventDefault();
  const input = document.getElementById("files");
  if (!input.files.length) say("Choose a file first."); else { upload(input.files); input.value = ""; }
});

try {
  for (const job of await (await asked("api/jobs")).json()) {
    show(job);
    if (!["finished", "failed", "cancelled"].includes(job.state)) follow(job.id);
  }
} catch (error) { say(error.message); }
