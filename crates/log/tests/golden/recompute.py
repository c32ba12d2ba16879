#!/usr/bin/env python3
"""Computes the golden vectors of the stored format with Python's own SHA-256, HMAC and UUIDs.

    python3 recompute.py          prints them
    python3 recompute.py --check  fails unless v1.json holds exactly these

An implementation of its own: it shares no code with the crate whose tests read v1.json.
"""
import base64, hashlib, hmac, json, pathlib, struct, sys, uuid

FILE = pathlib.Path(__file__).with_name("v1.json")
LOG = uuid.UUID("0198f2c0-0000-7000-8000-000000000001")


def number(n):
    return struct.pack("<Q", n)


def time(micros):
    return struct.pack("<q", micros)


def field(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(value)) + value


def optional(value, encode=field):
    return b"\0" if value is None else b"\1" + encode(value)


def hash128(*parts):
    return hashlib.sha256(b"".join(parts)).digest()[:16]


def commit_id(ids):
    parts = [b"polylog v1 commit", number(len(ids))] + [field(i.bytes) for i in ids]
    raw = bytearray(hash128(*parts))
    raw[:6] = ids[0].bytes[:6]
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    return uuid.UUID(bytes=bytes(raw))


def from_key(operation, scope, key, index=None):
    """UUIDv5 of bytes: the standard library's takes text only."""
    name = b"polylog v1 key" + field(operation) + field(scope) + field(key)
    name += optional(None if index is None else number(index))
    raw = bytearray(hashlib.sha1(LOG.bytes + name).digest()[:16])
    raw[6] = raw[6] & 0x0F | 0x50
    raw[8] = raw[8] & 0x3F | 0x80
    return uuid.UUID(bytes=bytes(raw))


def fingerprint(appends):
    parts = [b"polylog v1 fingerprint", number(len(appends))]
    for append in appends:
        parts += [field(append["stream"]), number(len(append["events"]))]
        for event in append["events"]:
            parts += [
                field(uuid.UUID(event["id"]).bytes),
                field(event["type"]),
                field(event["contentType"]),
                field(hashlib.sha256(base64.b64decode(event["data"])).digest()),
                optional(event["metadata"]),
                optional(event["correlationId"]),
                optional(event["causationId"]),
                optional(event["time"], time),
            ]
    return hmac.new(LOG.bytes, b"".join(parts), hashlib.sha256).digest()[:16]


def digest(event):
    return hash128(
        b"polylog v1 event",
        number(0),
        number(event["position"]),
        field(event["stream"]),
        field(event["category"]),
        field(event["aggregateId"]),
        number(event["version"]),
        field(uuid.UUID(event["id"]).bytes),
        field(event["type"]),
        field(bytes.fromhex(event["dataDigest"])),
        field(event["contentType"]),
        optional(event["metadata"]),
        optional(event["correlationId"]),
        optional(event["causationId"]),
        time(event["time"]),
        time(event["recordedAt"]),
        number(event["first"]),
        number(event["last"]),
        field(uuid.UUID(event["commitId"]).bytes),
    )


def chain(previous, term, print_, digests):
    parts = [b"polylog v1 entry", field(previous), number(term), field(print_), number(len(digests))]
    return hash128(*parts, *[field(d) for d in digests])


def new_event(n, data, **others):
    event = {"id": str(uuid.UUID(int=n)), "type": "Paid", "data": base64.b64encode(data).decode(),
             "contentType": "application/json", "metadata": None, "correlationId": None, "causationId": None, "time": None}
    return event | others


CLOCK = 1_795_255_200_000_000
COMMITS = [
    [{"stream": "Payment-p1", "events": [new_event(1, b'{"amount":"100.00"}')]}],
    [
        {"stream": "Payment-p1", "events": [
            new_event(2, b'{"b":1e400,"a":-0,"a":9007199254740993,"s":"\\ud800\\u0000"}', type="App\\Paid",
                      metadata='{"z":1,"a":2}', correlationId="c", causationId="", time=-1)]},
        {"stream": "été", "events": [
            new_event(3, b"\x00\xff", contentType="application/octet-stream", metadata="{}", time=0),
            new_event(4, b"")]},
    ],
]


def vectors():
    versions, position, previous, entries = {}, 0, hash128(b"polylog v1 entry", field(LOG.bytes)), []
    start = previous.hex()
    for appends in COMMITS:
        ids = [uuid.UUID(event["id"]) for append in appends for event in append["events"]]
        first, last, commit, print_ = position + 1, position + len(ids), commit_id(ids), fingerprint(appends)
        events = []
        for append in appends:
            stream = append["stream"]
            category, _, aggregate = stream.partition("-")
            for event in append["events"]:
                position += 1
                versions[stream] = versions.get(stream, 0) + 1
                recorded = {
                    "position": position, "stream": stream, "category": category, "aggregateId": aggregate or stream,
                    "version": versions[stream], "id": event["id"], "type": event["type"],
                    "dataDigest": hashlib.sha256(base64.b64decode(event["data"])).hexdigest(),
                    "contentType": event["contentType"], "metadata": event["metadata"],
                    "correlationId": event["correlationId"], "causationId": event["causationId"],
                    "time": CLOCK if event["time"] is None else event["time"], "recordedAt": CLOCK,
                    "first": first, "last": last, "commitId": str(commit),
                }
                events.append(recorded | {"digest": digest(recorded).hex()})
        previous = chain(previous, 1, print_, [bytes.fromhex(event["digest"]) for event in events])
        entries.append({"appends": appends, "fingerprint": print_.hex(), "events": events, "chain": previous.hex()})
    return {
        "log": str(LOG), "clock": CLOCK, "term": 1, "start": start, "entries": entries,
        "key": {"operation": "append", "scope": "shop/checkout", "key": "k1",
                "commitId": str(from_key("append", "shop/checkout", "k1")),
                "eventId": str(from_key("append", "shop/checkout", "k1", 0))},
    }


if __name__ == "__main__":
    text = json.dumps(vectors(), indent=1, ensure_ascii=False) + "\n"
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if FILE.read_text() == text else f"{FILE.name} differs from what the format says")
    print(text, end="")
