#!/usr/bin/env node
// The same over gRPC, with @grpc/grpc-js and the project's protos: see README.md.
//
//   payments-grpc.mjs pay p1 100.00
//   payments-grpc.mjs refund p1 30.00
//   payments-grpc.mjs show p1
//   payments-grpc.mjs follow place.txt
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";
import protobuf from "protobufjs";

const ADDRESS = (process.env.POLYLOG_URL ?? "http://127.0.0.1:7300").replace("http://", "");
const DEADLINE = 1000 * Number(process.env.POLYLOG_DEADLINE ?? 10); // milliseconds for an append with all its tries
const PROTOS = process.env.POLYLOG_PROTOS ?? fileURLToPath(new URL("../../../crates/api/proto", import.meta.url));

// Positions and versions stay below 2^53: as numbers they are exact.
const loaded = protoLoader.loadSync("polylog/v1/events.proto", { includeDirs: [PROTOS], longs: Number, oneofs: true });
const { Events } = grpc.loadPackageDefinition(loaded).polylog.v1;
// gRPC's own retries are left off: this program knows better when a try may follow.
const store = new Events(ADDRESS, grpc.credentials.createInsecure(), {
  "grpc.enable_retries": 0,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 2000,
  "grpc.keepalive_time_ms": 20_000,
  "grpc.keepalive_timeout_ms": 10_000,
});

const root = new protobuf.Root();
root.resolvePath = (_, path) => (path.startsWith("google/protobuf/") ? path : `${PROTOS}/${path}`);
root.loadSync(["polylog/v1/errors.proto", "google/rpc/status.proto"]);
const [RpcStatus, ErrorDetail] = ["google.rpc.Status", "polylog.v1.ErrorDetail"].map((name) => root.lookupType(name));

/** What the store says of a failure; undefined where the failure is not the store's. */
function detailOf(error) {
  const [status] = error.metadata?.get("grpc-status-details-bin") ?? [];
  const [detail] = status ? RpcStatus.decode(status).details : [];
  return detail && ErrorDetail.toObject(ErrorDetail.decode(detail.value), { longs: Number, enums: String, defaults: true });
}

/** The store refused; `code` is the word to branch on. */
class Refused extends Error {
  constructor(detail) {
    super(`${detail.code}: ${detail.message}; ${detail.nextStep}`);
    Object.assign(this, { detail, code: detail.code });
  }
}

