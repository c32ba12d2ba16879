"""usage: figures show <folder>      prints the tables and how far the goals are met
       figures publish <folder>   writes them to benches/figures.json, the book, its pictures and the README
       figures check              fails where book and README are not what benches/figures.json says

Run in the root of the repository. A table stands between `<!-- figures: <name> -->` and `<!-- end of figures -->`."""
import json
import re
import sys
from pathlib import Path

from .goals import told
from .results import collect
from .tables import ENGINES, sections

PUBLISHED = Path("benches/figures.json")
PAGES = [Path("README.md"), Path("docs/performance.md"), Path("docs/operation.md")]
PLACE = re.compile(r"<!-- figures: (?P<name>[^>]+) -->\n(?P<table>.*?)<!-- end of figures -->", re.DOTALL)


def written(page, made):
    """The page with its tables as they are to be."""

    def table(match):
        name = match["name"]
        if name not in made:
            raise SystemExit(f"{page}: there are no figures called {name}")
        return f"<!-- figures: {name} -->\n{made[name] or 'Not measured.'}\n<!-- end of figures -->"

    return PLACE.sub(table, page.read_text())


def show(folder):
    figures = collect(folder)
    for name, table in sections(figures).items():
        if table:
            print(f"{name}\n\n{table}\n")
    print(told(figures))


def publish(folder):
    from .pictures import draw

    figures = collect(folder)
    if len(figures["builds"]) > 1:
        print(f"warning: figures of several builds: {', '.join(figures['builds'])}", file=sys.stderr)
    PUBLISHED.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    made = sections(figures)
    for page in PAGES:
        page.write_text(written(page, made))
    Path("docs/images").mkdir(exist_ok=True)
    for engine in ENGINES:
        draw(figures, engine, f"docs/images/performance-{engine}.svg")
    print(told(figures))


def check():
    made = sections(json.loads(PUBLISHED.read_text()))
    stale = [str(page) for page in PAGES if written(page, made) != page.read_text()]
    if stale:
        raise SystemExit(f"not what {PUBLISHED} says: {', '.join(stale)}; run benches/publish.sh")


match sys.argv[1:]:
    case ["show", folder]:
        show(folder)
    case ["publish", folder]:
        publish(folder)
    case ["check"]:
        check()
    case _:
        sys.exit(__doc__)
