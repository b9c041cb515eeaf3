// The page of `exlcap preview`: asks for the newest pair again and again, shows it, and sends what the operator wants.

import { drawHistogram, drawView, INSET } from "/draw.js";

const TOKEN = document.querySelector("meta[name=exlcap-page]").content;
const HEADERS = { "x-exlcap-page": TOKEN };
const LIGHTS = ["well", "low"];
const NAMES = { well: "bright", low: "dark" };
const SETTLE_MS = 250; // while somebody taps + again and again
const $$ = (selector) => document.querySelector(selector);
const $ = (id) => document.getElementById(id);

const view = { mode: "views", amplify: "mean", marks: true, grid: false, loupe: null };
let state = null; // what the server said last
let wanted = null; // what the operator wants, ahead of the server while a change is on its way
let sending = 0;
let settle = 0;
let last = null; // pictures shown, to be drawn again when the grid is switched
let announced = 0; // number of the last take whose end was announced

if (location.search) history.replaceState(null, "", "/"); // a secret does not stay in the address

// ---- talking to the server

async function watch() {
  let after = 0;
  for (;;) {
    try {
      const reply = await fetch(`/api/look?${query(after)}`, { headers: HEADERS });
      if (!reply.ok) throw await reply.json();
      const body = await reply.arrayBuffer();
      const length = new DataView(body).getUint32(0);
      const received = JSON.parse(new TextDecoder().decode(new Uint8Array(body, 4, length)));
      await show(received, body, 4 + length);
      if (received.pair) after = received.pair.number;
      if (document.hidden) await sleep(4000);
    } catch (error) {
      showLost(error);
      await sleep(1500);
    }
  }
}

function query(after) {
  const shown = $("view-well").clientWidth || $("view-both").clientWidth;
  const width = [480, 640, 960].find((each) => each >= shown * Math.min(devicePixelRatio || 1, 1.5)) || 960;
  const parameters = new URLSearchParams({ after, width, mode: view.mode, amplify: view.amplify, marks: view.marks ? 1 : 0 });
  if (view.loupe) parameters.set("loupe", view.loupe.map((share) => share.toFixed(3)).join(","));
  return parameters;
}

async function ask(action, body = {}) {
  try {
    const headers = { ...HEADERS, "content-type": "application/json" };
    const reply = await fetch(`/api/do/${action}`, { method: "POST", headers, body: JSON.stringify(body) });
    const answer = await reply.json();
    if (!reply.ok) tell("bad", answer.message, answer.hint);
    else if (action !== "show") tell("good", answer.message); // what is shown is seen
    else if ($("message").dataset.kind === "bad") tell("good", "");
    return reply.ok;
  } catch {
    tell("bad", "the preview does not answer", "is `exlcap preview` still running?");
    return false;
  }
}

