"use strict";
/* A conversation or a text on the screen: sending, stopping, editing, writing anew, going from version to version. */

/** Return one of the two threads; `running` holds what is being written, and by whom it can be stopped. */
function newThread(kind) {
  return { kind, tree: emptyTree(), running: null };
}

const threads = { chat: newThread("chat"), write: newThread("write") };

const part = (thread, name) => byId(`${name}-${thread.kind}`);

/** Draw a thread anew. */
function draw(thread) {
  const box = part(thread, "turns");
  hideTip();
  keepFocus(box, () => box.replaceChildren(...path(thread.tree).map((turn) => drawTurn(thread, turn))));
  part(thread, "send").hidden = Boolean(thread.running);
  part(thread, "stop").hidden = !thread.running;
  part(thread, "new").disabled = Boolean(thread.running);
  box.setAttribute("aria-busy", String(Boolean(thread.running)));
}

/** Take what was typed as the next turn, and let the model go on. */
async function submit(thread) {
  if (thread.running) return;
  const field = part(thread, "text");
  const text = thread.kind === "chat" ? field.value.trim() : field.value;
  if (!text && !(thread.kind === "write" && thread.tree.chosen[""])) return field.focus();
  const above = room(thread);
  field.value = "";
  await generate(thread, text ? addTurn(thread.tree, above, ROLES[thread.kind][0], text).id : above);
}

/**
 * Return what the next turn follows. An answer without a text makes room for it; a message that so has no answer stays
 * beside the next one, since two messages in a row are no conversation.
 */
function room(thread) {
  let last = path(thread.tree).at(-1);
  while (last && isWritten(last) && !last.text) {
    removeTurn(thread.tree, last);
    last = path(thread.tree).at(-1);
  }
  if (!last) return "";
  return thread.kind === "chat" && !isWritten(last) ? last.parent : last.id;
}

/** Return the path and the request for what follows a turn. */
function request(thread, parent) {
  const settings = readSettings(Object.fromEntries([...Object.keys(NUMBERS), "stop"].map((name) => [name, byId(name).value])));
  const top = byId("shown").checked ? Math.min(Number(byId("top_logprobs").value) || 0, 20) : -1;
  const turns = pathTo(thread.tree, parent);
  return thread.kind === "chat"
    ? ["v1/chat/completions", chatRequest(model().id, byId("system").value.trim(), turns, settings, top)]
    : ["v1/completions", textRequest(model().id, turns, settings, top)];
}

/** Let the model write what follows a turn, and show it as it comes. */
async function generate(thread, parent) {
  const turn = addTurn(thread.tree, parent, ROLES[thread.kind][1], "");
  const stopping = new AbortController();
  Object.assign(turn, { model: model().id, tokens: [], finish: "" });
  thread.running = { turn, stopping };
  notice();
  const typing = document.activeElement === part(thread, "text");
  draw(thread);
  if (!typing) part(thread, "stop").focus({ preventScroll: true });
  toEnd(true);
  const live = liveText(thread, turn);
  turn.clock = { asked: performance.now(), first: 0, last: 0 };
  try {
    const [path, body] = request(thread, parent);
    for await (const piece of written(path, body, stopping.signal)) {
      if (stopping.signal.aborted) break; // what came in one go with what is shown already is not shown any more
      take(turn, piece, live);
    }
  } catch (error) {
    if (!stopping.signal.aborted) turn.failure = error;
    if (error.field) byId(error.field).setAttribute("aria-invalid", "true");
  }
  if (stopping.signal.aborted) turn.finish = "stopped";
  finish(thread, turn, live);
}

/** Take a piece into a turn. */
function take(turn, piece, live) {
  if (piece.text || piece.tokens.length) {
    turn.clock.last = performance.now();
    turn.clock.first ||= turn.clock.last;
  }
  turn.text += piece.text;
  turn.tokens.push(...piece.tokens);
  turn.pieces = (turn.pieces || 0) + (piece.text ? 1 : 0);
  turn.finish = piece.finish || turn.finish;
  if (piece.usage) turn.written = piece.usage.completion_tokens;
  if (piece.moderation) turn.verdicts = Object.values(piece.moderation).flatMap((side) => (side && side.results) || []);
  live.add(piece.text);
}

