"use strict";
// The page is complete without this script. It filters cases; blinks, slides and enlarges pictures and shows their
// values; handles keys; and saves a reviewer's marks.
document.documentElement.classList.add("script");
const find = (selector, inside = document) => [...inside.querySelectorAll(selector)];
const byId = (id) => document.getElementById(id);
const PERIOD = 700; // ms per picture: too slow to trigger seizures

const links = find("nav a"); // in the order of the cases
const cases = find(".case").map((article, i) => ({
  article,
  details: article.querySelector("details"),
  summary: article.querySelector("summary"),
  link: links[i],
  reviewed: article.querySelector(".reviewed"),
  comment: article.querySelector(".comment textarea"),
}));
const text = (one) => (one.text ??= one.article.textContent.toLowerCase());
const seen = () => cases.filter((one) => !one.article.hidden);

// ---------------------------------------------------------------- the current case
let current = null;
function choose(one, focus = true) {
  if (current) current.link.removeAttribute("aria-current");
  current = one;
  if (!one) return;
  one.link.setAttribute("aria-current", "true");
  one.link.scrollIntoView({ block: "nearest" });
  history.replaceState(null, "", one.link.hash);
  if (!focus) return;
  one.summary.focus({ preventScroll: true });
  one.article.scrollIntoView({ block: "start" });
}
function step(by) {
  const list = seen();
  if (!list.length) return;
  const at = list.indexOf(current);
  choose(list[at < 0 ? 0 : Math.min(Math.max(at + by, 0), list.length - 1)]);
}
for (const one of cases) {
  one.article.addEventListener("focusin", () => { if (current !== one) choose(one, false); });
  one.details.addEventListener("toggle", () => { if (one.details.open) fit(one.article); else unstack(one.article); });
}
function fold(open) {
  for (const one of seen()) one.details.open = open;
}
function goToHash() {
  const article = byId(decodeURIComponent(location.hash.slice(1)));
  const one = cases.find((each) => each.article === article);
  if (!one) return;
  one.article.hidden = false;
  one.details.open = true;
  choose(one);
}

// ---------------------------------------------------------------- filters
const search = byId("search");
const pressed = (name) => find(`[data-${name}][aria-pressed=true]`).map((button) => button.dataset[name]);
function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const kinds = pressed("kind");
  const topics = pressed("topic");
  const causes = pressed("cause");
  const open = byId("open").getAttribute("aria-pressed") === "true";
  for (const one of cases) {
    const { kind, topic } = one.article.dataset;
    const explained = one.article.dataset.causes.split("\n");
    const fits = (!kinds.length || kinds.includes(kind)) && (!topics.length || topics.includes(topic))
      && (!causes.length || causes.some((cause) => explained.includes(cause)))
      && !(open && one.reviewed.checked) && words.every((word) => text(one).includes(word));
    one.article.hidden = !fits;
    one.link.parentElement.hidden = !fits;
  }
  for (const group of find("section.group")) group.hidden = !group.querySelector(".case:not([hidden])");
  if (current && current.article.hidden) choose(null);
  tell();
}
function tell() {
  const count = seen().length;
  const reviewed = cases.filter((one) => one.reviewed.checked).length;
  const shown = count === cases.length ? `${count} case${count === 1 ? "" : "s"}` : `${count} of ${cases.length} cases`;
  byId("shown").textContent = `${shown}, ${reviewed} reviewed`;
  document.querySelector(".nothing").hidden = count > 0;
}
function press(button, on) {
  button.setAttribute("aria-pressed", String(on));
}

// ---------------------------------------------------------------- pictures: whole screen pixels per element
function fit(inside = document) {
  for (const row of find("details[open] .pictures .three", inside)) { // a folded case has no width yet
    const images = find(".canvas img", row);
    const columns = Math.max(...images.map((image) => side(image, "width")));
    const rows = Math.max(...images.map((image) => side(image, "height")));
    const zoom = 2 ** zoomOf(row.closest(".output"));
    for (const image of images) enlarge(image, columns, rows, zoom, Boolean(row.closest(".stacked") && !image.closest(".difference")));
  }
}
const side = (image, name) => Number(image.getAttribute(name)) / Number(image.dataset.times); // in elements
const zoomOf = (output) => Number(output.dataset.zoom || 0); // number of doublings
function zoom(output, by) {
  const times = Math.min(Math.max(zoomOf(output) + by, 0), 5);
  output.dataset.zoom = times;
  output.classList.toggle("zoomed", times > 0);
  fit(output);
  const at = output.querySelector(".cross, .marks circle");
  if (at && times) {
    const { left, top, width, height } = at.getBoundingClientRect();
    const view = at.closest(".view");
    const frame = view.getBoundingClientRect();
    view.scrollBy(left + width / 2 - frame.left - frame.width / 2, top + height / 2 - frame.top - frame.height / 2);
  }
}
document.addEventListener("scroll", (event) => { // all pictures of an output show the same part
  if (!event.target.classList?.contains("view")) return;
  const { scrollLeft, scrollTop } = event.target;
  for (const view of find(".view", event.target.closest(".output"))) view.scrollTo(scrollLeft, scrollTop);
}, true);
function enlarge(image, columns, rows, zoom, large) {
  const room = image.closest("figure").clientWidth;
  if (!room) return; // filtered out
  const density = window.devicePixelRatio || 1;
  const wanted = large ? (0.75 * window.innerHeight) / rows : Number(image.dataset.times);
  const times = Math.floor(Math.min(room / columns, wanted) * density) / density;
  const width = times ? times * side(image, "width") : (room * side(image, "width")) / columns;
  image.style.width = `${width * zoom}px`;
}

