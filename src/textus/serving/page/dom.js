"use strict";
/* The few ways in which the page is drawn: elements, notices, words for screen readers, and the tip beside a token. */

const byId = (id) => document.getElementById(id);

/** Make an element: attributes, listeners under `on`, then children; a string becomes text, never markup. */
function make(tag, { on = {}, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  for (const [event, act] of Object.entries(on)) element.addEventListener(event, act);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Make a button; `key` finds it again when what it stands in has been drawn anew. */
function button(label, act, { key, name, ...more } = {}) {
  return make("button", { type: "button", "aria-label": name, "data-key": key, ...more, on: { click: act } }, label);
}

/** Make a bar for a share between 0 and 1. */
function bar(share) {
  const drawn = make("span", { class: "share", "aria-hidden": "true" });
  drawn.style.setProperty("--share", String(Math.min(Math.max(share, 0), 1)));
  return drawn;
}

/** Make a box that tells of a failure: the sentence, and what to do. */
function failureBox(failure) {
  const told = failure instanceof Failure ? failure : new Failure(`the page failed: ${failure.message}`, "reload it; export the conversation first");
  return make(
    "div",
    { class: told.guarded ? "failed guarded" : "failed", role: "alert" },
    make("strong", {}, told.guarded ? "Guard" : "Not done"),
    make("span", {}, told.message),
    told.hint ? make("span", { class: "hint" }, told.hint) : null,
  );
}

/** Show a line at the top until the next one, with a button that takes something back where there is one. */
function notice(content = "", undo = null) {
  const box = byId("notice");
  const line = typeof content === "string" ? make("span", {}, content) : content;
  const close = button("Close", () => notice(), { class: "quiet" });
  box.replaceChildren(...(content ? [line, ...(undo ? [button("Undo", undo)] : []), close] : []));
  box.hidden = !content;
}

/** Let a screen reader say something when it has time. */
function say(words) {
  const spoken = byId("spoken");
  spoken.append(make("p", {}, words));
  while (spoken.childElementCount > 4) spoken.firstElementChild.remove();
}

/** Return a function that takes a text as it comes and says it in sentences; called with null, the rest. */
function speaker() {
  let rest = "";
  return function hear(text) {
    rest += text || "";
    const end = text === null ? rest.length : Math.max(...[". ", "! ", "? ", "\n"].map((mark) => rest.lastIndexOf(mark) + 1));
    if (!rest.slice(0, end).trim() || (text !== null && end < 40)) return;
    say(rest.slice(0, end).trim());
    rest = rest.slice(end);
  };
}

/** Run `draw`, and put the focus on the button with the same key, if it was in `box`. */
function keepFocus(box, draw) {
  const held = box.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  draw();
  if (!held) return;
  const again = box.querySelector(`[data-key="${CSS.escape(held)}"]`);
  const near = again && again.disabled ? again.parentElement.querySelector("button:not([disabled])") : again;
  if (near) near.focus();
}

/** Put the tip beside an element, within the window. */
function showTip(beside, ...content) {
  const tip = byId("tip");
  clearTimeout(showTip.leaving);
  tip.replaceChildren(...content);
  tip.hidden = false;
  const at = beside.getClientRects()[0] || beside.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.left, innerWidth - tip.offsetWidth - 8));
  const below = at.bottom + 6 + tip.offsetHeight < innerHeight;
  tip.style.setProperty("left", `${left}px`);
  tip.style.setProperty("top", `${below ? at.bottom + 6 : Math.max(8, at.top - tip.offsetHeight - 6)}px`);
}

/** Take the tip away, in a moment or `now`; return whether there was one. */
function hideTip(now = true) {
  const tip = byId("tip");
  const was = !tip.hidden;
  clearTimeout(showTip.leaving);
  if (now) tip.hidden = true;
  else showTip.leaving = setTimeout(() => (tip.hidden = true), 200);
  return was;
}
