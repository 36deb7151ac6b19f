"use strict";
/* Conversations as files: written as JSON, and read with the distrust that a file deserves. */

const FORMAT = "textus-conversation";
const ROLES = { chat: ["user", "assistant"], write: ["text", "model"] };
const MOST_TURNS = 10000;
const LARGEST_FILE = 16 * 1024 * 1024;

/** Return a tree as a value for JSON. */
function toFile(kind, tree, system, model) {
  const turns = Object.values(tree.turns).map(({ id, parent, role, text, finish, speed, model, tokens }) => {
    return { id, parent, role, text, finish, speed, model, tokens };
  });
  return { format: FORMAT, version: 1, kind, model, system, turns, chosen: { ...tree.chosen } };
}

/** Read a file's text: return `{kind, tree, system}`, or throw a Failure that says what is wrong with it. */
function fromFile(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Failure("this file is not JSON", "import what Export has written");
  }
  insist(isObject(value) && value.format === FORMAT, "this file holds no conversation");
  insist(value.version === 1, `this file has version ${JSON.stringify(value.version)}; this page reads 1`);
  insist(Object.hasOwn(ROLES, value.kind), "its `kind` is neither chat nor write");
  insist(Array.isArray(value.turns) && value.turns.length <= MOST_TURNS, `its \`turns\` are no list of at most ${MOST_TURNS}`);
  const tree = emptyTree();
  const names = new Map([["", ""]]);
  for (const [index, turn] of value.turns.entries()) names.set(...readTurn(tree, names, turn, value.kind, `turn ${index + 1}`));
  choose(tree, names, value.chosen);
  return { kind: value.kind, tree, system: typeof value.system === "string" ? value.system : "" };
}

function insist(holds, sentence) {
  if (!holds) throw new Failure(sentence, "import what Export has written");
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Put one turn into the tree, under an id of its own; return its old id and its new. */
function readTurn(tree, names, given, kind, where) {
  insist(isObject(given), `${where} is no object`);
  insist(typeof given.id === "string" && given.id && !names.has(given.id), `${where} has no id of its own`);
  insist(names.has(given.parent), `${where} follows a turn that does not stand before it`);
  insist(ROLES[kind].includes(given.role), `${where} has the role ${JSON.stringify(given.role)}, which is none of ${ROLES[kind].join(", ")}`);
  insist(typeof given.text === "string", `${where} has no text`);
  const turn = addTurn(tree, names.get(given.parent), given.role, given.text);
  for (const name of ["finish", "speed", "model"]) if (typeof given[name] === "string") turn[name] = given[name];
  if (given.tokens !== undefined) turn.tokens = readTokens(given.tokens, where);
  return [given.id, turn.id];
}

/** Return tokens with nothing in them but what is drawn. */
function readTokens(given, where) {
  const isToken = (one) => isObject(one) && typeof one.name === "string" && (one.logprob === null || Number.isFinite(one.logprob));
  const isByte = (one) => Number.isInteger(one) && one >= 0 && one < 256;
  insist(Array.isArray(given), `${where} has tokens that are no list`);
  return given.map((one) => {
    const holds = isToken(one) && Array.isArray(one.bytes) && one.bytes.every(isByte) && Array.isArray(one.top) && one.top.every(isToken);
    insist(holds, `${where} has a token without a name, bytes, a logprob or alternatives`);
    const top = one.top.map(({ name, logprob }) => ({ name, logprob }));
    return { name: one.name, bytes: one.bytes, logprob: one.logprob, top };
  });
}

/** Choose what the file chose, where that is there. */
function choose(tree, names, chosen) {
  for (const [parent, id] of Object.entries(isObject(chosen) ? chosen : {})) {
    const [above, below] = [names.get(parent), names.get(id)];
    if (above !== undefined && tree.versions[above].includes(below)) tree.chosen[above] = below;
  }
}
