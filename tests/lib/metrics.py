#!/usr/bin/env python3
"""Reads /metrics with Prometheus' own parser, in both formats, and compares it with the catalogue in the book.

    metrics.py <address of the store> <address of the admin port>
"""
import json, pathlib, re, sys, urllib.error, urllib.request

from prometheus_client import parser
from prometheus_client.openmetrics import parser as open_metrics

store, admin = sys.argv[1:]
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN = "text/plain; version=0.0.4; charset=utf-8"
# Those that need what this test does not make: mounted configuration, a collector, an outcome that is not known, a
# schema that only warns, gRPC, a second source, thresholds of alerts. Other tests do.
ABSENT = {"polylog_configuration_changes", "polylog_configuration_in_force", "polylog_store_open", "polylog_trace_spans",
          "polylog_outcome_unknown", "polylog_schema_warnings", "polylog_grpc_requests",
          "polylog_grpc_request_duration_seconds", "polylog_replication_lag_events", "polylog_replication_lag_seconds",
          "polylog_alert_lag_events", "polylog_alert_lag_seconds", "polylog_quarantined_events",
          "polylog_source_primary", "polylog_source_votes", "polylog_source_stalled_position"}
# Another program's, whose tests compare them.
OPERATORS = ("polylog_operator_", "polylog_webhook_")


def call(path, body=None):
    request = urllib.request.Request(store + path, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, json.dumps(body).encode() if body else None) as answer:
            return answer.read()
    except urllib.error.HTTPError as refused:
        return refused.read()


def metrics(accept):
    with urllib.request.urlopen(urllib.request.Request(admin + "/metrics", headers={"Accept": accept})) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def exercise(number):
    event = {"type": "PaymentProcessed", "data": {"amount": "1.00"}}
    for expected in ("noStream", "noStream", 1):  # the second is refused
        call(f"/v1/streams/Payment-{number}", {"expectedVersion": expected, "events": [event]})
    call(f"/v1/streams/Payment-{number}")
    call("/v1/events?limit=5")
    call("/v1/subscribe?from=beginning&until=4")
    call("/v1/nothing")


def check(what, ok, *shown):
    if not ok:
        sys.exit(f"{what}: {shown}")


def families_of(accept, content_type, parse):
    got, text = metrics(accept)
    check("the content type is negotiated", got == content_type, accept, got)
    return {family.name: family for family in parse(text)}


def documented():
    """The rows of the book's table: name of the samples -> type, labels, unit."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]+) \| ([^|]+) \|", pathlib.Path("docs/metrics.md").read_text(), re.M)
    check("the book has a table", len(rows) > 20, rows)
    return {name: (kind, re.findall(r"`(\w+)`", labels), unit.replace("–", "").strip()) for name, kind, labels, unit in rows}


exercise(1)
before = families_of("application/openmetrics-text", OPEN_METRICS, open_metrics.text_string_to_metric_families)
for number in range(2, 30):
    exercise(number)
prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
after = families_of(prometheus, OPEN_METRICS, open_metrics.text_string_to_metric_families)
older = families_of("*/*", PLAIN, parser.text_string_to_metric_families)
check("both formats tell the same metrics", {name for name in after} == {name.removesuffix("_info") for name in older},
      set(after) ^ set(older))

book = documented()
names = {re.sub("_(total|info)$", "", name) if kind in ("counter", "info") else name: (kind, labels, unit)
         for name, (kind, labels, unit) in book.items() if not name.startswith(OPERATORS)}
check("no metric that the book does not have", set(after) <= set(names), set(after) - set(names))
check("every metric of the book", set(names) - set(after) == ABSENT, set(names) - set(after) ^ ABSENT)
for name, family in after.items():
    kind, labels, unit = names[name]
    check(f"{name} is a {kind}", (family.type, family.unit) == (kind, unit), family.type, family.unit)
    for sample in family.samples:
        check(f"{name} has the labels of the book", [label for label in sample.labels if label != "le"] == labels, sample)
        check("no stream is a label", not any("Payment-" in value for value in sample.labels.values()), sample)


def series(families):
    return sum(len(family.samples) for family in families.values())


# One append more or a thousand: the same series. What may differ is what was seen for the first time.
check("streams add no series", series(after) == series(before), series(before), series(after))


def value(name, **labels):
    family = after[re.sub("_(total|bucket|count|sum)$", "", name)]
    found = [sample.value for sample in family.samples
             if sample.name == name and labels.items() <= sample.labels.items()]
    check(f"{name} {labels} is one series", len(found) == 1, found)
    return found[0]


check("appends are counted", value("polylog_appends_total", outcome="committed") == 58)
check("conflicts too", value("polylog_appends_total", outcome="version_conflict") == 29)
check("and timed", value("polylog_append_duration_seconds_count", phase="total") == 58)
check("by status", value("polylog_http_requests_total", operation="append", status="409") == 29)
check("the source is up", value("polylog_source_up", source="ledger") == 1)
check("its operations are timed", value("polylog_source_operation_duration_seconds_count", operation="append") >= 58)
check("and counted by code", value("polylog_source_operations_total", operation="append", code="ok") >= 58)
check("batches have sizes", value("polylog_append_batch_commits_count") == value("polylog_source_operation_duration_seconds_count", operation="append"))
check("the position is that of the log", value("polylog_position") >= 58)
for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "process_max_fds"):
    check(f"{name} is told", value(name) > 0)
print(f"{len(after)} metrics, {series(after)} series: read by Prometheus' parser in both formats, as the book says")