/** Change a text, if it does change: a screen reader should not hear it again. */
function put(where, text) {
  if (where.textContent !== String(text)) where.textContent = text;
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// ---- showing

async function show(received, body, at) {
  state = received;
  const pictures = {};
  for (const [name, size] of Object.entries(received.sizes)) {
    pictures[name] = await createImageBitmap(new Blob([new Uint8Array(body, at, size)], { type: "image/jpeg" }));
    at += size;
  }
  if (received.pair) {
    if (last) Object.values(last).forEach((picture) => picture.close());
    last = pictures;
    drawViews();
    LIGHTS.forEach((light) => showMeter(light, received.pair));
  }
  if (!sending && !settle) wanted = { ...received.wanted };
  showHead();
  showControls();
}

function drawViews() {
  if (!last) return;
  const loupe = view.loupe && last["loupe-well"];
  const both = Boolean(last.both);
  $("views").dataset.mode = both ? view.mode : "views";
  if (both) return drawView($$("#view-both canvas"), last.both, { grid: view.grid });
  for (const light of LIGHTS) {
    drawView($$(`#view-${light} canvas`), last[light], { piece: loupe && last[`loupe-${light}`], place: view.loupe, grid: view.grid });
  }
}

function showMeter(light, pair) {
  const camera = pair[light], meter = $(`meter-${light}`);
  const set = (name, text, alarm = false) => {
    const where = meter.querySelector(`[data-of=${name}]`);
    put(where, text);
    where.classList.toggle("alarm", alarm);
  };
  drawHistogram(meter.querySelector(".histogram"), camera, last.both ? NAMES[light] : "");
  set("mean", `${camera.mean_dn.toFixed(1)} DN`);
  set("white", percent(camera.white_share), camera.white_share > 0.001);
  set("zero", percent(camera.zero_share), camera.zero_share > 0.001);
  const share = camera.focus_of_peak ?? 0;
  set("focus", camera.focus_of_peak === null ? "–" : `${(100 * share).toFixed(0).padStart(3)} % of peak`);
  put(meter.querySelector(".focus dt"), view.loupe ? "focus under the loupe" : "focus");
  meter.querySelector(".bar i").style.width = `${100 * share}%`;
  put($(`setting-${light}`), `k ${pair.k}  ${micro(camera.exposure_us)}  ${camera.gain_db.toFixed(2)} dB`);
  $(`setting-${light}`).title = camera.proved ? "as the frame itself reports" : "as read back; this camera's frames do not report it";
}

function showHead() {
  const stale = state.phase === "trouble" || state.age_s === null || state.age_s > 3;
  document.body.dataset.phase = state.phase;
  put($("phase"), state.phase);
  put($("rate"), state.rate_hz.toFixed(1));
  put($("orphans"), state.orphans);
  $("orphans").title = state.last_orphan ?? "";
  put($("skew"), state.skew_us === null ? "not measurable" : `${state.skew_us.toFixed(1)} µs`);
  const temperatures = state.pair ? LIGHTS.map((light) => state.pair[light].temperature_c) : null;
  if (temperatures) put($("temperature"), temperatures.every((c) => c === null) ? "not readable" : temperatures.map(degrees).join(" / "));
  put($("disk"), `${state.scenes_left} scenes`);
  $("disk").title = `${state.free_gb} GB free, ${state.steps.length} steps of ${state.pairs_per_step} pairs a scene`;
  put($("control"), state.controls ? "this page controls" : "watching");
  $("take-over").hidden = state.controls;
  if (stale && state.phase !== "opening") document.body.dataset.stale = "";
  else delete document.body.dataset.stale;
  const waits = state.phase === "live" && state.age_s > 3;
  $("trouble").hidden = !waits && state.phase !== "trouble";
  if (state.phase === "trouble") setText($("trouble"), state.message, state.hint);
  else if (waits) setText($("trouble"), `no pair for ${state.age_s.toFixed(0)} s`, "is the pulse generator running?");
  put($("amplified"), view.amplify === "x30" ? "×30" : "to mean 0.4");
  if (state.ended && state.ended.number !== announced) {
    announced = state.ended.number;
    tell(state.ended.ok ? "good" : "bad", state.ended.message.split("\n")[0], state.ended.hint || summary(state.ended.message));
  }
}

/** The line of a take's report that counts pairs. */
const summary = (report) => report.split("\n").find((line) => line.includes("pairs whole")) ?? "";

function showLost(error) {
  if (error.expired) return location.reload(); // the preview was started anew
  document.body.dataset.phase = "trouble";
  document.body.dataset.stale = "";
  put($("phase"), "no answer");
  $("trouble").hidden = false;
  setText($("trouble"), error.message && error.hint ? error.message : "the preview does not answer", error.hint ?? "is `exlcap preview` still running?");
}

function showControls() {
  const recording = state.phase === "recording", free = state.controls && !recording;
  for (const id of ["scene", "exposure", "gain", "pairs"]) $(id).disabled = !free;
  fill("scene", wanted.scene);
  fill("exposure", trimmed(wanted.exposure_us, 1));
  fill("gain", trimmed(wanted.gain_db, 2));
  if ($("pairs").value === "") $("pairs").value = state.pairs_per_step;
  document.querySelectorAll("[data-step]").forEach((button) => (button.disabled = !free));
  $("resume").hidden = !state.ended?.unfinished || recording;
  for (const id of ["shoot", "reference", "resume"]) $(id).disabled = !free || state.phase !== "live";
  for (const id of ["snapshot", "forget-peaks", "cancel"]) $(id).disabled = !state.controls;
  const { base } = state, same = Math.abs(base.exposure_us - wanted.exposure_us) < 0.05 && Math.abs(base.gain_db - wanted.gain_db) < 0.005;
  put($("base"), `${base.own ? "its base" : "rig's base"} ${micro(base.exposure_us)} ${trimmed(base.gain_db, 2)} dB`);
  $("load").disabled = !free || same;
  $("store").disabled = !free || (same && base.own);
  showSteps(free);
  put($("both-name"), view.mode === "blend" ? "Both, blended" : "Both, as a checkerboard");
  put($("both-alignment"), `${state.alignment ?? ""}  ${driftText(state.drift)}`);
  for (const button of $("mode").children) button.disabled = button.dataset.value !== "views" && !state.alignment;
  put($("drift"), state.alignment ? `${state.alignment}  ${driftText(state.drift)}` : "no alignment yet");
  $("drift").classList.toggle("alarm", Boolean(state.drift?.too_far));
  $("measure-drift").disabled = !free || !state.alignment || state.phase !== "live";
  $$("#group-shoot .idle").hidden = recording;
  $$("#group-shoot .busy").hidden = !recording;
  if (recording && state.shooting) {
    const { what, total, done, k, waiting } = state.shooting;
    put($("progress-text"), done ? `${what}  k = ${k}  ${done}/${total} pairs${waiting > 1 ? `  ${waiting} wait for the disk` : ""}` : `${what}: cameras are being set`);
    $("progress").style.width = `${total ? (100 * done) / total : 0}%`;
  }
}

function showSteps(free) {
  const choices = [...state.steps, { k: null, problem: null }];
  const group = $("steps");
  if (group.children.length !== choices.length || choices.some((step, n) => group.children[n].dataset.k !== String(step.k))) {
    group.replaceChildren(...choices.map((step) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.k = step.k;
      button.textContent = step.k ?? "ref";
      button.addEventListener("click", () => change({ k: step.k }, 0));
      return button;
    }));
  }
  choices.forEach((step, n) => {
    const button = group.children[n];
    button.disabled = !free || Boolean(step.problem);
    button.setAttribute("aria-pressed", wanted.k === step.k);
    button.title = step.problem ?? (step.k === null ? "settings of the static reference" : `${micro(step.well.exposure_us)}, bright ${step.well.gain_db.toFixed(2)} dB`);
  });
  const problem = choices.find((step) => step.problem)?.problem;
  $("problem").hidden = !problem;
  put($("problem"), problem ?? "");
}

