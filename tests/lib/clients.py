#!/usr/bin/env python3
"""Runs one example client against a running store, through a proxy that loses answers and cuts connections.

    clients.py <name> <address of the store> <command> [<argument>...]

The command takes pay, refund, show and follow, as examples/clients/README.md says.
"""
import json, os, pathlib, shutil, socket, subprocess, sys, tempfile, threading, time, urllib.request

name, upstream, *command = sys.argv[1:]
upstream_port = int(upstream.rsplit(":", 1)[1])
work = pathlib.Path(tempfile.mkdtemp(prefix="polylog-clients-"))
started = []  # ended with this


class Proxy:
    """Passes bytes on, but for one fault at a time. It looks for marks in them, so it serves HTTP/1 and HTTP/2 alike."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.lock = threading.Lock()
        self.expect(b"\0never\0")
        threading.Thread(target=self.accept, daemon=True).start()

    def expect(self, mark, lose=0, silent=False, before=None, cut_after=None, hang_up=0):
        """Counts requests that hold the mark; loses the answers to the first ones, or all (silent), does something
        before the first is passed on, cuts once after an answer's mark was passed on, hangs up on the first ones."""
        self.mark, self.lose, self.silent, self.before = mark, lose, silent, before
        self.cut_after, self.hang_up, self.seen, self.cuts = cut_after, hang_up, 0, 0

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            if self.hang_up:
                self.hang_up -= 1
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", upstream_port))
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            state = {"lost": False}
            for pump in (self.requests, self.answers):
                threading.Thread(target=pump, args=(client, server, state), daemon=True).start()

    def requests(self, client, server, state):
        tail = b""
        for piece in pieces(client):
            found = (tail + piece).count(self.mark)
            tail = (tail + piece)[-len(self.mark) + 1:]
            for _ in range(found):
                with self.lock:
                    self.seen += 1
                    state["lost"] = state["lost"] or self.silent or self.seen <= self.lose
                    before, self.before = self.before, None
                if before:
                    before()
            if not passed(server, piece):
                break
        close(client, server)

    def answers(self, client, server, state):
        lost = b""
        for piece in pieces(server):
            if state["lost"]:
                # Every receipt names the source: once it is here, the events are written.
                lost += piece
                if b"ledger" in lost and not self.silent:
                    break
                continue
            cut = self.cut_after is not None and self.cut_after in piece
            if not passed(client, piece):
                break
            if cut:
                self.cut_after, self.cuts = None, self.cuts + 1
                break
        close(client, server)


def pieces(connection):
    while True:
        try:
            piece = connection.recv(65536)
        except OSError:
            return
        if not piece:
            return
        yield piece


def passed(connection, piece):
    try:
        connection.sendall(piece)
        return True
    except OSError:
        return False


def close(*connections):
    for connection in connections:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        connection.close()


proxy = Proxy()


def environment(**more):
    return {**os.environ, "POLYLOG_URL": f"http://{proxy.address}", **more}


def run(*arguments, **more):
    ran = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, env=environment(**more))
    return ran.returncode, ran.stdout.strip(), ran.stderr.strip()


def check(what, ok, *shown):
    if not ok:
        sys.exit(f"{name}: {what}: " + "\n".join(map(str, shown)))
    print(f"{name}: {what}")


def ask(path, body=None):
    request = urllib.request.Request(f"{upstream}/v1/{path}", headers={"Content-Type": "application/json"})
    sent = json.dumps(body, separators=(",", ":")).encode() if body is not None else None
    with urllib.request.urlopen(request, sent) as answer:
        return json.load(answer)


def events_of(path):
    """Events of a stream or of the log, all pages."""
    events, start, at_end = [], 1, False
    while not at_end:
        page = ask(f"{path}{'&' if '?' in path else '?'}from={start}&limit=1000")
        events += page["events"]
        start, at_end = page["nextFrom"], page["atEnd"]
    return events


def note(payment, text="a note", count=1):
    events = [{"type": "PaymentNoted", "data": {"text": text}}] * count
    return ask(f"streams/Payment-{payment}", {"expectedVersion": "any", "events": events})


