"use strict";
/* A conversation, or a text in pieces, as a tree: what is written anew stands beside what was there, not in its place. */

/** Return a tree without turns. `versions` holds, for each turn ("" for the beginning), what follows it; `chosen` which. */
function emptyTree() {
  return { turns: {}, versions: { "": [] }, chosen: {}, made: 0 };
}

/** Put a turn behind `parent` ("" for the beginning), choose it, and return it. */
function addTurn(tree, parent, role, text) {
  tree.made += 1;
  const turn = { id: String(tree.made), parent, role, text };
  tree.turns[turn.id] = turn;
  tree.versions[turn.id] = [];
  tree.versions[parent].push(turn.id);
  tree.chosen[parent] = turn.id;
  return turn;
}

/** Return the turns that are shown, in order. */
function path(tree) {
  const found = [];
  for (let id = tree.chosen[""]; id; id = tree.chosen[id]) found.push(tree.turns[id]);
  return found;
}

/** Return the turns from the beginning up to one, itself included. */
function pathTo(tree, id) {
  const found = [];
  for (; id; id = tree.turns[id].parent) found.unshift(tree.turns[id]);
  return found;
}

/** Return which of how many versions a turn is, both counted from 1. */
function place(tree, turn) {
  const beside = tree.versions[turn.parent];
  return [beside.indexOf(turn.id) + 1, beside.length];
}

/** Choose the version `by` places from a turn, where there is one; return what is chosen then. */
function step(tree, turn, by) {
  const beside = tree.versions[turn.parent];
  const id = beside[Math.min(Math.max(beside.indexOf(turn.id) + by, 0), beside.length - 1)];
  tree.chosen[turn.parent] = id;
  return tree.turns[id];
}

/** Take out a turn that nothing follows, and choose a version beside it. */
function removeTurn(tree, turn) {
  const beside = tree.versions[turn.parent];
  const at = beside.indexOf(turn.id);
  beside.splice(at, 1);
  delete tree.turns[turn.id];
  delete tree.versions[turn.id];
  if (tree.chosen[turn.parent] !== turn.id) return;
  if (beside.length) tree.chosen[turn.parent] = beside[Math.max(at - 1, 0)];
  else delete tree.chosen[turn.parent];
}
