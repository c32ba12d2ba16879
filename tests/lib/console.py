#!/usr/bin/env python3
"""Types the `$ ` lines of a Markdown file's console blocks and compares what comes out with what is shown.

    python3 console.py README.md http://127.0.0.1:7300 http://127.0.0.1:41234

In the shown output, … stands for anything. The first address is replaced by the second before a line is typed.
"""
import pathlib, re, subprocess, sys

file, shown_address, address = sys.argv[1:]
text = pathlib.Path(file).read_text()
typed = 0
for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        command, _, expected = part.partition("\n")
        command = command.replace(shown_address, address)
        ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        pattern = ".*".join(re.escape(piece) for piece in expected.strip().split("…"))
        typed += 1
        if not re.fullmatch(pattern, ran.stdout.strip(), re.S):
            sys.exit(f"{file}: typed\n  {command}\nexpected\n  {expected.strip()}\ngot\n  {ran.stdout.strip()}\n{ran.stderr}")
if typed == 0:
    sys.exit(f"{file} shows no commands")
print(f"{typed} commands of {file} answer as shown")
