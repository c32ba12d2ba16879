#!/usr/bin/env python3
"""Compares what a store of the flights finds and counts with what the imported file says.

    python3 count.py flights.ndjson http://127.0.0.1:7300

Times are counted twice: by the moments that the events name, in UTC, and by the columns of the table, which are the
clocks of New York. No time zone is computed here.
"""
import calendar, collections, json, sys, time, urllib.parse, urllib.request

BASE = ""


def ask(path, **parameters):
    began = time.monotonic()
    # a comma that is encoded would be part of a value
    query = urllib.parse.urlencode(parameters, safe=",")
    url = f"{BASE}/v1/{path}?{query}"
    with urllib.request.urlopen(url) as answer:
        found = json.load(answer)
    page = parameters.pop("page", None)
    print(f"{time.monotonic() - began:6.2f} s  {path} {parameters}{' a further page' if page else ''}")
    return found


def same(what, told, expected):
    if told != expected:
        sys.exit(f"{what}:\n{str(told)[:2000]}\nis not\n{str(expected)[:2000]}")


def buckets(counts, top):
    ordered = sorted(counts.items(), key=lambda bucket: (-bucket[1], bucket[0].encode()))
    return [{"key": key, "count": count} for key, count in ordered[:top]], sum(n for _, n in ordered[top:])


def counted(steps, name):
    return {step[name]: step["count"] for step in steps if step["count"]}


def count(events):
    told = ask("statistics", interval="hour", tz="America/New_York", groupBy="type,category", top=5)
    same("total", told["total"], len(events))
    same("hours", counted(told["byInterval"], "key"), collections.Counter(event["time"] for event in events))
    same("every hour", len(told["byInterval"]), span(events, 3600))
    grouped(told, events, {"type": lambda event: event["type"], "category": lambda event: "Flight"})
    # metadata is read event by event, and an answer takes 5 s at most
    month = [event for event in events if "2013-03-01" <= event["time"] < "2013-04-01"]
    told = ask("statistics", since="2013-03-01T00:00:00Z", until="2013-04-01T00:00:00Z",
               groupBy="metadata.carrier,metadata.origin", top=5)
    grouped(told, month, {f"metadata.{name}": lambda event, name=name: event["metadata"][name]
                          for name in ("carrier", "origin")})

    day = lambda event: "{year:04}-{month:02}-{day:02}".format(**event["data"])
    trends = ask("trends", tz="America/New_York")["trends"]
    same("days", counted(trends, "date"), collections.Counter(map(day, events)))
    same("every day of the year", len(trends), 365)
    cancelled = [event for event in events if event["type"] == "FlightCancelled"]
    trends = ask("trends", types="FlightCancelled", interval="month", tz="America/New_York")["trends"]
    same("months", counted(trends, "date"), collections.Counter(day(event)[:7] + "-01" for event in cancelled))
    some = [event for event in events if "2013-07-04T12:00:00Z" <= event["time"] < "2013-07-05T00:00:00Z"]
    told = ask("statistics", since="2013-07-04T12:00:00Z", until="2013-07-05T00:00:00Z", groupBy="metadata.carrier", top=1000)
    same("carriers of an afternoon", told["groups"]["metadata.carrier"],
         buckets(collections.Counter(event["metadata"]["carrier"] for event in some), 1000)[0])
    by_stream = [event for event in events if event["stream"] == "Flight-UA1545"]
    same("one stream", ask("statistics", streams="Flight-UA1545")["total"], len(by_stream))


def grouped(told, events, groups):
    for name, of in groups.items():
        top, other = buckets(collections.Counter(map(of, events)), 5)
        same(name, (told["groups"][name], told["other"][name]), (top, other))


def span(events, seconds):
    moments = [time.strptime(event["time"], "%Y-%m-%dT%H:%M:%SZ") for event in events]
    first, last = min(moments), max(moments)
    return (calendar.timegm(last) - calendar.timegm(first)) // seconds + 1


def search(events):
    is_word = lambda event, word: any(str(cell) == word for cell in event["data"].values() if cell is not None)
    searches = [
        # by position a search has an answer at any speed
        ({"q": "N14228", "sort": "position"}, lambda event: is_word(event, "N14228")),
        ({"q": "ewr hnl", "sort": "position"}, lambda event: is_word(event, "EWR") and is_word(event, "HNL")),
        ({"q": "HNL", "types": "FlightCancelled"},
         lambda event: is_word(event, "HNL") and event["type"] == "FlightCancelled"),
        ({"metadata.carrier": "OO", "metadata.origin": "LGA", "sort": "position"},
         lambda event: event["metadata"] == {"carrier": "OO", "origin": "LGA"}),
        ({"q": "nowhere", "sort": "position"}, lambda event: False),
    ]
    key = lambda event: (event["time"], event["stream"], json.dumps(event["data"]))
    for parameters, wanted in searches:
        expected = [event for event in events if wanted(event)]
        found, page = [], {}
        while True:
            told = ask("search", **{"sort": "time"} | parameters | page, limit=1000)
            if told["exact"]:
                same("total", told["total"], len(expected))
            found += [hit["event"] for hit in told["hits"]]
            if not told["next"]:
                break
            page = {"page": told["next"]}
        order = "position" if "sort" in parameters else "time"
        same("order", found, sorted(found, key=lambda event: event[order]))
        same("hits", sorted(map(key, found)), sorted(map(key, expected)))


if __name__ == "__main__":
    imported, BASE = sys.argv[1:]
    with open(imported, "rb") as lines:
        events = [json.loads(line) for line in lines]
    count(events)
    search(events)
    print("searches, statistics and trends are those of the file")
