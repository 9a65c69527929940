// The list of regions: filtered, in reading order, made in parts as it is scrolled.

const list = document.getElementById("list");
const count = document.getElementById("count");
const PART = 300;
let all = [], shown = [], made = 0, chosen = null, choose = () => {};

const fields = Object.fromEntries(["words", "kind", "verdict", "below", "doubtful"].map((id) => [id, document.getElementById(id)]));

const end = new IntersectionObserver((entries) => { if (entries.some((e) => e.isIntersecting)) more(); }, { root: list, rootMargin: "600px" });

export function show(regions, onChoose) {
  all = regions; choose = onChoose;
  const kinds = [...new Set(all.map((r) => r.kind))].sort();
  const was = fields.kind.value;
  fields.kind.replaceChildren(new Option("all kinds", ""), ...kinds.map((kind) => new Option(kind.replace("_", " "), kind)));
  fields.kind.value = kinds.includes(was) ? was : "";
  filter();
}

export function filter() {
  const words = fields.words.value.trim().toLowerCase(), below = Number(fields.below.value || 2);
  shown = all.filter((r) => (!fields.kind.value || r.kind === fields.kind.value)
    && (!fields.verdict.value || r.verdict === fields.verdict.value)
    && (below > 1 || (r.confidence !== null && r.confidence < below))
    && (!fields.doubtful.checked || r.doubtful)
    && (!words || r.label.toLowerCase().includes(words) || r.id === words));
  const doubts = all.filter((r) => r.doubtful).length;
  count.textContent = `${shown.length} of ${all.length}, ${doubts} doubtful`;
  list.replaceChildren();
  made = 0;
  more();
  mark();
}

const SIGNS = { valid: "✓", repaired: "✎", unchecked: "·", invalid: "✗" };

function more() {
  end.disconnect();
  const part = shown.slice(made, made + PART);
  let page = made ? shown[made - 1].page : 0;
  for (const region of part) {
    if (region.page !== page) {
      const head = document.createElement("li");
      head.className = "page-break";
      head.role = "presentation";
      head.textContent = `page ${region.page}`;
      list.append(head);
      page = region.page;
    }
    list.append(item(region));
  }
  made += part.length;
  if (made < shown.length && list.lastElementChild) end.observe(list.lastElementChild);
}

function item(region) {
  const row = document.createElement("li");
  row.id = `item-${region.id}`;
  row.role = "option";
  row.dataset.id = region.id;
  fill(row, region);
  row.addEventListener("click", () => choose(region.id));
  return row;
}

function fill(row, region) {
  row.className = `k-${region.kind}`;
  row.setAttribute("aria-selected", String(region.id === chosen));
  const sign = document.createElement("span"), kind = document.createElement("span"), label = document.createElement("span"),
    sure = document.createElement("span");
  sign.className = region.doubtful ? "mark-doubtful" : `mark-${region.verdict}`;
  sign.textContent = region.action ? "★" : region.doubtful && region.verdict !== "invalid" ? "?" : SIGNS[region.verdict];
  sign.title = region.action ? `${region.action}ed by a person`.replace("eed", "ed") : region.verdict;
  sign.setAttribute("aria-label", sign.title + (region.doubtful ? ", doubtful" : ""));
  sign.setAttribute("role", "img");
  kind.textContent = region.kind.replace("_", " ");
  label.textContent = region.label || region.id;
  sure.className = "sure";
  sure.textContent = region.confidence === null ? "" : region.confidence.toFixed(2);
  row.replaceChildren(sign, kind, label, sure);
}

function mark() {
  list.querySelector('[aria-selected="true"]')?.setAttribute("aria-selected", "false");
  const row = chosen && [...list.children].find((r) => r.dataset.id === chosen);
  if (row) {
    row.setAttribute("aria-selected", "true");
    list.setAttribute("aria-activedescendant", row.id);
    row.scrollIntoView({ block: "nearest" });
  } else list.removeAttribute("aria-activedescendant");
}

export function goTo(id) {
  chosen = id;
  const place = shown.findIndex((r) => r.id === id);
  while (place >= made) more();
  mark();
}

export function update(region) {
  const place = all.findIndex((r) => r.id === region.id);
  if (place < 0) return;
  all[place] = { ...all[place], ...Object.fromEntries(Object.keys(all[place]).map((key) => [key, region[key]])) };
  shown = shown.map((r) => (r.id === region.id ? all[place] : r));
  const row = [...list.children].find((r) => r.dataset.id === region.id);
  if (row) fill(row, all[place]);
  const doubts = all.filter((r) => r.doubtful).length;
  count.textContent = `${shown.length} of ${all.length}, ${doubts} doubtful`;
}

export const find = (id) => all.find((r) => r.id === id);

// The region `step` places on in the list (from the top or the end when none of it is chosen), or the next doubtful one.
export function beside(id, step, doubtful = false) {
  const rows = doubtful ? all : shown;
  let place = rows.findIndex((r) => r.id === id);
  if (place < 0) place = step > 0 ? -1 : rows.length;
  for (place += step; place >= 0 && place < rows.length; place += step) if (!doubtful || rows[place].doubtful) return rows[place];
  return null;
}
