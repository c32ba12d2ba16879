#!/usr/bin/env node
// Appends, reads and follows payments over HTTP with Node's own fetch: nothing to install. Copy what you need.
//
//   payments.mjs pay p1 100.00        appends PaymentProcessed, if there is no such payment yet
//   payments.mjs refund p1 30.00      appends PaymentRefunded, if the payment still allows it
//   payments.mjs show p1              prints the payment's events
//   payments.mjs follow place.txt     prints every payment's events, and goes on where it ended last time
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const URL_V1 = `${process.env.POLYLOG_URL ?? "http://127.0.0.1:7300"}/v1`;
const DEADLINE = 1000 * Number(process.env.POLYLOG_DEADLINE ?? 10); // milliseconds for an append with all its tries

/** The store answered with a problem; `code` is the word to branch on. */
class Refused extends Error {
  constructor(problem) {
    super(`${problem.code}: ${problem.detail}; ${problem.nextStep}`);
    Object.assign(this, { problem, code: problem.code });
  }
}

/** The events may be written, now or later. To find out, send the very same `body` again. */
class OutcomeUnknown extends Error {
  constructor(body, reason) {
    super(`it is not known whether the events were written: ${reason}`);
    this.body = body;
  }
}

/** Waits between tries, half of them random, so that many clients that lost a server do not come back at once. */
class Backoff {
  wait = 50;
  next() {
    const wait = this.wait * (0.5 + Math.random() / 2);
    this.wait = Math.min(this.wait * 2, 2000);
    return wait;
  }
}

/** One try: the answer and its text. A timer of its own keeps the program alive until then; AbortSignal.timeout does not. */
async function attempt(path, options, milliseconds) {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(new Error("no answer in time")), Math.max(milliseconds, 10));
  try {
    const answer = await fetch(`${URL_V1}/${path}`, { ...options, signal: patience.signal });
    return [answer, await answer.text()];
  } finally {
    clearTimeout(timer);
  }
}

/** Appends events to a stream that must be at the expected version. Tries again until the deadline. */
function append(stream, expectedVersion, events) {
  // Ids are made once, before the first try: the store recognises them, so that no try writes a second time.
  return send(stream, { expectedVersion, events: events.map((event) => ({ id: randomUUID(), ...event })) });
}

async function send(stream, body) {
  const ends = Date.now() + DEADLINE;
  const backoff = new Backoff();
  let inDoubt = false;
  while (true) {
    let problem, reason;
    let mayPass = true;
    let atLeast = 0;
    try {
      const options = {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      };
      const left = Math.min(ends - Date.now(), 6000);
      const [answer, text] = await attempt(`streams/${encodeURIComponent(stream)}`, options, left);
      if (answer.ok) return JSON.parse(text);
      atLeast = 1000 * Number(answer.headers.get("Retry-After") ?? 0);
      if (answer.headers.get("Content-Type") === "application/problem+json") {
        problem = JSON.parse(text);
        reason = problem.detail;
        mayPass = problem.retry;
        inDoubt ||= problem.written !== "nothing";
      } else {
        // not from Polylog: something between
        reason = `status ${answer.status}`;
        mayPass = [502, 503, 504].includes(answer.status);
        inDoubt = true;
      }
    } catch (error) {
      reason = String(error.cause ?? error);
      // Cut off, or no answer: perhaps it was written. Only of a connection that was never made nothing is.
      inDoubt ||= error.cause?.code !== "ECONNREFUSED";
    }
    // Of a conflict nothing was written, by earlier tries neither: ids are looked up before versions are compared. It is
    // never tried again as it is: what it was decided on has changed.
    if (["version_conflict", "id_conflict"].includes(problem?.code)) throw new Refused(problem);
    const wait = Math.max(atLeast, backoff.next());
    if (!mayPass || Date.now() + wait >= ends) {
      throw problem && !inDoubt ? new Refused(problem) : new OutcomeUnknown(body, reason);
    }
    await sleep(wait);
  }
}

/** Asks until there is an answer, for as long as an append may take: reads change nothing. */
async function get(path) {
  const ends = Date.now() + DEADLINE;
  const backoff = new Backoff();
  while (true) {
    let failure;
    try {
      const [answer, text] = await attempt(path, {}, 6000);
      if (answer.ok) return JSON.parse(text);
      failure = new Refused(JSON.parse(text));
    } catch (error) {
      failure = error;
    }
    const wait = backoff.next();
    if (failure.problem?.retry === false || Date.now() + wait >= ends) throw failure;
    await sleep(wait);
  }
}

