"use strict";
/* Drawing one turn: its text, with the tokens where they are told of, what the guard said, and what can be done with it. */

const NAMES = { user: "You", assistant: "Model", text: "You", model: "Model" };

/** Tell whether a turn is the model's. */
function isWritten(turn) {
  return turn.role === "assistant" || turn.role === "model";
}

/** Make the element of a turn. */
function drawTurn(thread, turn) {
  const text = make("div", { class: "text", dir: "auto" });
  drawText(text, turn);
  const label = make("h3", {}, NAMES[turn.role], turn.model ? make("span", { class: "by" }, turn.model) : "");
  const told = make("div", { class: "told" }, ...toldOf(turn));
  const item = make("li", { class: `turn ${isWritten(turn) ? "written" : "given"}`, "data-id": turn.id }, label, text, told);
  if (!thread.running || thread.running.turn !== turn) item.append(footOf(thread, turn));
  else item.classList.add("running");
  return item;
}

/** Put a turn's text into its box: in tokens where they are known and wanted, else as it is. */
function drawText(box, turn) {
  const shown = byId("shown").checked && turn.tokens && turn.tokens.length > 0;
  if (!shown) {
    box.textContent = turn.text;
    return;
  }
  const pieces = piecesOf(turn.text, turn.tokens);
  box.replaceChildren(...pieces.map((piece, index) => drawPiece(piece, index === 0)));
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", "Text in tokens; the arrow keys go from one to the next");
  const on = (event, act) => box.addEventListener(event, act);
  const tell = ({ target }) => {
    const piece = pieces[[...box.children].indexOf(target)];
    if (piece && piece.tokens.length) showTip(target, ...tipOf(piece));
  };
  on("mouseover", tell);
  on("mouseout", () => hideTip(false));
  on("focusin", tell);
  on("focusout", () => hideTip());
  on("click", tell); // fingers have no hover
  on("keydown", (event) => moveBetween(box, event));
}

/** Make the element of a piece; the first can be reached by Tab, the others from it. */
function drawPiece({ text, tokens }, first) {
  if (!tokens.length) return make("span", {}, text);
  const logprob = tokens.reduce((sum, token) => sum + (token.logprob || 0), 0);
  const lines = /^[\n\r]/.test(text) ? " line" : "";
  return make("span", { class: `token s${surprise(logprob)}${lines}`, tabindex: first ? "0" : "-1", "aria-describedby": "tip" }, text);
}

/** Go from token to token by the arrow keys, Home and End. */
function moveBetween(box, event) {
  const all = [...box.querySelectorAll(".token")];
  const at = all.indexOf(event.target);
  const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (at < 0 || to === undefined || !all[to]) return;
  event.preventDefault();
  all[at].tabIndex = -1;
  all[to].tabIndex = 0;
  all[to].focus();
}

/** Return what the tip says of a piece: each of its tokens with its alternatives. */
function tipOf(piece) {
  return piece.tokens.map((token) => {
    const rows = token.top.some(({ name }) => name === token.name) ? token.top : [{ name: token.name, logprob: token.logprob }, ...token.top];
    const drawn = rows.map(({ name, logprob }) =>
      make(
        "tr",
        { class: name === token.name ? "taken" : undefined },
        make("th", { scope: "row" }, visible(name), name === token.name ? make("span", { class: "unseen" }, " (written)") : ""),
        make("td", {}, bar(Math.exp(logprob))),
        make("td", { class: "number" }, percent(Math.exp(logprob))),
      ),
    );
    return make("table", {}, make("caption", { class: "unseen" }, "What could stand here"), make("tbody", {}, ...drawn));
  });
}

/** Return what is told below a text: its verdicts, why it ended, what went wrong. */
function toldOf(turn) {
  const told = [];
  const why = ending(turn.finish || "");
  if (why) told.push(make("p", { class: turn.finish === "content_filter" ? "badge blocked" : "badge" }, why));
  for (const result of turn.verdicts || []) told.push(drawVerdict(result));
  if (turn.failure) told.push(failureBox(turn.failure));
  return told;
}

/** Make the box of a moderation result: in short, and every score for whoever asks. */
function drawVerdict(result) {
  const verdict = verdictOf(result);
  const above = verdict.rows.filter(([, score, found]) => found || score >= 0.005);
  const rows = above.map(([name, score, found]) =>
    make(
      "tr",
      { class: found ? "taken" : undefined },
      make("th", { scope: "row" }, words(name)),
      make("td", {}, bar(score)),
      make("td", { class: "number" }, score.toFixed(2)),
    ),
  );
  const head = make("summary", {}, make("strong", {}, "Guard:"), ` ${verdict.words}`);
  const table = make("table", {}, make("caption", { class: "unseen" }, "Scores by category"), make("tbody", {}, ...rows));
  const rest = verdict.rows.length - rows.length;
  const others = rest ? make("p", { class: "note" }, `${rest} ${rows.length ? "other " : ""}categories below 0.01`) : null;
  return make("details", { class: `verdict ${verdict.action}` }, head, rows.length ? table : null, others);
}

/** Make the line below a turn: which version it is, what can be done, how fast it came. */
function footOf(thread, turn) {
  const [at, of] = place(thread.tree, turn);
  const busy = Boolean(thread.running);
  const depth = pathTo(thread.tree, turn.id).length;
  const can = (label, act, key, more = {}) => button(label, act, { key: `${key}${depth}`, disabled: busy, class: "quiet", ...more });
  const go = (sign, by, name) => can(sign, () => turnTo(thread, turn, by), name, { name: `${name} version`, disabled: busy || at + by < 1 || at + by > of });
  const versions = make("span", { class: "versions", role: "group", "aria-label": "Versions" }, go("‹", -1, "previous"), make("span", {}, `${at}/${of}`), go("›", 1, "next"));
  return make(
    "div",
    { class: "foot" },
    of > 1 ? versions : null,
    can("Edit", () => startEdit(thread, turn), "edit"),
    isWritten(turn) ? can(turn.failure && !turn.text ? "Try again" : "Regenerate", () => regenerate(thread, turn), "again") : null,
    can("Copy", () => copy(turn.text), "copy"),
    turn.text ? can("Judge", () => judge(thread, turn), "judge", { title: "Ask the guard about this text" }) : null,
    turn.speed ? make("span", { class: "speed" }, turn.speed) : null,
  );
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    notice("Copied.");
  } catch {
    notice("The browser does not let this page copy; mark the text and copy it by hand.");
  }
}

/** Ask the guard about a turn, and show what it says below. */
async function judge(thread, turn) {
  try {
    turn.verdicts = await moderate(turn.text, isWritten(turn) ? "output" : "input");
    say(turn.verdicts.map((result) => `Guard: ${verdictOf(result).words}`).join(". "));
  } catch (error) {
    notice(failureBox(error));
  }
  draw(thread);
}
