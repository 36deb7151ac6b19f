"use strict";
/* What happens once: the tabs, the settings, files, keys of the keyboard, and what the tab remembers. */

const TABS = ["chat", "write", "fill", "compare", "guard"];
const KEPT = [...Object.keys(NUMBERS), "stop", "system", "top_logprobs", "key"];
const WIDE = matchMedia("(min-width: 60rem)");

let tab = "chat";

/** Show a tab; `focus` says whether the keyboard led there. */
function openTab(name, focus = false) {
  tab = name;
  for (const one of TABS) {
    const open = one === name;
    byId(`tab-${one}`).setAttribute("aria-selected", String(open));
    byId(`tab-${one}`).tabIndex = open ? 0 : -1;
    byId(`view-${one}`).hidden = !open;
  }
  byId("export").disabled = byId("import").disabled = !(name in threads);
  hideTip();
  if (focus) byId(`tab-${name}`).focus();
  save();
}

/** Go from tab to tab by the arrow keys. */
function moveTabs(event) {
  const at = TABS.indexOf(tab);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1 + TABS.length, Home: 0, End: TABS.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  openTab(TABS[to % TABS.length], true);
}

/** Open or close the settings. */
function openSettings(open) {
  byId("settings").hidden = !open;
  byId("panel").setAttribute("aria-expanded", String(open));
}

/** Say what a chosen model can do, and what it cannot. */
function fitModel() {
  const { textus: facts } = model();
  const writes = facts.writes === false ? "This model does not write; ask it under Fill and Compare. " : "";
  const context = facts.context_length ? `Reads ${facts.context_length} tokens. ` : "";
  const untaught = facts.has_template === false ? "It has not been taught to converse; Write suits it better. " : "";
  byId("note-chat").textContent = writes || context + untaught;
  byId("note-write").textContent = writes || context;
  const sign = blank();
  const field = byId("text-fill");
  if (!field.value || field.value === field.dataset.example) {
    field.value = field.dataset.example = `The ${sign} of a class is a ${sign}.`;
  }
  byId("max_tokens").placeholder = facts.max_tokens ? String(facts.max_tokens) : "";
}

/** Keep in this tab what was written and set; it goes with the tab. */
function save() {
  try {
    const kept = Object.fromEntries(KEPT.map((id) => [id, byId(id).value]));
    const trees = Object.values(threads).map(({ kind, tree }) => toFile(kind, tree, "", ""));
    sessionStorage.setItem("textus", JSON.stringify({ tab, kept, shown: byId("shown").checked, trees }));
  } catch {
    // too large to keep, or not allowed: a reload then begins anew, and Export is there
  }
}

/** Take up what the tab has kept, with the same distrust as a file. */
function restore() {
  try {
    const { tab: open, kept, shown, trees } = JSON.parse(sessionStorage.getItem("textus"));
    for (const id of KEPT) if (typeof kept[id] === "string") byId(id).value = kept[id];
    byId("shown").checked = shown === true;
    for (const tree of trees) {
      const read = fromFile(JSON.stringify(tree));
      threads[read.kind].tree = read.tree;
    }
    return TABS.includes(open) ? open : "chat";
  } catch {
    return "chat"; // nothing was kept
  }
}

/** Save the open thread as a file. */
function exportThread() {
  const thread = threads[tab];
  const file = toFile(thread.kind, thread.tree, byId("system").value, model().id);
  const url = URL.createObjectURL(new Blob([JSON.stringify(file, null, 1)], { type: "application/json" }));
  make("a", { href: url, download: `textus-${thread.kind}.json` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** Read a file in the place of the thread of its kind. */
async function importThread(file) {
  try {
    if (file.size > LARGEST_FILE) throw new Failure("this file is larger than 16 MiB", "import what Export has written");
    const read = fromFile(await file.text());
    const thread = threads[read.kind];
    if (thread.running) throw new Failure("a text is being written", "stop it first");
    const before = thread.tree;
    thread.tree = read.tree;
    if (read.system) byId("system").value = read.system;
    draw(thread);
    openTab(read.kind);
    notice("Imported.", () => {
      thread.tree = before;
      draw(thread);
      save();
      notice();
    });
  } catch (error) {
    notice(failureBox(error));
  }
}

/** Escape takes away what lies on top: the tip, then what is being written. */
function escape(event) {
  if (event.key !== "Escape" || hideTip()) return;
  for (const thread of Object.values(threads)) stop(thread);
}

function startThread(thread) {
  const sends = ({ key, shiftKey, ctrlKey, metaKey, isComposing }) =>
    key === "Enter" && !isComposing && (thread.kind === "chat" ? !shiftKey : ctrlKey || metaKey);
  part(thread, "form").addEventListener("submit", (event) => {
    event.preventDefault();
    submit(thread);
  });
  part(thread, "text").addEventListener("keydown", (event) => {
    if (!sends(event)) return;
    event.preventDefault();
    submit(thread);
  });
  part(thread, "stop").addEventListener("click", () => stop(thread));
  part(thread, "new").addEventListener("click", () => begin(thread));
}

function startTool(name, work) {
  const form = byId(`form-${name}`);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run(form, byId(`out-${name}`), work);
  });
}

function startSettings() {
  byId("parameters").addEventListener("submit", (event) => event.preventDefault());
  byId("parameters").addEventListener("change", save);
  byId("parameters").addEventListener("input", ({ target }) => target.removeAttribute("aria-invalid"));
  byId("key").addEventListener("change", loadModels);
  byId("model").addEventListener("change", fitModel);
  byId("shown").addEventListener("change", () => Object.values(threads).forEach((thread) => thread.running || draw(thread)));
  byId("panel").addEventListener("click", () => openSettings(byId("settings").hidden));
  byId("reset").addEventListener("click", () => {
    for (const name of [...Object.keys(NUMBERS), "stop", "system"]) {
      byId(name).value = "";
      byId(name).removeAttribute("aria-invalid");
    }
    save();
  });
  WIDE.addEventListener("change", () => openSettings(WIDE.matches));
  openSettings(WIDE.matches);
}

function startHeader() {
  const show = () => byId("theme").setAttribute("aria-pressed", String(theme() === "dark"));
  byId("theme").addEventListener("click", () => {
    setTheme(theme() === "dark" ? "light" : "dark");
    show();
  });
  DARK.addEventListener("change", show);
  show();
  byId("export").addEventListener("click", exportThread);
  byId("import").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", async ({ target }) => {
    if (target.files.length) await importThread(target.files[0]);
    target.value = "";
  });
  for (const name of TABS) byId(`tab-${name}`).addEventListener("click", () => openTab(name));
  document.querySelector("[role=tablist]").addEventListener("keydown", moveTabs);
}

/** Begin. */
function start() {
  for (const thread of Object.values(threads)) startThread(thread);
  for (const [name, work] of Object.entries({ fill, compare, guard })) startTool(name, work);
  byId("blank-fill").addEventListener("click", () => {
    const field = byId("text-fill");
    field.setRangeText(blank(), field.selectionStart, field.selectionEnd, "end");
    field.focus();
  });
  byId("text-compare").value = "A class is a statement.\nA function is defined by def.\nThe weather is fine today.";
  startSettings();
  startHeader();
  document.addEventListener("keydown", escape);
  byId("tip").addEventListener("mouseenter", () => clearTimeout(showTip.leaving));
  byId("tip").addEventListener("mouseleave", () => hideTip(false));
  openTab(restore());
  for (const thread of Object.values(threads)) draw(thread);
  loadModels();
}

start();