// ---------------------------------------------------------------- values: read from the colours of the pictures
const inks = new Map(); // name of a colour map -> colour -> its place from 0 to 1
function placeOf(name, ink) {
  if (!inks.has(name)) {
    const colours = document.querySelector(".columns").getAttribute(`data-${name.toLowerCase().replaceAll("_", "-")}`).match(/.{6}/g);
    inks.set(name, new Map(colours.map((colour, i) => [colour, i / (colours.length - 1)])));
  }
  return inks.get(name).get(ink);
}
const pixels = new WeakMap();
function pixelsOf(image) {
  if (!pixels.has(image)) {
    const canvas = document.createElement("canvas");
    canvas.width = side(image, "width");
    canvas.height = side(image, "height");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    pixels.set(image, context.getImageData(0, 0, canvas.width, canvas.height));
  }
  return pixels.get(image);
}
function valueText(figure, row, column) {
  const { data, width, height } = pixelsOf(figure.querySelector("img"));
  if (row >= height || column >= width) return "";
  const [red, green, blue, alpha] = data.slice(4 * (row * width + column));
  if (!alpha) return figure.matches(".difference") ? "not compared" : "no phase";
  const scale = figure.querySelector(".scale");
  if (!scale.dataset.high) return "0";
  const ink = [red, green, blue].map((part) => part.toString(16).padStart(2, "0")).join("");
  const place = placeOf(scale.querySelector("i").className, ink);
  if (place === undefined) return "not finite";
  const [low, high] = [Number(scale.dataset.low), Number(scale.dataset.high)];
  const value = low < 0 ? (2 * place - 1) * high : place * high;
  return `\u2248 ${Number(value.toPrecision(3))}`;
}
function pointAt(output, row, column) {
  output.dataset.at = `${row} ${column}`;
  for (const figure of find(".pictures figure", output)) {
    const image = figure.querySelector("img");
    const [rows, columns] = [side(image, "height"), side(image, "width")];
    const cross = figure.querySelector(".cross") || figure.querySelector(".canvas").appendChild(document.createElement("i"));
    cross.className = "cross";
    Object.assign(cross.style, { left: `${(100 * column) / columns}%`, top: `${(100 * row) / rows}%`, width: `${100 / columns}%`, height: `${100 / rows}%` });
    const told = figure.querySelector(".at") || figure.querySelector("figcaption").appendChild(document.createElement("span"));
    told.className = "at";
    told.textContent = `[${row}, ${column}] ${valueText(figure, row, column)}`;
  }
}
document.addEventListener("pointermove", (event) => {
  const canvas = event.target.closest?.(".canvas");
  if (!canvas) return;
  const image = canvas.querySelector("img");
  const { left, top, width, height } = image.getBoundingClientRect();
  const row = Math.floor(((event.clientY - top) / height) * side(image, "height"));
  const column = Math.floor(((event.clientX - left) / width) * side(image, "width"));
  if (row >= 0 && column >= 0 && row < side(image, "height") && column < side(image, "width")) pointAt(canvas.closest(".output"), row, column);
});
function move(output, down, across) {
  const image = output.querySelector(".pictures img");
  const mark = output.querySelector(".marks circle");
  const [row, column] = (output.dataset.at || `${mark ? Math.floor(mark.getAttribute("cy")) : 0} ${mark ? Math.floor(mark.getAttribute("cx")) : 0}`).split(" ").map(Number);
  const inside = (value, most) => Math.min(Math.max(value, 0), most - 1);
  pointAt(output, inside(row + down, side(image, "height")), inside(column + across, side(image, "width")));
}
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const drawn = (one) => find(".output", one.article).filter((output) => output.querySelector(".pictures img"));
function pointWithKeys(one) {
  if (!one) return;
  one.details.open = true;
  const output = drawn(one)[0];
  if (!output) return;
  const view = output.querySelector(".view");
  view.tabIndex = -1;
  view.focus({ preventScroll: true });
  if (!visible(view)) view.scrollIntoView({ block: "center" });
  move(output, 0, 0);
}