/** Show a turn as it stands now that nothing more comes. */
function finish(thread, turn, live) {
  const count = turn.written ?? (turn.tokens.length || turn.pieces || 0);
  turn.speed = speed(turn.clock, count, turn.written !== undefined || turn.tokens.length > 0);
  delete turn.clock;
  delete turn.pieces;
  thread.running = null;
  live.end();
  const said = [ending(turn.finish), turn.failure ? "" : "done"].find(Boolean);
  if (said) say(said);
  const [held, follows] = [document.activeElement === part(thread, "stop"), atEnd()];
  draw(thread);
  toEnd(follows);
  if (held || document.activeElement === document.body) part(thread, "text").focus({ preventScroll: true });
  save();
}

/** Return what shows a text as it grows: one piece of text for each frame, however many have come. */
function liveText(thread, turn) {
  const box = part(thread, "turns").querySelector(`[data-id="${turn.id}"] .text`);
  const node = document.createTextNode("");
  const hear = speaker();
  let waiting = "";
  box.replaceChildren(node);
  function show() {
    const follows = atEnd();
    node.appendData(waiting);
    waiting = "";
    toEnd(follows);
  }
  function add(text) {
    hear(text);
    if (text && !waiting) requestAnimationFrame(show);
    waiting += text;
  }
  return { add, end: () => hear(null) };
}

function atEnd() {
  const { scrollTop, clientHeight, scrollHeight } = byId("main");
  return scrollTop + clientHeight > scrollHeight - 60;
}

function toEnd(wanted) {
  if (wanted) byId("main").scrollTop = byId("main").scrollHeight;
}

/** Stop what is being written; what has come stays. */
function stop(thread) {
  if (thread.running) thread.running.stopping.abort();
}

/** Let an answer be written once more, beside the one that is there. */
async function regenerate(thread, turn) {
  if (thread.running) return;
  if (turn.failure && !turn.text) removeTurn(thread.tree, turn);
  await generate(thread, turn.parent);
}

/** Show the version before or behind. */
function turnTo(thread, turn, by) {
  step(thread.tree, turn, by);
  draw(thread);
  save();
}

/** Put a field in the place of a turn's text; what is kept becomes a version beside it. */
function startEdit(thread, turn) {
  const item = part(thread, "turns").querySelector(`[data-id="${turn.id}"]`);
  const field = make("textarea", { "aria-label": "Text of this turn", rows: String(Math.min(12, turn.text.split("\n").length + 1)) });
  field.value = turn.text;
  const leave = () => {
    draw(thread);
    part(thread, "turns").querySelector(`[data-id="${turn.id}"] [data-key^="edit"]`)?.focus();
  };
  const keep = () => keepEdit(thread, turn, field.value);
  const asks = thread.kind === "chat" && !isWritten(turn);
  const bar = make("div", { class: "bar" }, button("Cancel", leave), button(asks ? "Send" : "Keep", keep, { class: "main" }));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) keep();
    if (event.key !== "Escape") return;
    event.stopPropagation();
    leave();
  });
  item.classList.add("editing");
  item.replaceChildren(item.firstElementChild, field, bar);
  field.focus();
}

/** Put an edited text beside the one it was; a message is answered anew. */
async function keepEdit(thread, turn, text) {
  if (thread.running || !text) return;
  if (text !== turn.text) {
    const beside = addTurn(thread.tree, turn.parent, turn.role, text);
    if (thread.kind === "chat" && !isWritten(turn)) return generate(thread, beside.id);
  }
  draw(thread);
  save();
}

/** Begin anew; for the moment it can be taken back. */
function begin(thread) {
  const before = thread.tree;
  thread.tree = emptyTree();
  draw(thread);
  save();
  part(thread, "text").focus();
  if (!before.chosen[""]) return;
  notice("Begun anew.", () => {
    thread.tree = before;
    draw(thread);
    save();
    notice();
  });
}
