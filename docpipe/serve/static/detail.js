// One region: the crop beside what was read, why it holds or does not, and a person's decision.

import * as api from "./api.js";
import * as player from "./player.js";

const pane = document.getElementById("detail");
const DOUBT = 0.8, FEW = 5;
let name = "", region = null, editable = false, hasSource = true, changed = () => {}, said = () => {};

function make(tag, { text, ...attributes } = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in made && key !== "role") made[key] = value; else made.setAttribute(key, value);
  }
  if (text !== undefined) made.textContent = text;
  made.append(...inside);
  return made;
}

export function open(document_, onChange, onSaid) {
  name = document_.name; editable = document_.can_correct; hasSource = document_.has_source; changed = onChange; said = onSaid;
  region = null;
  pane.replaceChildren(make("p", { className: "hint", text: "Choose a region: on the page, in the list, or with j and k." }));
}

export function show(shown) {
  player.stop();
  region = shown;
  const reading = region.reading;
  const facts = make("p", { className: "facts" });
  facts.append(badge(region.verdict));
  if (region.confidence !== null) facts.append(make("span", { text: `confidence ${region.confidence.toFixed(2)}` }));
  if (reading) facts.append(make("span", { text: [reading.origin.engine, reading.origin.checkpoint].filter(Boolean).join(": ") }));
  if (region.action) facts.append(make("span", { text: { accept: "accepted", edit: "edited", reject: "rejected" }[region.action] + " by a person" }));
  const parts = [make("h2", { text: `${region.kind.replace("_", " ")} ${region.id}, page ${region.page}` }), facts];
  const pair = make("div", { className: "pair" });
  if (hasSource) {
    pair.append(make("figure", {}, make("figcaption", { text: "On the page" }),
      make("img", { className: "picture", alt: `The pixels of ${region.id}`, src: api.crop(name, region.id) })));
  }
  const read = make("div", { className: "read", tabIndex: 0, role: "group", "aria-label": "What was read" });
  read.append(...rendered(reading?.content, region.kind, api.drawing(name, region.id, -1, encodeURIComponent(region.value.slice(0, 60) + region.action))));
  pair.append(make("figure", {}, make("figcaption", { text: region.action === "edit" ? "Written by a person" : "What was read" }), read));
  parts.push(pair);
  if (!region.action) parts.push(...sureness(reading));
  if (reading?.verdict.findings.length) parts.push(findings(reading.verdict.findings));
  parts.push(actions());
  if (region.as_read) {
    parts.push(make("h3", { text: `As it was read (${region.as_read.verdict})` }), make("div", { className: "read", tabIndex: 0, role: "group",
      "aria-label": "As it was read" }, make("pre", { text: region.as_read.value || "nothing" })));
  }
  if (region.alternatives.length) {
    parts.push(make("h3", { text: "Alternatives" }));
    region.alternatives.forEach((other, place) => {
      const box = make("details", {}, make("summary", { text: `${other.origin.engine}: ${other.verdict.status}`
        + (other.confidence === null ? "" : `, confidence ${other.confidence.toFixed(2)}`) }));
      const inside = make("div", { className: "read", tabIndex: 0, role: "group", "aria-label": `Alternative ${place + 1}` });
      box.addEventListener("toggle", () => {
        if (box.open && !inside.childNodes.length) inside.append(...rendered(other.content, region.kind, api.drawing(name, region.id, place)));
      });
      box.append(inside, ...sureness(other));
      parts.push(box);
    });
  }
  if (reading) {
    const origin = reading.origin;
    const lines = [origin.engine, origin.checkpoint, origin.digest && `digest ${origin.digest.slice(0, 16)}`,
      origin.prompt && `prompt “${origin.prompt}”`, origin.tokens && `${origin.tokens} tokens`, origin.crop?.dpi && `${origin.crop.dpi} dpi`,
      `box ${region.box.map((side) => side.toFixed(0)).join(" ")}`];
    parts.push(make("h3", { text: "Origin" }), make("p", { className: "hint", text: lines.filter(Boolean).join(" · ") }));
  }
  pane.classList.remove("editing");
  pane.replaceChildren(...parts);
  pane.scrollTop = 0;
}

// How sure each measure is, and of atoms, cells and notes the least sure ones: where to look first.
function sureness(reading) {
  const all = reading?.part_confidences ?? [];
  const measures = all.filter((part) => part.where.startsWith("measure "));
  const said = [];
  if (measures.length) {
    const numbers = reading.content?.measures ?? [];
    said.push("Sure of each measure: " + measures.map((part) => {
      const index = Number(part.where.slice(8));
      return `${numbers[index]?.number ?? index + 1}: ${part.confidence.toFixed(2)}`;
    }).join(" · "));
  }
  const least = all.filter((part) => !part.where.startsWith("measure ") && part.confidence < DOUBT)
    .sort((a, b) => a.confidence - b.confidence).slice(0, FEW);
  if (least.length) said.push("Least sure: " + least.map((part) => `${part.text} (${part.where}) ${part.confidence.toFixed(2)}`).join(" · "));
  return said.map((text) => make("p", { className: "hint sureness", text }));
}

function badge(verdict) { return make("span", { className: `badge mark-${verdict}`, text: verdict }); }

