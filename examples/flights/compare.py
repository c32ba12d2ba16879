#!/usr/bin/env python3
"""Compares an export with the file that was imported, event by event.

    python3 compare.py flights.ndjson exported.ndjson

Every event must be there once: same stream, type, time and data, byte for byte; versions 1..n and rising positions
in each stream, in the order of the input.
"""
import json, re, sys

DATA = re.compile(rb'"data":(\{.*?\}),"(?:time|contentType)":')


def data_bytes(line):
    return DATA.search(line).group(1)


def main(imported, exported):
    expected = {}
    with open(imported, "rb") as lines:
        for line in lines:
            event = json.loads(line)
            row = (event["type"], event["time"], data_bytes(line))
            expected.setdefault(event["stream"], []).append(row)

    count, position = 0, 0
    seen = dict.fromkeys(expected, 0)
    with open(exported, "rb") as lines:
        for line in lines:
            event = json.loads(line)
            stream, version = event["stream"], event["version"]
            if event["position"] <= position:
                sys.exit(f"position {event['position']} comes after {position}")
            position = event["position"]
            if stream not in expected or version != seen[stream] + 1 or version > len(expected[stream]):
                sys.exit(f"unexpected event: stream {stream} version {version} at position {position}")
            row = (event["type"], event["time"], data_bytes(line))
            if row != expected[stream][version - 1]:
                sys.exit(f"stream {stream} version {version}: expected {expected[stream][version - 1]}, got {row}")
            seen[stream] = version
            count += 1

    missing = {stream: (seen[stream], len(rows)) for stream, rows in expected.items() if seen[stream] != len(rows)}
    if missing:
        sys.exit(f"{len(missing)} streams are incomplete, such as {next(iter(missing.items()))}")
    print(f"{count} events in {len(expected)} streams are the same")


if __name__ == "__main__":
    main(*sys.argv[1:])
