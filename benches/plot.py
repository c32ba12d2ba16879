#!/usr/bin/env python3
"""Draws what `polylog-benches peers --json` measured: events per second of each side, and what one client waits for.

usage: plot.py <figures.json> <picture.svg>
"""
import json
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "polylog", "font.size": 9})
COLOURS = {
    "Polylog, gRPC": "#1b6ca8",
    "Polylog, HTTP": "#7fb3d5",
    "raw": "#8a8a8a",
    "message-db": "#d98032",
    "UmaDB": "#5b9a5b",
}


def bars(axis, cases, title):
    """A group of bars for each case, a bar with its quartiles for each side."""
    sides = [name for name in COLOURS if any(side["side"] == name for case in cases for side in case["sides"])]
    width = 0.8 / len(sides)
    for number, name in enumerate(sides):
        for place, case in enumerate(cases):
            found = [side for side in case["sides"] if side["side"] == name]
            if not found:
                continue
            low, middle, high = found[0]["rate"]
            axis.bar(
                place + (number - (len(sides) - 1) / 2) * width,
                middle,
                width,
                yerr=[[middle - low], [high - middle]],
                error_kw={"elinewidth": 0.8},
                color=COLOURS[name],
                label=name if place == 0 else None,
            )
    axis.set_xticks(range(len(cases)), [str(case["clients"]) for case in cases])
    axis.set_xlabel("clients")
    axis.set_ylabel("events/s")
    axis.set_title(title)
    axis.spines[["top", "right"]].set_visible(False)


def main(source, target):
    with open(source) as file:
        figures = json.load(file)
    fewest = min(case["stored"] for case in figures["cases"])
    small = [case for case in figures["cases"] if case["stored"] < 10 * fewest]
    groups = {}
    for case in small:
        groups.setdefault(case["events"], []).append(case)
    figure, axes = plt.subplots(1, len(groups), figsize=(5 * len(groups), 3.6), squeeze=False)
    for axis, (events, cases) in zip(axes[0], sorted(groups.items())):
        bars(axis, cases, "1 event an append" if events == 1 else f"{events} events an append")
    axes[0][0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main(*sys.argv[1:])