// ---------------------------------------------------------------- blinking and sliding: two pictures in one place
const still = matchMedia("(prefers-reduced-motion: reduce)");
let timer = null;
function beat() {
  const running = find(".output.blinking:not(.by-hand)");
  for (const output of running) output.classList.toggle("flipped");
  if (!running.length) { clearInterval(timer); timer = null; }
}
function blink(output, byHand) {
  const first = !output.classList.contains("blinking");
  unslide(output);
  output.classList.add("stacked", "blinking");
  output.classList.toggle("by-hand", byHand);
  if (!first) output.classList.toggle("flipped");
  press(output.querySelector(".blink"), true);
  if (first) fit(output);
  if (!byHand && !timer) timer = setInterval(beat, PERIOD);
}
function stop(output) {
  output.classList.remove("stacked", "blinking", "flipped", "by-hand");
  press(output.querySelector(".blink"), false);
  unslide(output);
  fit(output);
}
const unstack = (inside) => find(".output.stacked", inside).forEach(stop);
function unslide(output) {
  output.classList.remove("sliding");
  output.querySelector(".slide").value = 50;
  for (const canvas of find(".first .canvas", output)) canvas.style.clipPath = "";
}
function slide(output) {
  const slider = output.querySelector(".slide");
  const first = !output.classList.contains("stacked");
  if (output.classList.contains("blinking")) { output.classList.remove("blinking", "flipped", "by-hand"); press(output.querySelector(".blink"), false); }
  output.classList.add("stacked", "sliding");
  for (const canvas of find(".first .canvas", output)) canvas.style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`;
  if (first) fit(output);
}
function slideCase(one) {
  if (!one) return;
  one.details.open = true;
  const [output] = blinkable(one);
  if (!output) return;
  if (output.classList.contains("sliding")) { stop(output); return; }
  slide(output);
  output.querySelector(".slide").focus({ preventScroll: true });
  if (!visible(output.querySelector(".three"))) output.querySelector(".three").scrollIntoView({ block: "start" });
}
document.addEventListener("input", (event) => { if (event.target.matches(".slide")) slide(event.target.closest(".output")); });
const blinkable = (one) => find(".output", one.article).filter((output) => output.querySelector(".blink"));
function blinkCase(one, byHand) {
  if (!one) return;
  one.details.open = true;
  const outputs = blinkable(one);
  const running = outputs.some((output) => output.classList.contains("blinking") && !output.classList.contains("by-hand"));
  if (running && !byHand) unstack(one.article);
  else for (const output of outputs) blink(output, byHand || still.matches);
  if (outputs.length && !outputs.some((output) => visible(output.querySelector(".three")))) {
    outputs[0].querySelector(".three").scrollIntoView({ block: "start" });
  }
}
function visible(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return Math.min(bottom, window.innerHeight) - Math.max(top, 0) > Math.min(bottom - top, window.innerHeight) / 2;
}
document.addEventListener("click", (event) => {
  const output = event.target.closest(".output");
  const button = event.target.closest(".blink");
  if (event.target.closest(".larger, .smaller")) zoom(output, event.target.closest(".larger") ? 1 : -1);
  else if (button) {
    if (output.classList.contains("blinking")) stop(output);
    else blink(output, still.matches);
  } else if (output && output.classList.contains("blinking") && event.target.closest(".first .canvas, .second .canvas")) {
    blink(output, true);
  }
});

// ---------------------------------------------------------------- the review: saved in this browser, under a digest of the case
const keyOf = (one) => `golden review ${one.article.dataset.key}`;
function remember(one) {
  const said = { reviewed: one.reviewed.checked, comment: one.comment.value };
  one.article.classList.toggle("is-reviewed", said.reviewed);
  one.link.classList.toggle("is-reviewed", said.reviewed);
  try {
    if (said.reviewed || said.comment) localStorage.setItem(keyOf(one), JSON.stringify(said));
    else localStorage.removeItem(keyOf(one));
  } catch { document.body.classList.add("forgets"); }
}
function recall(one) {
  let said = null;
  try { said = JSON.parse(localStorage.getItem(keyOf(one))); } catch { document.body.classList.add("forgets"); }
  if (!said) return;
  one.reviewed.checked = Boolean(said.reviewed);
  one.comment.value = String(said.comment || "");
  one.article.classList.toggle("is-reviewed", one.reviewed.checked);
  one.link.classList.toggle("is-reviewed", one.reviewed.checked);
}
const inert = (words) => words.replace(/[\\`*_[\]<>|#@&]/g, (c) => `&#${c.codePointAt(0)};`).replace(/\s+/g, " ");
function reviewText() {
  const { title, headline } = document.querySelector(".columns").dataset;
  const lines = [`### Review: ${inert(title)}`, "", inert(headline), ""];
  for (const [head, told] of find(".reasons > div").map((div) => [...div.children].map((part) => part.textContent))) lines.push(`* reason: ${inert(head)} (${inert(told)})`);
  const reviewed = cases.filter((one) => one.reviewed.checked);
  lines.push(`* ${reviewed.length} of ${cases.length} reviewed`, "");
  for (const one of cases) {
    const comment = one.comment.value.trim();
    if (!one.reviewed.checked && !comment) continue;
    lines.push(`- [${one.reviewed.checked ? "x" : " "}] ${inert(one.article.dataset.name)} (${inert(one.article.dataset.kind)})`);
    if (comment) lines.push(...comment.split("\n").map((line) => `  > ${line}`));
  }
  return `${lines.join("\n")}\n`;
}
async function copyReview() {
  const markdown = reviewText();
  byId("copied").querySelector("textarea").value = markdown;
  try {
    await navigator.clipboard.writeText(markdown);
    byId("copy").textContent = "copied";
    setTimeout(() => { byId("copy").textContent = "copy review as Markdown"; }, 2000);
  } catch { // browsers deny the clipboard to file:// pages
    byId("copied").showModal();
    byId("copied").querySelector("textarea").select();
  }
}
function mark(one) {
  if (!one) return;
  one.reviewed.checked = !one.reviewed.checked;
  remember(one);
  tell();
}
function comment(one) {
  if (!one) return;
  one.details.open = true;
  one.comment.focus();
}

// ---------------------------------------------------------------- keys
const help = byId("help");
const inView = () => seen().find((one) => one.article.getBoundingClientRect().bottom > 80) || null;
const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  o: () => { if (!current) choose(inView()); if (current) current.details.open = !current.details.open; },
  b: () => blinkCase(current || inView(), false),
  f: () => blinkCase(current || inView(), true),
  s: () => slideCase(current || inView()),
  v: () => pointWithKeys(current || inView()),
  r: () => mark(current || inView()),
  c: () => comment(current || inView()),
  "+": () => { const one = current || inView(); if (one) for (const output of drawn(one)) zoom(output, 1); },
  "-": () => { const one = current || inView(); if (one) for (const output of drawn(one)) zoom(output, -1); },
  m: () => document.body.classList.toggle("no-marks"),
  "/": () => { search.focus(); search.select(); },
  "?": () => (help.open ? help.close() : help.showModal()),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target === search) {
    if (event.key === "Escape") { search.value = ""; filter(); search.blur(); }
    if (event.key === "Enter") { step(0); event.preventDefault(); }
    return;
  }
  if (event.target.matches("textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (byId("copied").open || (help.open && event.key !== "?")) return;
  if (event.key === "Escape") { unstack(document); return; }
  if (event.target.matches(".view") && ARROWS[event.key]) {
    event.preventDefault();
    move(event.target.closest(".output"), ...ARROWS[event.key]);
    return;
  }
  const onTitle = current && event.target === current.summary;
  const arrows = onTitle ? { ArrowDown: KEYS.j, ArrowUp: KEYS.k } : {};
  const action = KEYS[event.key] || arrows[event.key];
  if (!action || !cases.length) return;
  event.preventDefault();
  action();
});

// ---------------------------------------------------------------- begin
if (cases.length) {
  search.addEventListener("input", filter);
  for (const one of cases) {
    recall(one);
    one.reviewed.addEventListener("change", () => { remember(one); tell(); });
    one.comment.addEventListener("input", () => remember(one));
  }
  byId("copy").addEventListener("click", copyReview);
  for (const button of find(".filters [aria-pressed]")) {
    button.addEventListener("click", () => { press(button, button.getAttribute("aria-pressed") !== "true"); filter(); });
  }
  byId("fold").addEventListener("click", () => fold(false));
  byId("unfold").addEventListener("click", () => fold(true));
  byId("help-button").addEventListener("click", () => help.showModal());
  let folded = [];
  addEventListener("beforeprint", () => { folded = cases.filter((one) => !one.details.open); fold(true); unstack(document); });
  addEventListener("afterprint", () => { for (const one of folded) one.details.open = false; });
  addEventListener("resize", () => fit());
  addEventListener("hashchange", goToHash);
  for (const link of links) link.addEventListener("click", () => setTimeout(goToHash));
  fit();
  tell();
  goToHash();
}