def lost_answers():
    proxy.expect(b"101.17", lose=2)
    code, out, err = run("pay", f"{name}-1", "101.17")
    check("two lost answers: tried again with the same id, and told so",
          (code, out) == (0, "version 1 (an earlier try had written it)"), code, out, err)
    stored = events_of(f"streams/Payment-{name}-1")
    check("written once, in three tries", (len(stored), proxy.seen) == (1, 3), stored, proxy.seen)
    check("what was sent is what is stored",
          (stored[0]["type"], stored[0]["data"]) == ("PaymentProcessed", {"amount": "101.17", "currency": "EUR"}), stored)


def conflicts():
    proxy.expect(b"101.18")
    code, out, err = run("pay", f"{name}-1", "101.18")
    check("a conflict is told, and not tried again", code == 1 and "version_conflict" in err and proxy.seen == 1,
          code, out, err, proxy.seen)
    proxy.expect(b"30.03", before=lambda: note(f"{name}-1"))
    code, out, err = run("refund", f"{name}-1", "30.03")
    check("somebody was faster: read again, decided again, written",
          (code, out, proxy.seen) == (0, "version 3", 2), code, out, err, proxy.seen)
    proxy.expect(b"71.15")
    code, out, err = run("refund", f"{name}-1", "71.15")
    check("what the events do not allow is not sent", code == 1 and "71.14" in err and proxy.seen == 0,
          code, out, err, proxy.seen)


def nobody_there():
    proxy.expect(b"12.50", hang_up=3)
    code, out, err = run("pay", f"{name}-2", "12.50")
    check("connections that break are tried again", (code, proxy.hang_up) == (0, 0), code, out, err)
    proxy.expect(b"12.51", silent=True)
    began = time.monotonic()
    code, out, err = run("pay", f"{name}-3", "12.51", POLYLOG_DEADLINE="2")
    took = time.monotonic() - began
    check("no answer until the deadline: the outcome is unknown", (code, err.startswith("unknown")) == (4, True),
          code, out, err)
    check("and that is told in time", took < 12, took)
    stored = events_of(f"streams/Payment-{name}-3")
    check("though it was written, once", len(stored) == 1, stored)


def shows():
    note(f"{name}-4", "one of many", 250)
    proxy.expect(b"\0never\0")
    code, out, err = run("show", f"{name}-4")
    expected = [f'{version} PaymentNoted {{"text":"one of many"}}' for version in range(1, 251)]
    check("a stream of several pages is read whole", (code, out.split("\n")) == (0, expected), code, out[:500], err)
    code, out, err = run("show", f"{name}-none")
    check("a stream that does not exist has no events", (code, out) == (0, ""), code, out, err)


def follows():
    place = str(work / "place.txt")
    for part in range(6):
        note(f"{name}-5", f"part {part} {name}", 40)
    line = "{position} {stream} {version} {type}".format_map
    expected = [line(event) for event in events_of("events?categories=Payment")]
    code, out, err = run("follow", place, "3")
    seen = out.split("\n")
    check("the first three events", (code, seen) == (0, expected[:3]), code, out, err)
    proxy.expect(b"\0never\0", cut_after=f"part 3 {name}".encode())
    rest = len(expected) - len(seen) + 1
    following = subprocess.Popen([*command, "follow", place, str(rest)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 text=True, env=environment())
    started.append(following)
    watch = threading.Timer(60, following.kill)
    watch.start()
    for _ in range(rest - 1):
        seen.append(following.stdout.readline().rstrip("\n"))
    check("a new process goes on after them, and past a cut, each position once", seen == expected,
          first_difference(seen, expected), following.poll())
    check("the connection was cut once", proxy.cuts == 1, proxy.cuts)
    note(f"{name}-5", "live")
    out, err = following.communicate()
    watch.cancel()
    last = line(events_of(f"streams/Payment-{name}-5")[-1])
    check("and what comes later comes too", (following.returncode, out.strip()) == (0, last), out, err)


def first_difference(seen, expected):
    for index, (one, other) in enumerate(zip(seen, expected)):
        if one != other:
            return f"line {index}: got {one!r}, expected {other!r}"
    return f"got {len(seen)} lines, expected {len(expected)}"


try:
    for part in (lost_answers, conflicts, nobody_there, shows, follows):
        part()
finally:
    for process in started:
        process.kill()
        process.wait()
    shutil.rmtree(work)
