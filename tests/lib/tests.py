#!/usr/bin/env python3
"""Builds tests with cargo and runs their programs, so many at a time as there are processors.

    tests/lib/tests.py CARGO-TEST-ARGUMENTS

`cargo test` runs one program after the other, and most of the time of those that need a server is waiting: for a disk,
for a lock, for a process to be back. Every program sees what it would see under cargo: its package's folder and
variables. A program's output is printed when it has ended. The documentation's examples are not run here.

One program, and no more, may fail beside others: it runs again by itself, three times (once if it takes long), and has to pass
every time. It is named as unsteady then, which is a defect to mend, of the test or of what it tests.
"""

import concurrent.futures
import json
import os
import subprocess
import sys
import time

# These take minutes: they begin first, the longest before the others, so that none of them runs alone at the end.
LONG = ("conformance_elasticsearch", "conformance_mongodb", "kube", "elasticsearch", "conformance", "mounted_several_postgres")

# Seconds that all times alone may take together, where once is not enough.
ALONE = 120


def main(arguments):
    programs = build(arguments)
    # A program of tests that matches nothing would pass.
    if not programs:
        sys.exit("no program of tests was built")
    programs.sort(key=lambda p: LONG.index(p["target"]["name"]) if p["target"]["name"] in LONG else len(LONG))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = {pool.submit(run, program): program for program in programs}
        failed = [done for done in concurrent.futures.as_completed(runs) if not report(*done.result())]
    seconds = sum(done.result()[2] for done in failed)
    failed = [runs[done] for done in failed]
    unsteady = []
    if len(failed) == 1 and all(report(*run(failed[0])) for _ in range(3 if 3 * seconds < ALONE else 1)):
        unsteady, failed = failed, []
    print(f"\n{len(programs)} programs, {len(failed)} failed")
    for program in unsteady:
        print(f"    UNSTEADY, failed beside others and passed alone: {name_of(program)}")
    for program in failed:
        print(f"    failed: {name_of(program)}")
    sys.exit(1 if failed else 0)


def build(arguments):
    """The programs that cargo made, by the messages it prints about them."""
    cargo = ["cargo", "test", "--no-run", "--message-format", "json-render-diagnostics", *arguments]
    built = subprocess.run(cargo, stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        sys.exit(built.returncode)
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    artifacts = [message for message in messages if message["reason"] == "compiler-artifact"]
    return [artifact for artifact in artifacts if artifact["executable"] and artifact["profile"]["test"]]


def run(program):
    folder = os.path.dirname(program["manifest_path"])
    environment = dict(os.environ, CARGO_MANIFEST_DIR=folder)
    began = time.monotonic()
    done = subprocess.run(
        [program["executable"]], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return name_of(program), done.returncode, time.monotonic() - began, done.stdout.decode(errors="replace")


def report(name, code, seconds, output):
    told = "" if code == 0 else f"\nFAILED: {name}, exit code {code}"
    print(f"\n--- {name} ({seconds:.0f} s)\n{output.strip()}{told}", flush=True)
    return code == 0


def name_of(program):
    return os.path.relpath(program["target"]["src_path"])


if __name__ == "__main__":
    main(sys.argv[1:])
