"use strict";
/* Talking to the server that this page came from. */

let models = [];

/** Return what is known of the chosen model; the server may say more than OpenAI's, under `textus`. */
function model() {
  return models.find((one) => one.id === byId("model").value) || { id: "", textus: {} };
}

/** Send a request; return the response, or throw a Failure that says what the server said. */
async function send(path, body, signal) {
  const key = byId("key").value.trim();
  const headers = { ...(key ? { Authorization: `Bearer ${key}` } : {}), ...(body ? { "Content-Type": "application/json" } : {}) };
  let response;
  try {
    response = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("the server does not answer", "is `textus serve` still running?");
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => null);
  const failure = failureOf(told, response.status, response.headers.get("retry-after") || "");
  if (response.status === 401) openKey(failure);
  throw failure;
}

/** Send a request and return the JSON of the answer. */
async function ask(path, body) {
  const response = await send(path, body);
  return response.json();
}

/** Yield the pieces of a text that is being written. */
async function* written(path, body, signal) {
  const response = await send(path, body, signal);
  for await (const value of values(response.body)) {
    if (value.error) throw failureOf(value, 200);
    yield pieceOf(value);
  }
}

/** Lead to the field for the key. */
function openKey(failure) {
  if (!failure.hint) failure.hint = "type the API key under Settings";
  openSettings(true);
  byId("key").focus();
}

/** Ask which models there are, and offer them. */
async function loadModels() {
  const list = byId("model");
  const chosen = list.value;
  try {
    models = (await ask("v1/models")).data.map((one) => ({ ...one, textus: one.textus || {} }));
    list.replaceChildren(...models.map(({ id }) => make("option", { value: id }, id)));
    if (models.some(({ id }) => id === chosen)) list.value = chosen;
    notice();
  } catch (error) {
    notice(failureBox(error));
    if (error.status === 503) setTimeout(loadModels, 2000); // the engine is being started
  }
  fitModel();
}