/** The events may be written, now or later. To find out, send the very same `request` again. */
class OutcomeUnknown extends Error {
  constructor(request, reason) {
    super(`it is not known whether the events were written: ${reason}`);
    this.request = request;
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

const PASSING = [grpc.status.UNAVAILABLE, grpc.status.DEADLINE_EXCEEDED, grpc.status.CANCELLED];
const mayPass = (error, detail) => (detail ? detail.retry : PASSING.includes(error.code));

/** Appends events to a stream that must be as expected. Tries again until the deadline. */
function append(stream, expected, events) {
  // Ids are made once, before the first try: the store recognises them, so that no try writes a second time.
  return send({ appends: [{ stream, expected, events: events.map((event) => ({ id: randomUUID(), ...event })) }] });
}

async function send(request) {
  const ends = Date.now() + DEADLINE;
  const backoff = new Backoff();
  let inDoubt = false;
  while (true) {
    const deadline = Math.min(ends, Date.now() + 6000);
    const [error, answer] = await new Promise((done) => {
      store.append(request, { deadline }, (error, answer) => done([error, answer]));
    });
    if (!error) return answer;
    const detail = detailOf(error);
    // Of a conflict nothing was written, by earlier tries neither: ids are looked up before versions are compared. It is
    // never tried again as it is: what it was decided on has changed.
    if (["version_conflict", "id_conflict"].includes(detail?.code)) throw new Refused(detail);
    // A failure without a detail is the connection's or the deadline's: perhaps it was written.
    inDoubt ||= detail?.written !== "WRITTEN_NOTHING";
    const { seconds = 0, nanos = 0 } = detail?.retryAfter ?? {};
    const wait = Math.max(seconds * 1000 + nanos / 1e6, backoff.next());
    if (!mayPass(error, detail) || Date.now() + wait >= ends) {
      throw detail && !inDoubt ? new Refused(detail) : new OutcomeUnknown(request, error.details);
    }
    await sleep(wait);
  }
}

/** All events of a stream, in one call that goes on where it was cut; none if the stream does not exist. */
async function* read(stream) {
  const backoff = new Backoff();
  for (let from = 1; ; ) {
    try {
      for await (const { event, end } of store.readStream({ stream, from }, { deadline: Date.now() + 30_000 })) {
        if (event) {
          from = event.version + 1;
          yield event;
        }
        if (end) return; // without it, the answer was cut off
      }
    } catch (error) {
      const detail = detailOf(error);
      if (detail?.code === "stream_not_found") return;
      if (!mayPass(error, detail) || backoff.wait >= 2000) throw detail ? new Refused(detail) : error;
    }
    await sleep(backoff.next());
  }
}

/** Events of some categories for ever, beginning after `token`, with the token to go on from. Reconnects. */
async function* follow(token, categories) {
  let backoff = new Backoff();
  let position = 0; // the last that was handed out
  while (true) {
    const call = store.subscribe({ ...(token ? { token } : { beginning: true }), filter: { categories } });
    try {
      for await (const { frame, ...frames } of call) {
        backoff = new Backoff();
        if (frame !== "event") {
          ({ token } = frames[frame]);
          yield { token };
        } else if (frames.event.position > position) {
          // Only marks have tokens: after a cut, events since the last mark come once more, and are passed over.
          ({ position } = frames.event);
          yield { event: frames.event };
        }
      }
    } catch (error) {
      const detail = detailOf(error);
      if (!mayPass(error, detail)) throw detail ? new Refused(detail) : error;
    } finally {
      call.on("error", () => {}); // that it was cancelled here is no failure
      call.cancel();
    }
    await sleep(backoff.next());
  }
}

const eventOf = (type, data) => ({ type, data: Buffer.from(JSON.stringify(data)) });
const dataOf = (event) => JSON.parse(event.data.toString());
const cents = (amount) => Math.round(Number(amount) * 100);

function pay(payment, amount) {
  return append(`Payment-${payment}`, { noStream: true }, [eventOf("PaymentProcessed", { amount, currency: "EUR" })]);
}

async function refund(payment, amount) {
  while (true) {
    let left = 0;
    let version = 0;
    for await (const event of read(`Payment-${payment}`)) {
      ({ version } = event);
      if (event.type === "PaymentProcessed") left += cents(dataOf(event).amount);
      if (event.type === "PaymentRefunded") left -= cents(dataOf(event).refundAmount);
    }
    if (cents(amount) > left) throw new Error(`refused: ${(left / 100).toFixed(2)} is left of the payment`);
    try {
      return await append(`Payment-${payment}`, { version }, [eventOf("PaymentRefunded", { refundAmount: amount })]);
    } catch (error) {
      if (error.code !== "version_conflict") throw error;
      console.error("somebody was faster: reading again");
    }
  }
}

async function printFollowing(file, count = Infinity) {
  const place = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { position: 0 };
  for await (const { event, token } of follow(place.token, ["Payment"])) {
    if (event && event.position <= place.position) continue; // printed by the run before
    if (event) console.log(event.position, event.stream, event.version, event.type);
    Object.assign(place, event ? { position: event.position } : { token });
    // Kept after what it stands for is done: a crash in between repeats one event, none is lost. Where a database takes
    // what you derive, keep the place in the same transaction, and nothing is repeated either.
    writeFileSync(`${file}.new`, JSON.stringify(place));
    renameSync(`${file}.new`, file);
    if (event && --count === 0) return;
  }
}

const [command, ...args] = process.argv.slice(2);
try {
  if (command === "pay" || command === "refund") {
    const { results, repeatedRequest } = await { pay, refund }[command](...args);
    console.log(`version ${results[0].lastVersion}${repeatedRequest ? " (an earlier try had written it)" : ""}`);
  } else if (command === "show") {
    for await (const { version, type, data } of read(`Payment-${args[0]}`)) console.log(version, type, data.toString());
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
store.close();
