// The triage page refreshes itself, and sends a prediction. Without this script it is complete, but stands still.
"use strict";

const EVERY_MS = 5000;
const PATIENCE_MS = 8000;
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

const by = (id) => document.getElementById(id);

function element(tag, text, className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

// --- refreshing ------------------------------------------------------------------------------------------------

let lostSince = null;
let timer = null;

const paused = () => by("pause").getAttribute("aria-pressed") === "true";
const clock = (date) => `${date.toISOString().slice(11, 19)} UTC`;

async function refresh() {
  try {
    const reply = await fetch("./", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!reply.ok) throw new Error(`it answered ${reply.status}`);
    take(new DOMParser().parseFromString(await reply.text(), "text/html"));
    lostSince = null;
    by("unreachable").hidden = true;
  } catch (error) {
    lost(error);
  }
}

function take(fresh) {
  const before = by("status").dataset.status;
  for (const old of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(old.id);
    // What someone is marking, to copy it, is left alone until they are done.
    if (next && !old.isEqualNode(next) && !marked(old)) old.replaceWith(document.adoptNode(next));
  }
  document.title = fresh.title;
  by("icon").href = fresh.getElementById("icon").getAttribute("href");
  const now = by("status").dataset.status;
  if (now !== before) by("news").textContent = `The service is ${now}.`;
}

function marked(part) {
  const selection = getSelection();
  return !selection.isCollapsed && selection.containsNode(part, true);
}

function lost(error) {
  lostSince ??= new Date();
  const seen = document.querySelector("#refreshed time").textContent;
  const why = error.name === "TimeoutError" ? "it does not answer in time" : error.message;
  const text = `The service cannot be reached since ${clock(lostSince)} (${why}). This is how it was at ${seen} UTC.`;
  if (by("unreachable").textContent !== text) by("unreachable").textContent = text;
  by("unreachable").hidden = false;
  document.title = "unreachable · anomaly-service";
}

async function loop() {
  clearTimeout(timer);
  if (!paused() && !document.hidden) await refresh();
  timer = setTimeout(loop, EVERY_MS);
}

by("pause").addEventListener("click", () => {
  const pause = !paused();
  by("pause").setAttribute("aria-pressed", String(pause));
  by("pause").textContent = pause ? "Paused" : "Pause";
  if (!pause) loop();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) loop();
});

// --- a prediction ----------------------------------------------------------------------------------------------

const form = by("form");
const inputs = [...form.querySelectorAll("input")];

// What was typed is sent as it is: the contract, not the page, says what is wrong with it.
function body() {
  const members = inputs
    .map(({ name, value }) => [name, value.trim()])
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${JSON.stringify(name)}: ${NUMBER.test(value) ? value : JSON.stringify(value)}`);
  return `{${members.join(", ")}}`;
}

const quoted = (text) => `'${text.replaceAll("'", `'"'"'`)}'`;

function showCommand() {
  const address = new URL("predict", location.href).href;
  by("curl").textContent = `curl -s ${quoted(address)} -H 'Content-Type: application/json' -d ${quoted(body())}`;
}

async function predict(event) {
  event.preventDefault();
  by("send").disabled = true;
  try {
    const reply = await fetch("predict", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: body(),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    show(reply.status, await reply.json());
  } catch (error) {
    markWrong([]);
    answer("poor", "No reply", [error.message]);
  } finally {
    by("send").disabled = false;
  }
}

function show(status, reply) {
  if (reply.success) {
    markWrong([]);
    const percent = `${(reply.prediction * 100).toFixed(1)} %`;
    const verdict = reply.is_anomaly ? "Anomaly" : "No anomaly";
    const facts = [`Answered by ${reply.model_used} in ${reply.latency_ms} ms`];
    if (reply.warning) facts.push(reply.warning);
    answer(reply.warning ? "fair" : "good", `${verdict}, probability ${percent}`, facts, reply);
  } else {
    const errors = reply.errors ?? [];
    markWrong(errors);
    const facts = errors.length ? errors.map((error) => error.message) : [reply.error];
    answer("poor", `Not answered (${status})`, facts, reply);
  }
}

function markWrong(errors) {
  for (const input of inputs) {
    const mine = errors.filter((error) => error.feature === input.name).map((error) => error.message);
    const place = by(input.id.replace("feature", "wrong"));
    place.textContent = mine.join("; ");
    place.hidden = mine.length === 0;
    if (mine.length) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
  document.querySelector("[aria-invalid]")?.focus();
}

function answer(tone, title, facts, reply) {
  const shown = element("div", "", `reply ${tone}`);
  const list = element("ul", "");
  list.append(...facts.map((fact) => element("li", fact)));
  shown.append(element("h3", title), list);
  if (reply) {
    const whole = element("details", "");
    whole.append(element("summary", "The whole reply"), element("pre", JSON.stringify(reply, null, 2)));
    whole.open = true;
    shown.append(whole);
  }
  by("answer").replaceChildren(shown);
}

async function copy() {
  const text = by("curl").textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Browsers offer the clipboard to secure origins only; marking it for the person works everywhere.
    getSelection().selectAllChildren(by("curl"));
    if (!document.execCommand("copy")) return;
  }
  by("copy").textContent = "Copied";
  setTimeout(() => (by("copy").textContent = "Copy"), 2000);
}

form.addEventListener("submit", predict);
form.addEventListener("input", showCommand);
form.addEventListener("reset", () => {
  markWrong([]);
  by("answer").replaceChildren();
  setTimeout(showCommand);
});
by("copy").addEventListener("click", copy);

by("send").disabled = false;
by("pause").hidden = by("copy").hidden = false;
for (const hint of document.querySelectorAll("[data-still]")) hint.hidden = true;
showCommand();
timer = setTimeout(loop, EVERY_MS);