/** Put a value into a field, unless somebody is writing there. */
function fill(id, value) {
  if (document.activeElement !== $(id)) $(id).value = value;
}

function tell(kind, message, hint) {
  $("message").dataset.kind = kind;
  setText($("message"), message, hint);
}

function setText(where, message, hint) {
  if (where.textContent === message + (hint ?? "")) return;
  const small = document.createElement("small");
  small.textContent = hint ?? "";
  where.replaceChildren(message, small);
}

function driftText(drift) {
  if (!drift) return "drift –";
  return drift.px === null ? "cannot tell the drift" : `worst corner ${drift.px.toFixed(2)} ± ${drift.sd_px.toFixed(2)} px`;
}

const degrees = (c) => (c === null ? "–" : `${c.toFixed(0)}°`);
const percent = (share) => (share === 0 ? "0 %" : `${(100 * share).toFixed(share < 0.0995 ? 2 : 1)} %`);
const micro = (us) => (us >= 10000 ? `${trimmed(us / 1000, 1)} ms` : `${trimmed(us, 1)} µs`);
const trimmed = (value, digits) => String(Number(value.toFixed(digits)));

// ---- what the operator does

function change(part, wait = SETTLE_MS) {
  if (!state?.controls) return;
  wanted = { ...wanted, ...part };
  showControls();
  clearTimeout(settle);
  settle = setTimeout(send, wait);
}

