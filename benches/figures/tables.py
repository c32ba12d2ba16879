"""The tables, in Markdown."""
from textwrap import fill

from .results import SIDES, find

ENGINES = ("postgres", "mariadb")
RATE_OF = {"raw": "raw", "message-db": "message-db", "umadb": "UmaDB"}


def markdown(head, rows):
    lines = ["| " + " | ".join(line) + " |" for line in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def whole(number):
    return "–" if number is None else f"{number:,.0f}"


def millis(number):
    return "–" if number is None else f"{number:.2f}"


def spread(values):
    """A median with its quartiles."""
    return "–" if values is None else f"{values[1]:.2f} ({values[0]:.2f}–{values[2]:.2f})"


def micros(values):
    shown = (values[who] for who in ("sidecar", "database", "client"))
    return " + ".join("–" if value is None else f"{value:.0f}" for value in shown)


def load(case):
    return f"{case['clients']} × {case['events']}"


def sides_of(cases):
    return [name for name in SIDES if any(name in case["sides"] for case in cases)]


def of(case, name, key):
    return case["sides"].get(name, {}).get(key)


def cases_of(figures, group):
    """Those of appends on a small log beside others: `postgres`, `postgres-slow`, …"""
    return [case for case in figures["appends"] if case["piece"] == f"{group}/{load(case).replace(' × ', 'x')}"]


def rates(cases):
    sides = sides_of(cases)
    others = [name for name in RATE_OF if name in sides]
    head = ["clients × events", *(SIDES[name] for name in sides), *(f"gRPC to {RATE_OF[name]}" for name in others)]
    rows = []
    for case in cases:
        shown = [whole((of(case, name, "rate") or [None] * 3)[1]) for name in sides]
        rows.append([load(case), *shown, *(spread(of(case, name, "grpc_to_it")) for name in others)])
    return markdown(head, rows)


def latencies(cases):
    sides = sides_of(cases)
    head = ["clients × events", *(f"{SIDES[name]}: p50, p99" for name in sides)]
    rows = [
        [load(case), *(f"{millis(of(case, name, 'p50_ms'))}, {millis(of(case, name, 'p99_ms'))}" for name in sides)]
        for case in cases
    ]
    return markdown(head, rows)


def costs(cases):
    sides = sides_of(cases)
    head = ["clients × events", "events in a transaction", *(SIDES[name] for name in sides), "resident: sidecar"]
    if "umadb" in sides:
        head.append("UmaDB")
    rows = []
    for case in cases:
        costs = [micros(case["sides"][name]["micros"]) if name in case["sides"] else "–" for name in sides]
        row = [load(case), f"{of(case, 'grpc', 'in_a_transaction'):.1f}", *costs, resident(case, "grpc")]
        rows.append(row + ([resident(case, "umadb")] if "umadb" in sides else []))
    return markdown(head, rows)


def resident(case, name):
    found = of(case, name, "resident")
    return "–" if found is None else f"{found / 1e6:.0f} MB"


def in_turn(figures, engine):
    """The small log and the large one."""
    head = ["clients × events", "events stored", "Polylog, gRPC", "raw", "gRPC to raw", "p50, p99", "large to small"]
    rows = []
    piece = f"{engine}/large"
    for case in figures["appends"]:
        if case["piece"] != piece:
            continue
        ratio = of(case, "raw", "grpc_to_it")
        compared = "–"
        if case["log"] == "large":
            small = find(figures, piece, "small", case["clients"], case["events"])
            compared = f"{ratio[1] / of(small, 'raw', 'grpc_to_it')[1]:.2f}"
        rows.append(
            [
                load(case),
                whole(case["stored"]),
                whole(of(case, "grpc", "rate")[1]),
                whole(of(case, "raw", "rate")[1]),
                spread(ratio),
                f"{millis(of(case, 'grpc', 'p50_ms'))}, {millis(of(case, 'grpc', 'p99_ms'))}",
                compared,
            ]
        )
    rows.sort(key=lambda row: [int(number) for number in row[0].split(" × ")][::-1])
    return markdown(head, rows) if rows else ""


def reads(figures, engine):
    head = ["read", "by", "events", "events/s", "µs of processor an event: sidecar + database + client"]
    found = [read for read in figures["reads"] if read["engine"] == engine]
    found.sort(key=lambda read: read["what"], reverse=True)
    rows = [
        [
            read["what"],
            read["by"],
            whole(read["events"]),
            f"{whole(read['rate'][1])} ({whole(read['rate'][0])}–{whole(read['rate'][2])})",
            micros(read["micros"]),
        ]
        for read in found
    ]
    return markdown(head, rows) if rows else ""


def memory(figures):
    head = ["role", "idle, MB", "loaded, MB at most", "events appended meanwhile", "received by subscribers"]
    rows = [
        [
            f"`{one['role']}`",
            f"{one['idle'] / 1e6:.1f}",
            f"{one['loaded'] / 1e6:.1f}",
            whole(one["appended"]),
            whole(one["received"]),
        ]
        for one in figures["memory"]
    ]
    return markdown(head, rows) if rows else ""


def readme(figures):
    """The few that a reader looks for first."""
    head = [
        "one event an append",
        "events/s",
        *(f"to {name}" for name in RATE_OF.values()),
        "p50, p99, ms",
        "µs of processor an event: sidecar + database + clients",
        "resident: sidecar",
    ]
    rows = []
    for engine in ENGINES:
        for clients in (1, 32, 128):
            case = find(figures, f"{engine}/{clients}x1")
            if case:
                ratios = (of(case, name, "grpc_to_it") for name in RATE_OF)
                rows.append(
                    [
                        f"{short(figures, engine)}, {clients} {'client' if clients == 1 else 'clients'}",
                        whole(of(case, "grpc", "rate")[1]),
                        *("–" if ratio is None else f"{ratio[1]:.2f}" for ratio in ratios),
                        f"{millis(of(case, 'grpc', 'p50_ms'))}, {millis(of(case, 'grpc', 'p99_ms'))}",
                        micros(of(case, "grpc", "micros")),
                        resident(case, "grpc"),
                    ]
                )
    for engine in ENGINES:
        by = {read["by"]: read for read in figures["reads"] if (read["engine"], read["what"]) == (engine, "the log")}
        if own := by.get("Polylog, gRPC"):
            others = (by.get(name) for name in RATE_OF.values())
            ratios = ("–" if other is None else f"{own['rate'][1] / other['rate'][1]:.2f}" for other in others)
            name = f"{short(figures, engine)}, reading the log"
            rows.append([name, whole(own["rate"][1]), *ratios, "–", micros(own["micros"]), "–"])
    return markdown(head, rows) if rows else ""


def short(figures, engine):
    """A server's name, with the first number of its version."""
    return figures["servers"][engine].split(".")[0]


def conditions(figures):
    """One line: which build, which versions, how long."""
    if not figures["appends"]:
        return ""
    versions = [*figures["servers"].values(), *(f"{name} {version}" for name, version in figures["peers"].items())]
    counts = sorted({case["rounds"] for case in figures["appends"]}) or [0]
    rounds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    processors = figures["processors"]
    return fill(
        f"Measured: build {', '.join(figures['builds'])}; {', '.join(versions)}; {processors} processors for sidecar, "
        f"database and clients together; medians of {rounds} rounds of {figures['window_seconds']:g} s windows, quartiles "
        "in brackets.",
        120,
    )


def sections(figures):
    """Every table, by the name of the place where it stands."""
    made = {"conditions": conditions(figures), "memory": memory(figures), "readme": readme(figures)}
    for engine in ENGINES:
        for group, kinds in ((engine, (rates, latencies, costs)), (f"{engine}-slow", (rates, latencies))):
            cases = cases_of(figures, group)
            for kind in kinds:
                made[f"{group} {kind.__name__}"] = kind(cases) if cases else ""
        drawn = any(cases_of(figures, engine))
        made[f"{engine} picture"] = f"![{figures['servers'].get(engine)}](images/performance-{engine}.svg)" if drawn else ""
        made[f"{engine} sizes"] = in_turn(figures, engine)
        made[f"{engine} reads"] = reads(figures, engine)
    return made
