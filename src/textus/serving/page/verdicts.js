"use strict";
/* What the guard said, in words. */

const ENDINGS = {
  stop: "",
  length: "ended at the most tokens allowed",
  content_filter: "stopped by the guard",
  stopped: "stopped by you",
};

/** Return why a text ended, in words; nothing where it ended by itself. */
function ending(finish) {
  return finish in ENDINGS ? ENDINGS[finish] : finish;
}

/**
 * Return a moderation result as `{action, words, rows}`; rows are `[category, score, found]`, the highest first.
 * Textus' own verdict knows more categories than OpenAI's thirteen, and what was done.
 */
function verdictOf(result) {
  const own = result.textus || {};
  const scores = { ...(result.category_scores || {}), ...(own.scores || {}) };
  const found = new Set(own.categories || Object.keys(result.categories || {}).filter((name) => result.categories[name]));
  const rows = Object.entries(scores)
    .map(([name, score]) => [name, score, found.has(name)])
    .sort((a, b) => b[2] - a[2] || b[1] - a[1]);
  const action = own.action || (result.flagged ? "flagged" : "allow");
  const said = { allow: "passes", score: "passes, with a note", redact: "passes with parts redacted", block: "is blocked", flagged: "is flagged" };
  const named = [...found].map(words).join(", ");
  return { action: found.size || action === "block" ? action : "allow", words: `${said[action] || action}${named ? `: ${named}` : ""}`, rows, text: own.text };
}
