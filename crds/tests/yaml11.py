#!/usr/bin/env python3
"""Compares how manifests are read here with a YAML 1.1 reader (PyYAML).

Whatever we take, PyYAML must read alike: every plain scalar of a generated list, and every YAML file that is checked
in for users (definitions and examples). Needs `pyyaml` and `cargo`.

    yaml11.py             compare, and check that the recorded table is what PyYAML says
    yaml11.py --record    write the recorded table that `cargo test` uses
"""

import itertools
import json
import os
import pathlib
import subprocess
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
TABLE = HERE / "yaml11" / "scalars.jsonl"

WORDS = """
~ null Null NULL nUll true True TRUE tRue false False FALSE yes Yes YES yEs no No NO on On ON off Off OFF y Y n N
= << < nan NaN .nan .NaN .NAN .nAn inf .inf .Inf .INF +.inf -.INF 0 00 000 01 07 08 09 010 0123 0888 +0 -0 -00
1 12 +12 -12 1_000 1__0 _1 1_ 0_1 0x1F 0X1F 0x 0xG 0x1_F -0x1F +0x1F 0b101 0b2 0b -0b1 0o17 0o8 0o -0o17
1. 1.0 1.5 -1.5 +1.5 .5 -.5 +.5 . .. ._5 1._5 1_0.5 1.5e3 1.5e+3 1.5E-3 1e3 1e+3 1E3 1.e3 1.e+3 .5e3 .5e+3 1.5e 1e
12:30 1:30 12:30:45 1:60 12:3:4 -1:30 0:30 00:30 1:30.5 190:20:30 190:20:30.15 1:2:3:4 12:30am
2026-11-21 2026-1-1 2026-11-21T10:00:00Z 2026-11-21t10:00:00 2026-13-45x 0.4.1 1.2.3 1.2.3.4 7.17.0 v1 1.10 1.1.
256Ki 1Mi 5s 2m30s 10% 99999999999999999999 9223372036854775807 9223372036854775808 18446744073709551615
Never None Majority All 1d 1e 0e0 0e+0 0.0 -0.0 e3 E abc a_b a-b a.b https://search:9200 event.aggregateId /card/number
"""


def scalars():
    """The words above, and every short text over the characters that numbers and dates are made of."""
    found = dict.fromkeys(WORDS.split())
    for length in range(1, 5):
        for letters in itertools.product("019x.:_-+eo", repeat=length):
            found["".join(letters)] = None
    return [text for text in found if is_plain(text)]


def is_plain(text):
    """Whether the text can stand unquoted at all, as the value of a field."""
    try:
        events = list(yaml.parse(f"a: {text}\n"))
    except yaml.YAMLError:
        return False
    values = [event for event in events if isinstance(event, yaml.ScalarEvent)]
    return len(values) == 2 and values[1].value == text and values[1].style is None


def read_by_pyyaml(text):
    try:
        value = yaml.safe_load(f"a: {text}\n")["a"]
    except (yaml.YAMLError, ValueError):
        return {"other": "error"}
    if value is None:
        return {"null": True}
    if isinstance(value, bool):
        return {"bool": value}
    if isinstance(value, int):
        return {"int": str(value)}
    if isinstance(value, float):
        return {"float": repr(value)}
    if isinstance(value, str):
        return {"text": value}
    return {"other": type(value).__name__}


def run_ours(arguments, text=None):
    # A whole test run has built it already, with the workspace's features.
    built = os.environ.get("YAML_AS_JSON")
    run = [built] if built else ["cargo", "run", "-q", "-p", "polylog-crds", "--example", "yaml_as_json", "--"]
    command = [*run, *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def same(ours, theirs):
    if "float" in ours and "float" in theirs:
        return float(ours["float"]) == float(theirs["float"])
    return ours == theirs


def compare_scalars():
    texts = scalars()
    taken = 0
    wrong = []
    for text, ours in zip(texts, run_ours(["--scalars"], "\n".join(texts) + "\n"), strict=True):
        if ours is None:
            continue
        taken += 1
        theirs = read_by_pyyaml(text)
        if not same(ours, theirs):
            wrong.append(f"{text!r}: we read {ours}, PyYAML reads {theirs}")
    print(f"{len(texts)} scalars, {taken} of them taken, {len(wrong)} read differently")
    return wrong


def normal(value):
    """JSON has one kind of number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [normal(item) for item in value]
    if isinstance(value, dict):
        return {str(name): normal(item) for name, item in value.items()}
    return value


def compare_files():
    files = [*(REPOSITORY / "crds" / "yaml").glob("*.yaml"), *(REPOSITORY / "examples").glob("*/*.yaml")]
    wrong = []
    documents = 0
    for file in sorted(files):
        ours = run_ours([str(file)])
        theirs = [normal(document) for document in yaml.safe_load_all(file.read_text())]
        documents += len(theirs)
        if [normal(document) for document in ours] != theirs:
            wrong.append(f"{file.relative_to(REPOSITORY)} is read differently")
    print(f"{documents} documents in {len(files)} files, {len(wrong)} files read differently")
    if documents < 6:
        wrong.append("fewer documents than there must be")
    return wrong


def main():
    table = [json.dumps({"scalar": text, "pyyaml": read_by_pyyaml(text)}) for text in WORDS.split() if is_plain(text)]
    table = "".join(line + "\n" for line in dict.fromkeys(table))
    if "--record" in sys.argv:
        TABLE.write_text(table)
        return
    wrong = compare_scalars() + compare_files()
    if TABLE.read_text() != table:
        wrong.append(f"{TABLE.relative_to(REPOSITORY)} is not what PyYAML {yaml.__version__} says: --record it")
    if wrong:
        sys.exit("\n".join(wrong[:50]))


if __name__ == "__main__":
    main()
