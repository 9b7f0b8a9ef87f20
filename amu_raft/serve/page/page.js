"use strict";
const at = (id) => document.getElementById(id);
const WHY = {
  attention: "Where the adapted model looks in the picture: bright where most.",
  parts: "The logits of the likeliest classes and what they are made of, each above its mean over all classes.",
};
let model = null;
let csv = "";
let asked = 0; // an answer that arrives after a newer question is dropped

const percent = (share) => {
  if (share > 0.9995 && share < 1) return "> 99.9 %";
  return share < 0.0005 && share > 0 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`;
};
const plural = (word) => (word.endsWith("s") ? `${word}es` : `${word}s`);
const counted = (number, word) => `${number.toLocaleString("en")} ${number === 1 ? word : plural(word)}`;

function make(tag, text, kind) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

function bar(share) {
  const drawn = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const filled = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  filled.setAttribute("width", `${100 * share}%`);
  filled.setAttribute("height", "100%");
  drawn.setAttribute("aria-hidden", "true");
  drawn.append(filled);
  return drawn;
}

function showGuesses(list, guesses) {
  list.replaceChildren(...guesses.map((guess) => {
    const item = make("li");
    item.append(make("span", guess.class), make("span", percent(guess.probability), "number"), bar(guess.probability));
    return item;
  }));
}

function rowOf(prediction) {
  const row = make("tr");
  const name = make("th", prediction.image);
  name.scope = "row";
  row.append(name);
  if (prediction.error) {
    const cell = make("td", prediction.error);
    cell.colSpan = 4;
    row.append(cell);
  } else {
    for (const guess of [prediction.adapted[0], prediction.zero_shot[0]]) {
      row.append(make("td", guess.class), make("td", percent(guess.probability), "number"));
    }
  }
  return row;
}

function showError(text) {
  at("error").textContent = text;
  at("error").hidden = !text;
}

async function ask(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw new Error("the server does not answer; is it still running?");
  }
  const content = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(content.error ?? `the server answers with status ${response.status}`);
  return content;
}

function post(address, field, files) {
  const form = new FormData();
  for (const file of files) form.append(field, file, file.name || "pasted.png");
  return ask(address, { method: "POST", body: form });
}

function showOne(file, prediction) {
  at("one-name").textContent = prediction.image;
  URL.revokeObjectURL(at("picture").src);
  at("picture").hidden = false;
  at("picture").src = URL.createObjectURL(file);
  at("picture").alt = `The picture ${prediction.image}`;
  showGuesses(at("adapted"), prediction.adapted);
  showGuesses(at("zero-shot"), prediction.zero_shot);
  at("overlay").src = prediction.overlay;
  at("overlay").alt = WHY[model.overlay];
  at("why-text").textContent = WHY[model.overlay];
  for (const [name, value] of Object.entries(prediction)) {
    if (typeof value === "number") at("why-text").textContent += ` ${name}: ${value.toPrecision(3)}.`; // the method's own
  }
  at("one").hidden = false;
}

function showMany(answer) {
  csv = answer.csv;
  const failed = answer.predictions.filter((prediction) => prediction.error).length;
  at("many-name").textContent = counted(answer.predictions.length, "picture") + (failed ? `, ${failed} unreadable` : "");
  at("rows").replaceChildren(...answer.predictions.map(rowOf));
  at("many").hidden = false;
}

function tooMuch(files) {
  const limits = model.limits;
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  if (files.length > limits.files) return `${files.length} pictures are more than the limit of ${limits.files}.`;
  const all = `${Math.ceil(bytes / 1e6)} MB are more than the limit of ${limits.request_bytes / 1e6} MB.`;
  return bytes > limits.request_bytes - 1e5 ? all : "";
}

async function classify(files) {
  if (!files.length || !model) return;
  const question = ++asked;
  for (const id of ["one", "many"]) at(id).hidden = true;
  showError(tooMuch(files));
  if (!at("error").hidden) return;
  at("spoken").textContent = `Classifying ${counted(files.length, "picture")} …`;
  try {
    const one = files.length === 1;
    const answer = one
      ? await post("api/predict?explain=true", "image", files)
      : await post("api/predict-batch?format=both", "images", files);
    if (question !== asked) return;
    if (one) showOne(files[0], answer);
    else showMany(answer);
    at("spoken").textContent = "Done.";
  } catch (error) {
    if (question !== asked) return;
    at("spoken").textContent = "";
    showError(error.message);
  }
}

function download() {
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([csv], { type: "text/csv" }));
  link.download = "predictions.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function listen() {
  at("files").addEventListener("change", (event) => {
    const files = [...event.target.files];
    event.target.value = ""; // the same file can be chosen again
    classify(files);
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    at("drop").classList.add("over");
  });
  document.addEventListener("dragleave", () => at("drop").classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    at("drop").classList.remove("over");
    classify([...event.dataTransfer.files]);
  });
  document.addEventListener("paste", (event) => classify([...event.clipboardData.files]));
  at("download").addEventListener("click", download);
  // A browser does not show every format that the server reads.
  at("picture").addEventListener("error", () => { at("picture").hidden = true; });
}

async function begin() {
  listen();
  try {
    model = await ask("api/model");
  } catch (error) {
    showError(error.message);
    return;
  }
  const accuracy = model.metrics.accuracy;
  const encoders = `CLIP ${model.backbone}` + (model.aux_encoder ? ` and auxiliary encoder ${model.aux_encoder}` : "");
  at("lead").textContent = `${model.method} with ${encoders}, ${counted(model.classes.length, "class")}`
    + (accuracy === undefined ? "" : `, accuracy ${accuracy.toFixed(1)} % on its test images`);
  const limits = model.limits;
  at("limits").textContent = `At most ${counted(limits.files, "picture")} at once of ${limits.file_bytes / 1e6} MB each.`;
  document.documentElement.dataset.ready = "true";
}

begin();
