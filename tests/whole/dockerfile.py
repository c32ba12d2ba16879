#!/usr/bin/env python3
"""images/Dockerfile, step by step as Docker would take it, without Docker: its first image is this machine's Debian with its Rust
toolchain, and nothing of the checkout but what is copied. Each image must be the one that images/archive makes. Needs root.

    tests/whole/dockerfile.py PROFILE FOLDER       what Cargo has built there with this profile is not built again
"""

import os
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
from json import loads
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BASE = "rust:1.95-bookworm"


def instructions(text):
    lines = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", text)).splitlines()
    return [line.split(None, 1) for line in lines if line.strip()]


class Builder:
    def __init__(self, work, arguments, target):
        self.work, self.arguments, self.target = work, arguments, target
        self.stages, self.defaults, self.stage = {}, {}, None
        # what one stage has built another needs not
        self.built, self.change = (Path(tempfile.mkdtemp(dir=work)) for _ in range(2))

    def take(self, instruction, rest):
        if instruction == "ARG":
            name, default = rest.split("=", 1)
            scope = self.stage["arguments"] if self.stage else self.defaults
            scope[name] = self.arguments.get(name, default)
        elif instruction == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", rest).groups()
            self.begin(re.sub(r"\$\{(\w+)\}", lambda found: self.defaults[found[1]], base), name)
        elif instruction in ("WORKDIR", "USER"):
            self.stage[instruction] = rest
        elif instruction == "ENV":
            self.stage[instruction] = [*self.stage.get(instruction, []), rest]
        elif instruction == "ENTRYPOINT":
            self.stage[instruction] = loads(rest)
        elif instruction == "COPY":
            self.copy(*rest.split())
        elif instruction == "RUN":
            self.run(rest)
        else:
            raise SystemExit(f"images/Dockerfile: {instruction} is not known here")

    def begin(self, base, name):
        folder = self.work / name
        parent = {} if base in ("scratch", BASE) else self.stages[base]
        if parent:
            subprocess.check_call(["cp", "--archive", parent["folder"], folder])
        else:
            folder.mkdir()
        self.stage = {**parent, "arguments": dict(parent.get("arguments", {})), "folder": folder}
        self.stages[name] = self.stage

    def copy(self, *words):
        stage = self.stage
        if words[0].startswith("--from="):
            source = self.stages[words[0].removeprefix("--from=")]["folder"] / words[1].lstrip("/")
            ignored, to = [], stage["folder"] / words[2].lstrip("/")
        else:
            assert words == (".", "."), words
            source, to = REPOSITORY, stage["folder"] / stage["WORKDIR"].lstrip("/")
            ignored = (REPOSITORY / "images/Dockerfile.dockerignore").read_text().split()
        to.mkdir(parents=True, exist_ok=True)
        excluded = [f"--exclude=./{name}" for name in ignored]
        packed = subprocess.Popen(["tar", "--create", *excluded, "--directory", source, "."], stdout=subprocess.PIPE)
        subprocess.check_call(["tar", "--extract", "--preserve-permissions", "--directory", to], stdin=packed.stdout)
        assert packed.wait() == 0

    def run(self, command):
        stage = self.stage
        root, inner = (Path(tempfile.mkdtemp(dir=self.work)) for _ in range(2))
        folder = stage.get("WORKDIR", "/")
        variables = dict(pair.split("=", 1) for pair in stage.get("ENV", [])) | stage["arguments"]
        variables = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
        target = f"{root}/target/{self.target.name}"
        # the checkout is hidden, and so is how Cargo was told to build it
        script = f"""
            set -e
            mount -t overlay -o lowerdir=/,upperdir={stage["folder"]},workdir={inner} overlay {root}
            mount -t tmpfs tmpfs {root}{REPOSITORY}
            mount --rbind /proc {root}/proc
            mount --rbind /dev {root}/dev
            mkdir -p {target}
            mount -t overlay -o lowerdir={self.target},upperdir={self.built},workdir={self.change} overlay {target}
            unset CARGO_TARGET_DIR CARGO_INCREMENTAL
            exec chroot {root} sh -ec {shlex.quote(f"cd {folder}{chr(10)}{variables}{command}")}
        """
        subprocess.check_call(["unshare", "--mount", "sh", "-c", script], stdout=sys.stderr)


def files(folder):
    return {
        str(path.relative_to(folder)): (path.stat().st_mode & 0o777, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def archived(program, work):
    """The files of the image that images/archive makes of this program, and how it is started."""
    archive = work / "archive.tar"
    make = [REPOSITORY / "images/archive", "--name", "localhost/image:1", "--output", archive, program]
    subprocess.check_call(make)
    with tarfile.open(archive) as outer:
        blob = lambda digest: outer.extractfile(f"blobs/sha256/{digest.removeprefix('sha256:')}")
        manifest = loads(blob(loads(outer.extractfile("index.json").read())["manifests"][0]["digest"]).read())
        with tarfile.open(fileobj=blob(manifest["layers"][0]["digest"])) as layer:
            found = {file.name: (file.mode, layer.extractfile(file).read()) for file in layer if file.isfile()}
        return found, loads(blob(manifest["config"]["digest"]).read())["config"]


def main():
    profile, target = sys.argv[1], Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory(prefix="polylog-dockerfile-") as work:
        work = Path(work)
        builder = Builder(work, {"PROFILE": profile}, target)
        for instruction, rest in instructions((REPOSITORY / "images/Dockerfile").read_text()):
            builder.take(instruction, rest.strip())
        for name in ("polylog", "polylog-sidecar", "polylog-operator"):
            stage = builder.stages[name]
            folder, path = stage["folder"], f"usr/local/bin/{name}"
            expected, config = archived(folder / path, work)
            made = files(folder)
            assert made == expected, f"{name}: {sorted(set(made) ^ set(expected)) or 'other content or modes'}"
            told = (stage["USER"], stage["ENV"], stage["ENTRYPOINT"])
            assert told == (config["User"], config["Env"], config["Entrypoint"]), f"{name}: {told}, not {config}"
            os.chmod(folder, 0o755)
            start = ["chroot", f"--userspec={stage['USER']}", folder, *stage["ENTRYPOINT"], "--version"]
            version = subprocess.check_output(start, env={"PATH": "/usr/sbin:/usr/bin"}, text=True)
            print(f"{name}: {len(made)} files, {sum(len(content) for _, content in made.values())} bytes; {version.strip()}")


main()
