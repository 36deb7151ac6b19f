"use strict";
/* Server-sent events out of pieces that may end anywhere, within a line, a line's end, or a character. */

/** Return a function that takes the next piece of text and returns the data of the events that it completes. */
function eventReader() {
  let rest = "";
  let data = [];

  /** Take one line; return an event's data where it ends one. */
  function line(text) {
    if (text === "") {
      const whole = data.length ? data.join("\n") : null;
      data = [];
      return whole;
    }
    const colon = text.indexOf(":");
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (field === "data") data.push(value);
    return null; // comments and other fields say nothing here
  }

  return function read(piece) {
    rest += piece;
    const found = [];
    for (;;) {
      const end = rest.search(/[\r\n]/);
      // whether a return at the very end stands alone is not known before the next piece
      if (end < 0 || (rest[end] === "\r" && end === rest.length - 1)) return found;
      const whole = line(rest.slice(0, end));
      if (whole !== null) found.push(whole);
      rest = rest.slice(end + (rest.startsWith("\r\n", end) ? 2 : 1));
    }
  };
}

/** Return a function that takes bytes and returns the data of the events that they complete. */
function byteReader() {
  const decoder = new TextDecoder();
  const read = eventReader();
  return (bytes) => read(decoder.decode(bytes, { stream: true }));
}

/** Yield the values of a stream of events as they come, until `[DONE]`; throw if it breaks off before. */
async function* values(body) {
  const read = byteReader();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new Failure("the answer broke off", "is the server still running?");
      for (const data of read(value)) {
        if (data === "[DONE]") return;
        yield JSON.parse(data);
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // tells the server that nobody reads on
  }
}

/** An error with what to do about it; `guarded` where it is the guard's word, `field` where it is a field's fault. */
class Failure extends Error {
  constructor(message, hint = "", { guarded = false, status = 0, field = "" } = {}) {
    super(message);
    Object.assign(this, { hint, guarded, status, field });
  }
}

/** Return the failure that the body of an error tells of: its sentence, and the hint that stands in brackets behind. */
function failureOf(body, status = 0, wait = "") {
  const told = body && typeof body === "object" && body.error ? body.error : {};
  const said = typeof told.message === "string" && told.message ? told.message : `the server answered ${status || "nothing that can be read"}`;
  const [, sentence, bracket] = said.match(/^([^]*\S) \(([^]+)\)$/) || [null, said, ""];
  const again = /^\d+$/.test(wait) ? `try again in ${wait} s` : "";
  const hint = (typeof told.hint === "string" && told.hint) || bracket || again;
  return new Failure(sentence, hint, { guarded: told.code === "content_filter", status });
}
