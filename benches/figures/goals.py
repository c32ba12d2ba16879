"""What the figures are meant to be, and what they are."""
from .results import find


def ratio(figures, piece, to):
    case = find(figures, piece)
    return case and case["sides"].get(to) and case["sides"][to]["grpc_to_it"][1]


def patience(figures):
    """One client's p50, compared with the raw transaction's, and a fifth of a millisecond."""
    case = find(figures, "postgres/1x1")
    if case is None:
        return None
    return case["sides"]["grpc"]["p50_ms"] / (1.25 * case["sides"]["raw"]["p50_ms"] + 0.2)


def growth(figures, engine, clients, events):
    found = [find(figures, f"{engine}/large", log, clients, events) for log in ("large", "small")]
    if None in found:
        return None
    large, small = (case["sides"]["raw"]["grpc_to_it"][1] for case in found)
    return large / small


def reading(figures, engine):
    rates = [
        read["rate"][1]
        for read in figures["reads"]
        if (read["engine"], read["what"], read["by"]) == (engine, "the log", "Polylog, gRPC")
    ]
    return rates[0] if rates else None


def goals(figures):
    """Name, value, least, most."""
    yield "PostgreSQL, 32 clients: gRPC to message-db", ratio(figures, "postgres/32x1", "message-db"), 1.5, None
    yield "PostgreSQL, 128 clients: gRPC to message-db", ratio(figures, "postgres/128x1", "message-db"), 3, None
    for clients in (8, 32, 128):
        yield f"PostgreSQL, {clients} clients: gRPC to raw", ratio(figures, f"postgres/{clients}x1", "raw"), 0.6, None
    yield "PostgreSQL, 1 client: p50 to 1.25 × raw + 0.2 ms", patience(figures), None, 1
    yield "PostgreSQL, slow disk, 32 clients: gRPC to message-db", ratio(figures, "postgres-slow/32x1", "message-db"), 1.4, None
    yield "PostgreSQL: the log over gRPC, events/s", reading(figures, "postgres"), 100_000, None
    for engine, name in (("postgres", "PostgreSQL"), ("mariadb", "MariaDB")):
        for clients, events in ((32, 1), (128, 1), (8, 50)):
            value = growth(figures, engine, clients, events)
            yield f"{name}, {clients} × {events}: the ratio to raw on a large log to that on a small one", value, 0.9, 1.1


def told(figures):
    """A line for each."""
    lines = []
    for name, value, least, most in goals(figures):
        bounds = " ".join(f"{word} {bound:g}" for word, bound in (("≥", least), ("≤", most)) if bound is not None)
        if value is None:
            lines.append(f"not measured  {name} ({bounds})")
            continue
        met = (least is None or value >= least) and (most is None or value <= most)
        lines.append(f"{'met' if met else 'MISSED':12}  {name}: {value:,.2f} ({bounds})")
    return "\n".join(lines)
