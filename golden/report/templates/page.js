"use strict";
// Everything can be seen without this; it filters, blinks, listens to keys, and fits pictures to the screen.
document.documentElement.classList.add("script");
const find = (selector, inside = document) => [...inside.querySelectorAll(selector)];
const byId = (id) => document.getElementById(id);
const PERIOD = 700; // ms that one of the two is seen: far below what can trigger seizures

const links = find("nav a"); // in the order of the cases
const cases = find(".case").map((article, i) => ({
  article,
  details: article.querySelector("details"),
  summary: article.querySelector("summary"),
  link: links[i],
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
  one.details.addEventListener("toggle", () => { if (one.details.open) fit(one.article); else unblink(one.article); });
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
  for (const one of cases) {
    const { kind, topic } = one.article.dataset;
    const fits = (!kinds.length || kinds.includes(kind)) && (!topics.length || topics.includes(topic))
      && words.every((word) => text(one).includes(word));
    one.article.hidden = !fits;
    one.link.parentElement.hidden = !fits;
  }
  if (current && current.article.hidden) choose(null);
  tell();
}
function tell() {
  const count = seen().length;
  byId("shown").textContent = count === cases.length ? `${count} case${count === 1 ? "" : "s"}` : `${count} of ${cases.length} cases`;
  document.querySelector(".nothing").hidden = count > 0;
}
function press(button, on) {
  button.setAttribute("aria-pressed", String(on));
}

// ---------------------------------------------------------------- pictures: whole screen pixels per element
function fit(inside = document) {
  for (const row of find("details[open] .pictures .three", inside)) { // what is folded has no width yet
    const images = find(".canvas img", row);
    const columns = Math.max(...images.map((image) => side(image, "width")));
    const rows = Math.max(...images.map((image) => side(image, "height")));
    for (const image of images) enlarge(image, columns, rows, Boolean(row.closest(".blinking") && !image.closest(".difference")));
  }
}
const side = (image, name) => Number(image.getAttribute(name)) / Number(image.dataset.times); // in elements
function enlarge(image, columns, rows, large) {
  const room = image.closest("figure").clientWidth;
  if (!room) return; // filtered out
  const density = window.devicePixelRatio || 1;
  const wanted = large ? (0.75 * window.innerHeight) / rows : Number(image.dataset.times);
  const times = Math.floor(Math.min(room / columns, wanted) * density) / density;
  image.style.width = times ? `${times * side(image, "width")}px` : "100%";
}

// ---------------------------------------------------------------- blinking
const still = matchMedia("(prefers-reduced-motion: reduce)");
let timer = null;
function beat() {
  const running = find(".output.blinking:not(.by-hand)");
  for (const output of running) output.classList.toggle("flipped");
  if (!running.length) { clearInterval(timer); timer = null; }
}
function blink(output, byHand) {
  const first = !output.classList.contains("blinking");
  output.classList.add("blinking");
  output.classList.toggle("by-hand", byHand);
  if (!first) output.classList.toggle("flipped");
  press(output.querySelector(".blink"), true);
  if (first) fit(output);
  if (!byHand && !timer) timer = setInterval(beat, PERIOD);
}
function stop(output) {
  output.classList.remove("blinking", "flipped", "by-hand");
  press(output.querySelector(".blink"), false);
  fit(output);
}
const unblink = (inside) => find(".output.blinking", inside).forEach(stop);
const blinkable = (one) => find(".output", one.article).filter((output) => output.querySelector(".blink"));
function blinkCase(one, byHand) {
  if (!one) return;
  one.details.open = true;
  const outputs = blinkable(one);
  const running = outputs.some((output) => output.classList.contains("blinking") && !output.classList.contains("by-hand"));
  if (running && !byHand) unblink(one.article);
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
  if (button) {
    if (output.classList.contains("blinking")) stop(output);
    else blink(output, still.matches);
  } else if (output && output.classList.contains("blinking") && event.target.closest(".first .canvas, .second .canvas")) {
    blink(output, true);
  }
});

// ---------------------------------------------------------------- keys
const help = byId("help");
const inView = () => seen().find((one) => one.article.getBoundingClientRect().bottom > 80) || null;
const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  o: () => { if (!current) choose(inView()); if (current) current.details.open = !current.details.open; },
  b: () => blinkCase(current || inView(), false),
  f: () => blinkCase(current || inView(), true),
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
  if (help.open && event.key !== "?") return;
  if (event.key === "Escape") { unblink(document); return; }
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
  for (const button of find(".filters [aria-pressed]")) {
    button.addEventListener("click", () => { press(button, button.getAttribute("aria-pressed") !== "true"); filter(); });
  }
  byId("fold").addEventListener("click", () => fold(false));
  byId("unfold").addEventListener("click", () => fold(true));
  byId("help-button").addEventListener("click", () => help.showModal());
  let folded = [];
  addEventListener("beforeprint", () => { folded = cases.filter((one) => !one.details.open); fold(true); unblink(document); });
  addEventListener("afterprint", () => { for (const one of folded) one.details.open = false; });
  addEventListener("resize", () => fit());
  addEventListener("hashchange", goToHash);
  for (const link of links) link.addEventListener("click", () => setTimeout(goToHash));
  fit();
  tell();
  goToHash();
}