/** All events of a stream, page by page; none if it does not exist. */
async function* read(stream) {
  for (let from = 1, atEnd = false; !atEnd; ) {
    let page;
    try {
      page = await get(`streams/${encodeURIComponent(stream)}?from=${from}&limit=100`);
    } catch (error) {
      if (error.code === "stream_not_found") return;
      throw error;
    }
    yield* page.events;
    ({ nextFrom: from, atEnd } = page);
  }
}

/** The frames of server-sent events: {id, event, data}. */
async function* frames(body) {
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of body) {
    text += decoder.decode(piece, { stream: true });
    for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
      const lines = text.slice(0, end).split("\n").map((line) => line.match(/^(\w+): ?(.*)$/));
      const frame = Object.fromEntries(lines.filter(Boolean).map(([, name, value]) => [name, value]));
      yield frame; // a heartbeat is a frame without fields
    }
  }
}

/** Events of some categories for ever, beginning after `place`, with the place to go on from. Reconnects. */
async function* follow(place, categories) {
  let backoff = new Backoff();
  while (true) {
    // A heartbeat comes each 15 s: 30 s of silence means that the connection is dead.
    const dead = new AbortController();
    let watch = setTimeout(() => dead.abort(), 30_000);
    try {
      const query = new URLSearchParams({ from: "beginning", categories });
      const headers = place ? { "Last-Event-ID": place } : {};
      const answer = await fetch(`${URL_V1}/subscribe?${query}`, { headers, signal: dead.signal });
      if (!answer.ok) throw new Refused(await answer.json());
      for await (const { id, event, data } of frames(answer.body)) {
        watch.refresh();
        if (event === "error") throw new Refused(JSON.parse(data));
        if (!id) continue;
        place = id;
        backoff = new Backoff();
        // Marks move the place too, past events that are not shown.
        yield { place, event: event === "event" ? JSON.parse(data) : undefined };
      }
    } catch (error) {
      if (error.problem?.retry === false) throw error;
      // else connect again with the last place
    } finally {
      clearTimeout(watch);
      dead.abort();
    }
    await sleep(backoff.next());
  }
}

function pay(payment, amount) {
  const event = { type: "PaymentProcessed", data: { amount, currency: "EUR" } };
  return append(`Payment-${payment}`, "noStream", [event]);
}

const cents = (amount) => Math.round(Number(amount) * 100);

async function refund(payment, amount) {
  while (true) {
    let left = 0;
    let version = 0;
    for await (const event of read(`Payment-${payment}`)) {
      version = event.version;
      if (event.type === "PaymentProcessed") left += cents(event.data.amount);
      if (event.type === "PaymentRefunded") left -= cents(event.data.refundAmount);
    }
    if (cents(amount) > left) throw new Error(`refused: ${(left / 100).toFixed(2)} is left of the payment`);
    try {
      const event = { type: "PaymentRefunded", data: { refundAmount: amount } };
      return await append(`Payment-${payment}`, version, [event]);
    } catch (error) {
      if (error.code !== "version_conflict") throw error;
      console.error("somebody was faster: reading again");
    }
  }
}

async function printFollowing(file, count = Infinity) {
  const last = existsSync(file) ? readFileSync(file, "utf8") : undefined;
  for await (const { place, event } of follow(last, "Payment")) {
    if (event) console.log(event.position, event.stream, event.version, event.type);
    // Kept after what it stands for is done: a crash in between repeats one event, none is lost. Where a database takes
    // what you derive, keep the place in the same transaction, and nothing is repeated either.
    writeFileSync(`${file}.new`, place);
    renameSync(`${file}.new`, file);
    if (event && --count === 0) return;
  }
}

const [command, ...args] = process.argv.slice(2);
try {
  if (command === "pay" || command === "refund") {
    const { lastVersion, repeated } = await { pay, refund }[command](...args);
    console.log(`version ${lastVersion}${repeated ? " (an earlier try had written it)" : ""}`);
  } else if (command === "show") {
    for await (const { version, type, data } of read(`Payment-${args[0]}`)) console.log(version, type, JSON.stringify(data));
  } else if (command === "follow") {
    await printFollowing(args[0], args[1] && Number(args[1]));
  } else {
    console.error("pay, refund, show or follow?");
    process.exitCode = 2;
  }
} catch (error) {
  const word = error instanceof OutcomeUnknown ? "unknown: " : error instanceof Refused ? "refused: " : "";
  console.error(word + error.message);
  process.exitCode = error instanceof OutcomeUnknown ? 4 : 1;
}
