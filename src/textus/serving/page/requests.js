"use strict";
/* What is asked of the server: only fields that somebody has filled in, so that the rest is the model's own. */

const NUMBERS = {
  temperature: [0, 2, false],
  top_p: [0, 1, false],
  top_k: [0, Infinity, true],
  min_p: [0, 1, false],
  max_tokens: [1, Infinity, true],
  seed: [-Infinity, Infinity, true],
  presence_penalty: [-2, 2, false],
  frequency_penalty: [-2, 2, false],
  repetition_penalty: [0, Infinity, false],
};

/** Read the settings, which are the texts of fields; throw a Failure that names the field. */
function readSettings(given) {
  const found = {};
  for (const [name, [low, high, whole]] of Object.entries(NUMBERS)) {
    const text = (given[name] || "").trim();
    if (text === "") continue;
    const value = Number(text);
    const fits = Number.isFinite(value) && value >= low && value <= high && (!whole || Number.isSafeInteger(value));
    if (!fits) {
      const range = low === -Infinity ? "" : high === Infinity ? ` from ${low}` : ` from ${low} to ${high}`;
      const hint = `give a ${whole ? "whole number" : "number"}${range}, or leave it empty`;
      throw new Failure(`${words(name)} is “${text}”`, hint, { field: name });
    }
    found[name] = value;
  }
  const stop = (given.stop || "").split("\n").filter(Boolean).map(unescaped);
  if (stop.length) found.stop = stop;
  return found;
}

/** Return a stop string with `\n` and `\t` as what they stand for. */
function unescaped(text) {
  return text.replace(/\\([nt\\])/g, (_, sign) => ({ n: "\n", t: "\t", "\\": "\\" })[sign]);
}

function words(name) {
  return name.replaceAll("_", " ");
}

/** Return the request for the answer to a conversation; `top` is how many alternatives are told of, -1 for nothing. */
function chatRequest(model, system, turns, settings, top) {
  const { max_tokens, ...rest } = settings;
  const said = turns.map(({ role, text }) => ({ role, content: text }));
  return {
    model,
    messages: system ? [{ role: "system", content: system }, ...said] : said,
    ...rest,
    ...(max_tokens ? { max_completion_tokens: max_tokens } : {}),
    ...(top >= 0 ? { logprobs: true, top_logprobs: top } : {}),
    stream: true,
    stream_options: { include_usage: true },
  };
}

/** Return the request for the continuation of a text in pieces. */
function textRequest(model, turns, settings, top) {
  return {
    model,
    prompt: turns.map(({ text }) => text).join(""),
    max_tokens: 100,
    ...settings,
    ...(top >= 0 ? { logprobs: top } : {}),
    stream: true,
    stream_options: { include_usage: true },
  };
}

/** Return what a value of either stream brings: text, tokens, why it ended, usage, what the guard said. */
function pieceOf(value) {
  const choice = (value.choices || [])[0] || {};
  return {
    text: (choice.delta ? choice.delta.content : choice.text) || "",
    tokens: tokensOf(choice.logprobs),
    finish: choice.finish_reason || "",
    usage: value.usage || null,
    moderation: value.moderation || choice.moderation || null,
  };
}

/** Return the cosine of two vectors. */
function cosine(a, b) {
  let dot = 0, left = 0, right = 0;
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    left += a[i] * a[i];
    right += b[i] * b[i];
  }
  return left && right ? dot / Math.sqrt(left * right) : 0;
}
