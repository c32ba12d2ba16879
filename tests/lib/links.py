#!/usr/bin/env python3
"""Fails when a Markdown file links to a file of the checkout that is not there."""
import pathlib, re, sys

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


def files(arguments):
    for argument in map(pathlib.Path, arguments):
        yield from sorted(argument.rglob("*.md")) if argument.is_dir() else [argument]


dead = []
for file in files(sys.argv[1:]):
    for target in LINK.findall(file.read_text()):
        if "://" not in target and not target.startswith("mailto:") and not (file.parent / target).exists():
            dead.append(f"{file}: {target}")
sys.exit("dead links:\n" + "\n".join(dead) if dead else 0)
