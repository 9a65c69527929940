// The pages: a picture each with its regions drawn on, loaded when they come into sight and let go when they are far.

import * as api from "./api.js";

const SVG = "http://www.w3.org/2000/svg";
const pane = document.getElementById("pages");
let name = "", scale = 1, fitted = true, widest = 600, choose = () => {}, hasSource = true;
const views = new Map();

const near = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const view = views.get(Number(entry.target.dataset.number));
    if (!view) continue;
    if (entry.isIntersecting) load(view); else unload(view);
  }
}, { root: pane, rootMargin: "1200px" });

function make(tag, attributes = {}, ...inside) {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
}

export function show(document_, onChoose) {
  near.disconnect();
  views.clear();
  pane.replaceChildren();
  name = document_.name; choose = onChoose; hasSource = document_.has_source;
  widest = Math.max(200, ...document_.pages.map((p) => p.width));
  add(document_.pages);
}

export function add(pages) {
  for (const page of pages) {
    if (views.has(page.number)) continue;
    const box = document.createElement("div");
    box.className = "page";
    box.dataset.number = page.number;
    const label = document.createElement("span");
    label.className = "number";
    label.textContent = page.number;
    box.append(label);
    views.set(page.number, { page, box, regions: null, loaded: false });
    pane.append(box);
    near.observe(box);
  }
  resize();
}

function resize() {
  if (fitted) scale = Math.max(0.2, (pane.clientWidth - 28) / widest);
  for (const { page, box } of views.values()) {
    box.style.width = `${(page.width || 595) * scale}px`;
    box.style.height = `${(page.height || 842) * scale}px`;
  }
}
new ResizeObserver(() => { if (fitted) resize(); }).observe(pane);

export function zoom(factor) {
  const middle = (pane.scrollTop + pane.clientHeight / 2) / Math.max(1, pane.scrollHeight);
  fitted = factor === 0;
  if (factor) scale = Math.min(6, Math.max(0.2, scale * factor));
  resize();
  pane.scrollTo({ top: middle * pane.scrollHeight - pane.clientHeight / 2, behavior: "instant" });
  for (const view of views.values()) if (view.loaded) sharpen(view);
}

const dpi = () => Math.min(300, Math.max(50, Math.round(72 * scale * Math.min(2, devicePixelRatio) / 30) * 30));

function sharpen(view) {
  if (!hasSource) return;
  const wanted = dpi();
  if (view.image && view.dpi >= wanted) return;
  view.dpi = wanted;
  view.image ??= view.box.insertBefore(document.createElement("img"), view.box.firstChild);
  view.image.alt = `Page ${view.page.number}`;
  view.image.src = api.pageImage(name, view.page.number, wanted);
}

async function load(view) {
  if (view.loaded) return;
  view.loaded = true;
  sharpen(view);
  try {
    const whole = await api.pageOf(name, view.page.number);
    if (!view.loaded) return;
    view.regions = new Map(whole.regions.map((r) => [r.id, r]));
    if (whole.error) {
      const lost = document.createElement("p");
      lost.className = "lost";
      lost.textContent = `${whole.error.code} ${whole.error.message}`;
      view.box.append(lost);
    }
    overlay(view);
  } catch (error) {
    view.loaded = false;
    console.warn(error);
  }
}

function unload(view) {
  if (!view.loaded) return;
  view.loaded = false;
  view.image?.remove();
  view.svg?.remove();
  view.box.querySelector(".lost")?.remove();
  view.image = view.svg = view.regions = null;
  view.dpi = 0;
}

function overlay(view) {
  view.svg?.remove();
  const { width, height, number } = view.page;
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img",
    "aria-label": `Page ${number}: ${view.regions.size} regions` });
  const ordered = [...view.regions.values()].sort((a, b) => area(b) - area(a));
  for (const region of ordered) {
    const [x0, y0, x1, y1] = region.box;
    const rect = make("rect", { x: x0, y: y0, width: Math.max(1, x1 - x0), height: Math.max(1, y1 - y0), "data-id": region.id });
    dress(rect, region);
    rect.append(make("title", {}, `${region.kind} ${region.id}: ${region.verdict}`));
    rect.addEventListener("click", () => choose(region.id));
    svg.append(rect);
  }
  for (const region of ordered) {
    svg.append(make("text", { x: region.box[0] + 1, y: region.box[1] + 7, class: `k-${region.kind}`, "aria-hidden": "true" },
      String(region.order)));
  }
  view.svg = svg;
  view.box.append(svg);
  if (chosen) mark(chosen);
}

const area = (region) => (region.box[2] - region.box[0]) * (region.box[3] - region.box[1]);

function dress(rect, region) {
  rect.setAttribute("class", `region k-${region.kind} ${region.verdict}` + (region.doubtful ? " doubtful" : "")
    + (region.action ? " decided" : "") + (region.id === chosen ? " chosen" : ""));
}

let chosen = null;

function mark(id) {
  for (const rect of pane.querySelectorAll("rect.chosen")) rect.classList.remove("chosen");
  const rect = [...pane.querySelectorAll("rect.region")].find((r) => r.dataset.id === id);
  rect?.classList.add("chosen");
  rect?.parentNode.append(rect);
  return rect;
}

export function goTo(region, scroll = true) {
  chosen = region.id;
  const rect = mark(region.id);
  if (!scroll) return;
  const view = views.get(region.page);
  if (!view) return;
  const place = rect?.getBoundingClientRect();
  const frame = pane.getBoundingClientRect();
  if (place && place.top >= frame.top && place.bottom <= frame.bottom) return;
  const top = view.box.offsetTop - pane.offsetTop + region.box[1] * scale - pane.clientHeight / 3;
  pane.scrollTo({ top, left: Math.max(0, region.box[0] * scale - 40) });
}

export function update(region) {
  const view = views.get(region.page);
  if (!view?.regions) return;
  view.regions.set(region.id, region);
  const rect = [...view.box.querySelectorAll("rect.region")].find((r) => r.dataset.id === region.id);
  if (rect) dress(rect, region);
}

export function toggle(name_, on) { pane.classList.toggle(name_, on); }

pane.addEventListener("wheel", (event) => {
  if (!event.ctrlKey && !event.metaKey) return;
  event.preventDefault();
  zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15);
}, { passive: false });

// Dragging pans; a click without a drag chooses.
let held = null;
pane.addEventListener("pointerdown", (event) => {
  if (event.button === 0 && event.pointerType === "mouse") held = { x: event.clientX, y: event.clientY, left: pane.scrollLeft, top: pane.scrollTop, moved: false };
});
addEventListener("pointermove", (event) => {
  if (!held) return;
  const [x, y] = [event.clientX - held.x, event.clientY - held.y];
  if (!held.moved && Math.abs(x) + Math.abs(y) < 6) return;
  held.moved = true;
  pane.scrollTo({ left: held.left - x, top: held.top - y, behavior: "instant" });
});
addEventListener("pointerup", () => { setTimeout(() => { held = null; }); });
pane.addEventListener("click", (event) => { if (held?.moved) { event.stopPropagation(); event.preventDefault(); } }, true);
