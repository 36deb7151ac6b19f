"use strict";
/* Tokens and how likely they were, from both of the shapes in which servers tell of them. */

/** Return a token's bytes: as given, or from a name such as `bytes:\xc3`, or from its text. */
function bytesOf(name, bytes) {
  if (Array.isArray(bytes)) return bytes;
  const parts = /^bytes:((?:\\x[0-9a-f]{2})+)$/i.exec(name);
  return parts ? parts[1].match(/[0-9a-f]{2}/gi).map((two) => parseInt(two, 16)) : [...new TextEncoder().encode(name)];
}

/** Return the tokens that a choice of a chat or of a completion tells of, as `{name, bytes, logprob, top}`. */
function tokensOf(logprobs) {
  if (!logprobs) return [];
  if (Array.isArray(logprobs.content)) {
    return logprobs.content.map((one) => ({
      name: one.token,
      bytes: bytesOf(one.token, one.bytes),
      logprob: one.logprob,
      top: (one.top_logprobs || []).map(({ token, logprob }) => ({ name: token, logprob })),
    }));
  }
  return (logprobs.tokens || []).map((name, index) => ({
    name,
    bytes: bytesOf(name),
    logprob: logprobs.token_logprobs[index],
    top: Object.entries((logprobs.top_logprobs || [])[index] || {})
      .map(([other, logprob]) => ({ name: other, logprob }))
      .sort((a, b) => b.logprob - a.logprob),
  }));
}

/**
 * Return a text cut into pieces `{text, tokens}`: one for each token, or for several that make a character together.
 * Where the tokens spell another text than was sent (a stop string, a redaction), the piece behind has no tokens.
 */
function piecesOf(text, tokens) {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const pieces = [];
  let at = 0;
  let waiting = [];
  for (const token of tokens) {
    const part = decoder.decode(new Uint8Array(token.bytes), { stream: true });
    waiting.push(token);
    if (!part) continue;
    if (!text.startsWith(part, at)) break;
    pieces.push({ text: part, tokens: waiting });
    at += part.length;
    waiting = [];
  }
  if (at < text.length) pieces.push({ text: text.slice(at), tokens: [] });
  return pieces;
}

/** Return how surprising a token was, from 0 (likely) to 4. */
function surprise(logprob) {
  const probability = Math.exp(logprob);
  return [0.5, 0.2, 0.05, 0.01].filter((bound) => probability < bound).length;
}

/** Return a probability in words. */
function percent(probability) {
  if (probability > 0 && probability < 0.001) return "< 0.1 %";
  return `${(100 * probability).toFixed(probability > 0.0995 && probability < 0.9995 ? 0 : 1)} %`;
}

/** Return a token as one can see it: its spaces and ends of lines with signs for them. */
function visible(name) {
  return name.replace(/ /g, "␣").replace(/\n/g, "↵").replace(/\t/g, "⇥").replace(/\r/g, "␍") || "∅";
}

/**
 * Return how fast an answer came, in words; `clock` holds when it was asked for, began and ended, in ms. The rate is over
 * the whole time, waiting included: a guard that holds text back sends many tokens at once, and any other rate would flatter.
 */
function speed({ asked, first, last }, tokens, exact = true) {
  if (!first || !tokens) return "";
  const rate = Number(((tokens * 1000) / Math.max(last - asked, 1)).toPrecision(3));
  const count = `${exact ? "" : "about "}${tokens} token${tokens === 1 ? "" : "s"}`;
  return `${count} in ${duration(last - asked)} · ${rate} tokens/s · first after ${duration(first - asked)}`;
}

function duration(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
