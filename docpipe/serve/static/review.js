// The review page: the document chosen, the region chosen, and the keys.

import * as api from "./api.js";
import * as detail from "./detail.js";
import * as list from "./list.js";
import * as pages from "./pages.js";

const status = document.getElementById("status");
const select = document.getElementById("documents");
const say = (text) => { status.textContent = text; };
let now = null, chosen = null, turn = 0;

async function start() {
  try {
    const all = await api.documents();
    select.replaceChildren(...all.map((d) => {
      const option = new Option(d.title ? `${d.name}: ${d.title}` : d.name, d.name);
      if (d.state === "running") option.textContent = `${d.name} (${d.done} of ${d.pages} pages so far)`;
      if (d.state === "waiting") option.textContent = `${d.name} (waiting)`;
      if (d.state === "refused") option.textContent = `${d.name} (${d.error})`;
      option.disabled = d.state === "waiting" || d.state === "refused";
      return option;
    }));
    const wanted = new URLSearchParams(location.search).get("document");
    const first = all.find((d) => d.name === wanted) ?? all.find((d) => d.state === "finished") ?? all.find((d) => d.state === "running");
    if (!first) { say("Nothing is finished yet; this page looks again by itself."); setTimeout(start, 2000); return; }
    select.value = first.name;
    await openDocument(first.name);
    if (location.hash.length > 1) await choose(decodeURIComponent(location.hash.slice(1)));
  } catch (error) { say(error.message); }
}

async function openDocument(name) {
  const mine = ++turn;
  now = await api.documentOf(name);
  chosen = null;
  document.title = `${name}: docpipe`;
  detail.open(now, changed, say);
  pages.show(now, choose);
  tell();
  list.show([], choose);
  const regions = await api.regionsOf(name);
  if (mine === turn) list.show(regions, choose);
  if (now.status === "running") setTimeout(() => follow(name, mine), 1500);
}

// A document that is still being read grows page by page; when it is finished, it is opened anew.
async function follow(name, mine) {
  if (mine !== turn) return;
  const fresh = await api.documentOf(name).catch(() => null);
  if (fresh && mine === turn) {
    if (fresh.status !== "running") { await openDocument(name); return; }
    if (fresh.pages.length > now.pages.length) {
      now = fresh;
      pages.add(fresh.pages);
      list.show(await api.regionsOf(name), choose);
      tell();
    }
  }
  setTimeout(() => follow(name, mine), 1500);
}

function tell() {
  const failed = now.pages.filter((p) => p.status === "failed").length, skipped = now.pages.filter((p) => p.status === "skipped").length;
  say([now.status, `${now.pages.length} pages`, failed && `${failed} failed`, skipped && `${skipped} left out`,
    !now.has_source && "the source file is not there: no page images"].filter(Boolean).join(", "));
}

async function choose(id, scroll = true) {
  const line = list.find(id);
  const number = line?.page ?? Number(id.slice(1).split(".")[0]);
  chosen = id;
  list.goTo(id);
  if (line) pages.goTo(line, scroll);
  try {
    const page = await api.pageOf(now.name, number);
    const region = page.regions.find((r) => r.id === id);
    if (region && chosen === id) detail.show(region);
  } catch (error) { say(error.message); }
  history.replaceState(null, "", `#${encodeURIComponent(id)}`);
}

function changed(region) {
  list.update(region);
  pages.update(region);
}

function step(by, doubtful = false) {
  const next = list.beside(chosen, by, doubtful);
  if (next) choose(next.id); else say(doubtful ? "No further doubtful region." : "The end of the list.");
}

function press(id) {
  const button = document.getElementById(id);
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(on));
  pages.toggle(id === "order" ? "with-order" : "without-boxes", id === "order" ? on : !on);
}

const KEYS = {
  j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
  n: () => step(1, true), p: () => step(-1, true),
  a: () => detail.act("accept"), r: () => detail.act("reject"), u: () => detail.act("undo"), e: () => detail.edit(),
  l: () => detail.listen(), o: () => press("order"), b: () => press("boxes"),
  "+": () => pages.zoom(1.25), "=": () => pages.zoom(1.25), "-": () => pages.zoom(0.8), 0: () => pages.zoom(0),
  "/": () => document.getElementById("words").focus(), "?": () => document.getElementById("keys").showModal(),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
  const arrow = event.key.startsWith("Arrow");
  if (arrow && event.target.id !== "list") return; // elsewhere arrows scroll
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

for (const id of ["words", "kind", "verdict", "below", "doubtful"]) document.getElementById(id).addEventListener("input", list.filter);
document.getElementById("filters").addEventListener("submit", (event) => { event.preventDefault(); step(1); document.getElementById("list").focus(); });
document.getElementById("words").addEventListener("keydown", (event) => { if (event.key === "Escape") document.getElementById("list").focus(); });
document.getElementById("smaller").onclick = () => pages.zoom(0.8);
document.getElementById("larger").onclick = () => pages.zoom(1.25);
document.getElementById("fit").onclick = () => pages.zoom(0);
document.getElementById("order").onclick = () => press("order");
document.getElementById("boxes").onclick = () => press("boxes");
document.getElementById("help").onclick = () => document.getElementById("keys").showModal();
select.addEventListener("input", () => openDocument(select.value).catch((error) => say(error.message)));
start();