function findings(all) {
  return make("ul", { className: "findings" }, ...all.map((f) => make("li", { text: f.message + (f.where ? ` (${f.where})` : "") })));
}

function actions() {
  const box = make("div", { className: "actions", role: "group", "aria-label": "Decision" });
  const add = (label, key, act, off = false) => box.append(make("button", { type: "button", disabled: off || !editable,
    onclick: act, title: `${label} (${key})` }, label, " ", make("kbd", { text: key, "aria-hidden": "true" })));
  add("Accept", "a", () => act("accept"), !region.reading);
  add("Edit", "e", edit);
  add("Reject", "r", () => act("reject"));
  add("Undo", "u", () => act("undo"), !region.action);
  if (region.reading?.content?.type === "score") add("Listen", "l", listen);
  return box;
}

// What was read, in its own notation, as nodes: text is only ever text, tables are made cell by cell.
function rendered(content, kind, drawing) {
  if (!content) return [make("p", { className: "hint", text: "Nothing was read." })];
  switch (content.type) {
    case "table": return [table(content)];
    case "molecule": return [picture(drawing, content.smiles), make("pre", { text: [content.smiles, content.formula, content.inchikey].filter(Boolean).join("\n") })];
    case "score": return [picture(drawing, "The score as engraved"), make("details", {}, make("summary", { text: "**kern" }), make("pre", { text: content.kern }))];
    case "picture": return [make("p", { text: content.alt || (["molecule", "score"].includes(kind) ? `A ${kind} that nobody could read.` : "A picture without alternative text.") }),
      ...(content.description ? [make("p", { text: content.description })] : [])];
    case "answer": return [make("pre", { text: content.answer })];
    default: return [make(kind === "code" ? "pre" : "p", { text: content.text || "No text." })];
  }
}

function picture(source, words) {
  const image = make("img", { className: "picture", alt: words, src: source });
  image.addEventListener("error", () => image.replaceWith(make("p", { className: "hint", text: "It cannot be drawn." })));
  return image;
}

function table(content) {
  const made = make("table");
  const rows = Array.from({ length: Math.min(content.rows, 2000) }, () => make("tr"));
  for (const cell of content.cells) {
    rows[cell.row]?.append(make(cell.header ? "th" : "td", { text: cell.text, rowSpan: cell.row_span, colSpan: cell.column_span }));
  }
  made.append(make("tbody", {}, ...rows));
  return made;
}

export async function act(action, value = null) {
  if (!region || !editable) return;
  try {
    const after = await api.decide(name, region.id, action, value);
    said({ accept: "Accepted", edit: "Saved", reject: "Rejected", undo: "Taken back" }[action] + `: ${after.id}`);
    show(after);
    changed(after);
  } catch (error) { said(error.message); }
}

export function edit() {
  if (!region || !editable || pane.querySelector("textarea")) return;
  const start = region.value;
  const area = make("textarea", { value: start, spellcheck: false, id: "edit",
    "aria-describedby": "edit-verdict" });
  const verdict = make("p", { id: "edit-verdict", className: "facts", "aria-live": "polite" });
  const preview = make("div", { className: "read", tabIndex: 0, role: "group", "aria-label": "Preview" });
  const labels = { table: "HTML", molecule: "SMILES", score: "**kern", picture: "Alternative text", answer: "Text", text: "Text" };
  const save = make("button", { type: "button", onclick: () => act("edit", area.value) }, "Save ", make("kbd", { text: "Ctrl+Enter", "aria-hidden": "true" }));
  const box = make("div", {}, make("h3", {}, make("label", { htmlFor: "edit", text: labels[region.writes] })), area, verdict, preview,
    make("div", { className: "actions" }, save, make("button", { type: "button", onclick: () => show(region) }, "Leave it ", make("kbd", { text: "Esc", "aria-hidden": "true" }))));
  const actions_ = pane.querySelector(".actions");
  actions_.replaceWith(box);
  pane.classList.add("editing");
  let waiting = null, turn = 0;
  const look = async () => {
    const mine = ++turn, id = region.id;
    try {
      const judged = await api.check(name, id, area.value);
      if (mine !== turn) return;
      verdict.replaceChildren(badge(judged.verdict.status), ...(judged.verdict.findings.length ? [findings(judged.verdict.findings)] : []));
      const content = judged.content;
      if (content && (content.type === "molecule" || content.type === "score")) {
        try {
          const url = URL.createObjectURL(await api.draw(content.type, content.type === "molecule" ? content.smiles : content.kern));
          if (mine === turn) preview.replaceChildren(make("img", { className: "picture", alt: "As it would be drawn", src: url }));
        } catch (error) { preview.replaceChildren(make("p", { className: "hint", text: error.message })); }
      } else preview.replaceChildren(...rendered(content, region.kind, ""));
    } catch (error) { verdict.textContent = error.message; }
  };
  area.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(look, 250); });
  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { show(region); document.getElementById("list").focus(); }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) act("edit", area.value);
  });
  look();
  area.focus({ preventScroll: true });
  box.scrollIntoView({ block: "nearest" });
}

export async function listen() {
  if (region?.reading?.content?.type !== "score") return;
  if (player.isPlaying()) { player.stop(); said("Stopped"); return; }
  try {
    player.play(await api.notes(region.reading.content.kern), () => said("Played"));
    said("Playing");
  } catch (error) { said(error.message); }
}
