"""The pictures: for each server what came through, what a client waited for, and what it cost."""
import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.colors import to_rgb

from .results import SIDES
from .tables import cases_of

plt.rcParams.update({"svg.fonttype": "path", "svg.hashsalt": "polylog", "font.size": 9})
COLOURS = {"grpc": "#1b6ca8", "http": "#7fb3d5", "raw": "#8a8a8a", "message-db": "#d98032", "umadb": "#5b9a5b"}
# in a bar of costs, from below: how much of the colour is left
WHO = {"sidecar": 1, "database": 0.6, "client": 0.25}


def draw(figures, engine, target):
    """A row for each kind of append, with three panels."""
    rows = []
    for group, events, title in (
        (engine, 1, "1 event an append"),
        (engine, 50, "50 events an append"),
        (f"{engine}-slow", 1, "1 event an append, {added:g} ms added to each fsync"),
    ):
        cases = [case for case in cases_of(figures, group) if case["events"] == events]
        if cases:
            rows.append((title.format(added=cases[0]["added_to_fsync_ms"]), cases))
    if not rows:
        return False
    figure, axes = plt.subplots(len(rows), 3, figsize=(12, 3.1 * len(rows) + 0.6), squeeze=False)
    for line, (title, cases) in zip(axes, rows):
        rates(line[0], cases, title)
        waits(line[1], cases)
        costs(line[2], cases)
    shown = [name for name in SIDES if any(name in case["sides"] for _, cases in rows for case in cases)]
    handles = [plt.Rectangle((0, 0), 1, 1, color=COLOURS[name]) for name in shown]
    handles += [plt.Rectangle((0, 0), 1, 1, facecolor=shade("#000000", WHO[who])) for who in WHO]
    labels = [SIDES[name] for name in shown] + [f"processor: {who}" for who in ("sidecar", "database", "clients")]
    height = figure.get_figheight()
    figure.suptitle(figures["servers"][engine], x=0.01, y=1 - 0.08 / height, ha="left", va="top", fontweight="bold")
    style = {"frameon": False, "columnspacing": 1.2, "handlelength": 1.2}
    figure.legend(handles, labels, loc="upper right", bbox_to_anchor=(1, 1 - 0.22 / height), ncols=len(labels), **style)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.5 / height))
    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)
    return True


def places(cases):
    """Where each side's bar stands in each group: (name, side, number of the group, x, width)."""
    sides = [name for name in SIDES if any(name in case["sides"] for case in cases)]
    width = 0.8 / len(sides)
    for number, name in enumerate(sides):
        for group, case in enumerate(cases):
            if name in case["sides"]:
                yield name, case["sides"][name], group + (number - (len(sides) - 1) / 2) * width, width


def rates(axis, cases, title):
    top = 0
    for name, side, x, width in places(cases):
        low, mid, high = side["rate"]
        axis.bar(x, mid, width, yerr=[[mid - low], [high - mid]], error_kw={"elinewidth": 0.8}, color=COLOURS[name])
        top = max(top, high)
    for group, case in enumerate(cases):
        highest = max(side["rate"][2] for side in case["sides"].values())
        ratio = case["sides"]["raw"]["grpc_to_it"][1]
        axis.text(group, highest + top * 0.02, f"gRPC {ratio:.2f} of raw", ha="center", va="bottom", fontsize=7.5)
    axis.set_ylim(0, top * 1.12)
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    dress(axis, cases, "events/s")
    axis.set_title(title, loc="left", fontsize=9)


def waits(axis, cases):
    for name, side, x, width in places(cases):
        axis.bar(x, side["p50_ms"], width, color=COLOURS[name])
        axis.plot([x, x], [side["p50_ms"], side["p99_ms"]], color="black", linewidth=0.8)
        axis.plot(x, side["p99_ms"], marker="_", color="black", markersize=5)
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    dress(axis, cases, "ms: p50, and p99 (line)")


def costs(axis, cases):
    for name, side, x, width in places(cases):
        bottom = 0
        for who, share in WHO.items():
            value = side["micros"][who]
            if value is not None:
                axis.bar(x, value, width, bottom=bottom, color=shade(COLOURS[name], share))
                bottom += value
    dress(axis, cases, "µs of processor an event")


def shade(colour, share):
    """The colour, with so much of it left, on white."""
    return tuple(1 - share * (1 - part) for part in to_rgb(colour))


def dress(axis, cases, label):
    axis.set_xticks(range(len(cases)), [str(case["clients"]) for case in cases])
    axis.set_xlabel("clients")
    axis.set_ylabel(label)
    axis.spines[["top", "right"]].set_visible(False)