async function send() {
  settle = 0;
  sending += 1;
  await ask("show", wanted);
  sending -= 1;
}

function entered(id, key) {
  const value = Number($(id).value.replace(",", "."));
  if (Number.isFinite(value)) change({ [key]: value }, 0);
  $(id).blur();
}

for (const [id, key] of [["exposure", "exposure_us"], ["gain", "gain_db"]]) {
  $(id).addEventListener("change", () => entered(id, key));
  $(id).addEventListener("keydown", (event) => {
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
    event.preventDefault();
    step(id, event.key === "ArrowUp" ? 1 : -1);
    $(id).blur();
    $(id).focus();
  });
}
$("scene").addEventListener("change", () => {
  if ($("scene").checkValidity() && $("scene").value) change({ scene: $("scene").value }, 0);
  else tell("bad", `“${$("scene").value}” cannot name a scene`, "use letters, digits, '-' and '_', starting with a letter or digit");
});
for (const id of ["scene", "exposure", "gain", "pairs"]) {
  $(id).addEventListener("keydown", (event) => event.key === "Enter" && $(id).blur());
}

/** Exposure goes by thirds of a stop, gain by one dB. */
function step(what, by) {
  if (what === "exposure") change({ exposure_us: Number(Math.max(1, wanted.exposure_us * 2 ** (by / 3)).toFixed(1)) });
  else change({ gain_db: Math.max(0, Number((wanted.gain_db + by).toFixed(2))) });
}
document.querySelectorAll("[data-step]").forEach((button) => {
  button.addEventListener("click", () => step(button.dataset.step, Number(button.dataset.by)));
});

function choose(group, key) {
  for (const button of $(group).children) {
    button.addEventListener("click", () => {
      view[key] = button.dataset.value;
      for (const each of $(group).children) each.setAttribute("aria-pressed", each === button);
      if (key !== "mode" || view.mode === "views") return;
      useLoupe(null);
      if (state.controls && !state.drift) $("measure-drift").click();
    });
  }
}
choose("mode", "mode");
choose("amplify", "amplify");

function toggle(id) {
  view[id] = !view[id];
  $(id).setAttribute("aria-pressed", view[id]);
  drawViews();
}
$("marks").addEventListener("click", () => toggle("marks"));
$("grid").addEventListener("click", () => toggle("grid"));

function useLoupe(place) {
  view.loupe = place;
  $("loupe").setAttribute("aria-pressed", Boolean(place));
}
$("loupe").addEventListener("click", () => {
  if (view.mode !== "views") $("mode").children[0].click();
  useLoupe(view.loupe ? null : [0.5, 0.5]);
});
for (const light of LIGHTS) {
  const canvas = $$(`#view-${light} canvas`);
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    const at = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    if (!view.loupe) return useLoupe(at);
    const inside = at.map((share) => (share - INSET.from) / INSET.size);
    useLoupe(inside.every((share) => share >= 0 && share <= 1) ? inside : null);
  });
  canvas.addEventListener("keydown", (event) => event.key === "Enter" && $("loupe").click());
}

$("load").addEventListener("click", () => change({ exposure_us: state.base.exposure_us, gain_db: state.base.gain_db }, 0));
$("shoot").addEventListener("click", () => ask("shoot", { pairs: Number($("pairs").value) || null }));
for (const action of ["store", "reference", "resume", "cancel", "snapshot", "forget-peaks", "take-over", "measure-drift"]) {
  $(action).addEventListener("click", () => ask(action));
}

const ARROWS = { ArrowLeft: [-0.05, 0], ArrowRight: [0.05, 0], ArrowUp: [0, -0.05], ArrowDown: [0, 0.05] };
const KEYS = { g: "grid", c: "marks", l: "loupe", s: "snapshot" };
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
  const way = view.loupe && ARROWS[event.key];
  if (way) {
    event.preventDefault();
    useLoupe(view.loupe.map((share, axis) => Math.min(1, Math.max(0, share + way[axis]))));
  } else if (event.key === "Escape") useLoupe(null);
  else if (KEYS[event.key]) $(KEYS[event.key]).click();
});
addEventListener("resize", drawViews);

watch();
