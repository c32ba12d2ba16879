"""Reads what the pieces left, and makes medians and quartiles of their rounds."""
import json
from pathlib import Path

SIDES = {
    "grpc": "Polylog, gRPC",
    "http": "Polylog, HTTP",
    "raw": "raw",
    "message-db": "message-db",
    "umadb": "UmaDB",
}


def quartiles(values):
    """The values at a quarter, a half and three quarters, between two of them if need be; none where there are none."""
    values = sorted(value for value in values if value is not None)
    if not values:
        return None

    def at(quarter):
        place = (len(values) - 1) * quarter / 4
        below = int(place)
        above = min(below + 1, len(values) - 1)
        return values[below] + (values[above] - values[below]) * (place - below)

    return [at(quarter) for quarter in (1, 2, 3)]


def middle(values):
    """The median; none where there are none."""
    found = quartiles(values)
    return found and found[1]


def collect(folder):
    """All figures in the folder, as they are published."""
    pieces, memory = [], []
    for path in sorted(Path(folder).glob("*.json")):
        content = json.loads(path.read_text())
        if "role" in content:
            memory.append(content)
        else:
            pieces.append(content)
    if not pieces and not memory:
        raise SystemExit(f"no figures in {folder}")
    figures = {
        "builds": sorted({piece["build"] for piece in pieces}),
        "processors": max((piece["processors"] for piece in pieces), default=None),
        "window_seconds": max((piece["window_seconds"] for piece in pieces), default=None),
        "servers": {},
        "peers": {},
        "appends": [],
        "reads": [],
        "memory": memory,
    }
    for piece in pieces:
        figures["servers"][engine_of(piece)] = piece["server"]
        figures["peers"].update(piece["peers"])
        figures["appends"].extend(appends(piece))
        figures["reads"].extend(reads(piece))
    figures["appends"].sort(key=lambda case: (case["piece"].split("/")[0], case["events"], case["clients"], case["log"]))
    return rounded(figures)


def engine_of(piece):
    return piece["piece"].split("/")[0].removesuffix("-slow")


def appends(piece):
    """A case for each log and load."""
    groups = {}
    for one in piece["rounds"]:
        groups.setdefault((one["log"], one["clients"], one["events"]), []).append(one)
    for (log, clients, events), rounds in groups.items():
        yield {
            "piece": piece["piece"],
            "engine": engine_of(piece),
            "added_to_fsync_ms": piece["added_to_fsync_ms"],
            "log": log,
            "clients": clients,
            "events": events,
            "stored": middle(one["stored"] for one in rounds),
            "rounds": len(rounds),
            "sides": {name: side(rounds, name) for name in SIDES if name in rounds[0]["sides"]},
        }


def side(rounds, name):
    """What one side did in all rounds; ratios are those of each round."""
    all_sides = [one["sides"][name] for one in rounds]
    of = lambda key: middle(one[key] for one in all_sides)
    return {
        "rate": quartiles(one["rate"] for one in all_sides),
        "grpc_to_it": quartiles(one["sides"]["grpc"]["rate"] / one["sides"][name]["rate"] for one in rounds),
        "p50_ms": of("p50_ms"),
        "p99_ms": of("p99_ms"),
        "micros": micros(all_sides),
        "in_a_transaction": of("in_a_transaction"),
        "resident": of("resident"),
    }


def micros(windows):
    return {who: middle(window["micros"][who] for window in windows) for who in ("sidecar", "database", "client")}


def reads(piece):
    groups = {}
    for one in piece["reads"]:
        groups.setdefault((one["what"], one["by"]), []).append(one)
    for (what, by), times in groups.items():
        yield {
            "engine": engine_of(piece),
            "what": what,
            "by": by,
            "events": middle(one["events"] for one in times),
            "times": len(times),
            "rate": quartiles(one["rate"] for one in times),
            "micros": micros(times),
        }


def rounded(value):
    """Numbers with as many digits as anybody can want."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return value


def find(figures, piece, log="small", clients=None, events=None):
    """The case of a piece; none where it was not measured."""
    for case in figures["appends"]:
        load = (clients or case["clients"], events or case["events"])
        if case["piece"] == piece and case["log"] == log and (case["clients"], case["events"]) == load:
            return case
    return None
