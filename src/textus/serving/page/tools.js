"use strict";
/* The other things that a model can be asked: blanks, the nearness of texts, and the guard's opinion. */

/** Run what a form asks for, and show what comes of it, or why nothing did. */
async function run(form, box, work) {
  const main = form.querySelector(".main");
  main.disabled = true;
  box.setAttribute("aria-busy", "true");
  try {
    box.replaceChildren(...(await work()));
  } catch (error) {
    box.replaceChildren(failureBox(error));
  }
  box.setAttribute("aria-busy", "false");
  main.disabled = false;
}

/** Return the sign for a blank in texts for this model. */
function blank() {
  return model().textus.mask || "<mask>";
}

/** Put a token in the place of the blank of a number; the space before a blank belongs to it. */
function filled(text, sign, number, token) {
  const parts = text.split(sign);
  const before = parts.slice(0, number + 1).join(sign);
  const behind = parts.slice(number + 1).join(sign);
  return (token.startsWith(" ") ? before.replace(/ $/, "") : before) + token + behind;
}

/** Ask what may stand in the blanks. */
async function fill() {
  const text = byId("text-fill").value;
  const sign = blank();
  if (!text.includes(sign)) throw new Failure("there is no blank in this text", `write ${sign} where a word is missing`);
  const found = await ask("v1/fill", { model: model().id, text, top_k: Number(byId("top-fill").value) || 5 });
  const tables = found.masks.map((candidates, number) => drawBlank(candidates, number, text, sign));
  return [make("h3", {}, "All together"), make("p", { class: "text result" }, found.text), make("div", { class: "blanks" }, ...tables)];
}

/** Make the table of what may stand in one blank; a click puts it there. */
function drawBlank(candidates, number, text, sign) {
  const put = (token) => {
    byId("text-fill").value = filled(text, sign, number, token);
    if (byId("text-fill").value.includes(sign)) byId("form-fill").requestSubmit();
    byId("text-fill").focus();
  };
  const rows = candidates.map(({ token, probability }) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, button(visible(token.trim() ? token.trim() : token), () => put(token), { class: "candidate", title: "Put it into the text" })),
      make("td", {}, bar(probability)),
      make("td", { class: "number" }, percent(probability)),
    ),
  );
  return make("table", {}, make("caption", {}, `Blank ${number + 1}`), make("tbody", {}, ...rows));
}

/** Ask for the vectors of texts, and show the cosine of each pair. */
async function compare() {
  const texts = byId("text-compare").value.split("\n").map((line) => line.trim()).filter(Boolean);
  if (texts.length < 2 || texts.length > 12) throw new Failure(`there are ${texts.length} texts`, "write 2 to 12, each on a line");
  const found = await ask("v1/embeddings", { model: model().id, input: texts, encoding_format: "float" });
  const vectors = found.data.map(({ embedding }) => embedding);
  return [drawMatrix(texts, vectors.map((a) => vectors.map((b) => cosine(a, b))))];
}

/** Make the table of cosines, coloured from the lowest to the highest of different texts. */
function drawMatrix(texts, cosines) {
  const others = cosines.flatMap((row, i) => row.filter((_, j) => i !== j));
  const [low, high] = [Math.min(...others), Math.max(...others)];
  const cell = (value, same) => {
    const drawn = make("td", { class: same ? "same" : "cosine" }, value.toFixed(3));
    drawn.style.setProperty("--share", String(high > low ? (value - low) / (high - low) : 0.5));
    return drawn;
  };
  const head = make("tr", {}, make("th", { scope: "col" }, "Text"), ...texts.map((_, i) => make("th", { scope: "col" }, String(i + 1))));
  const rows = texts.map((text, i) =>
    make("tr", {}, make("th", { scope: "row" }, make("span", { class: "rank" }, `${i + 1} `), text), ...cosines[i].map((value, j) => cell(value, i === j))),
  );
  const table = make("table", { class: "matrix" }, make("caption", {}, "Cosine of each pair"), make("thead", {}, head), make("tbody", {}, ...rows));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Cosine of each pair" }, table);
}

/** Return what the guard says of a text, as the results of the moderation route. */
async function moderate(text, side) {
  return (await ask("v1/moderations", { input: text, side })).results;
}

/** Ask the guard about a text. */
async function guard() {
  const text = byId("text-guard").value;
  if (!text.trim()) throw new Failure("there is no text", "write one");
  const results = await moderate(text, byId("side-guard").value);
  return results.flatMap((result) => {
    const box = drawVerdict(result);
    box.open = true;
    const { text: left, action } = verdictOf(result);
    return action === "redact" ? [box, make("h3", {}, "What may go on"), make("p", { class: "text result" }, left)] : [box];
  });
}
