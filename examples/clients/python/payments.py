#!/usr/bin/env python3
"""Appends, reads and follows payments over HTTP with `requests`. Copy what you need.

    payments.py pay p1 100.00         appends PaymentProcessed, if there is no such payment yet
    payments.py refund p1 30.00       appends PaymentRefunded, if the payment still allows it
    payments.py show p1               prints the payment's events
    payments.py follow place.txt      prints every payment's events, and goes on where it ended last time
"""
import decimal, json, os, random, sys, time, uuid
from urllib.parse import quote

import requests

URL = os.environ.get("POLYLOG_URL", "http://127.0.0.1:7300") + "/v1"
DEADLINE = float(os.environ.get("POLYLOG_DEADLINE", "10"))  # seconds for an append with all its tries
session = requests.Session()


class Refused(Exception):
    """The store answered with a problem; `problem["code"]` is the word to branch on."""

    def __init__(self, problem):
        super().__init__(f'{problem["code"]}: {problem["detail"]}; {problem["nextStep"]}')
        self.problem, self.code = problem, problem["code"]


class OutcomeUnknown(Exception):
    """The events may be written, now or later. To find out, send the very same `body` again."""

    def __init__(self, body, reason):
        super().__init__(f"it is not known whether the events were written: {reason}")
        self.body = body


def append(stream, expected, events):
    """Appends events to a stream that must be at the expected version. Tries again until the deadline."""
    # Ids are made once, before the first try: the store recognises them, so that no try writes a second time.
    return send(stream, {"expectedVersion": expected, "events": [{"id": str(uuid.uuid4()), **e} for e in events]})


def send(stream, body):
    ends, wait, in_doubt = time.monotonic() + DEADLINE, 0.05, False
    while True:
        left = max(ends - time.monotonic(), 0.01)
        at_least, may_pass, problem, reason = 0, True, None, None
        try:
            answer = session.post(f"{URL}/streams/{quote(stream, safe='')}", json=body, timeout=min(left, 6))
            if answer.ok:
                return answer.json()
            problem = answer.json()
            reason, may_pass = problem["detail"], problem["retry"]
            at_least = float(answer.headers.get("Retry-After", 0))
            # Of a conflict nothing was written, by earlier tries neither: ids are looked up before versions are
            # compared. It is never tried again as it is: what it was decided on has changed.
            if problem["code"] in ("version_conflict", "id_conflict"):
                raise Refused(problem)
            in_doubt = in_doubt or problem["written"] != "nothing"
        except requests.JSONDecodeError:  # not from Polylog: something between
            reason, may_pass, in_doubt = f"status {answer.status_code}", answer.status_code in (502, 503, 504), True
        except requests.ConnectTimeout as error:  # nothing was sent
            reason = str(error)
        except requests.RequestException as error:  # cut off, or no answer: perhaps written
            reason, in_doubt = str(error), True
        # Half of the wait is random, so that many clients that lost a server do not come back at once.
        pause = max(at_least, wait * random.uniform(0.5, 1))
        if not may_pass or time.monotonic() + pause >= ends:
            raise Refused(problem) if problem and not in_doubt else OutcomeUnknown(body, reason)
        time.sleep(pause)
        wait = min(wait * 2, 2)


def get(path, **query):
    """Asks until there is an answer, for as long as an append may take: reads change nothing."""
    ends, wait = time.monotonic() + DEADLINE, 0.05
    while True:
        problem, error = None, None
        try:
            answer = session.get(f"{URL}/{path}", params=query, timeout=6)
            if answer.ok:
                return answer.json()
            problem = Refused(answer.json())
        except requests.RequestException as broken:
            error = broken
        if (problem and not problem.problem["retry"]) or time.monotonic() + wait >= ends:
            raise problem or error
        time.sleep(wait * random.uniform(0.5, 1))
        wait = min(wait * 2, 2)


def read(stream):
    """All events of a stream, page by page; none if it does not exist."""
    start, at_end = 1, False
    while not at_end:
        try:
            page = get(f"streams/{quote(stream, safe='')}", **{"from": start, "limit": 100})
        except Refused as refused:
            if refused.code == "stream_not_found":
                return
            raise
        yield from page["events"]
        start, at_end = page["nextFrom"], page["atEnd"]


def frames(answer):
    """The frames of server-sent events: (id, event, data)."""
    frame = {}
    for line in answer.iter_lines():
        name, _, value = line.decode().partition(":")
        if name:
            frame[name] = value.removeprefix(" ")
        elif frame:
            if "event" in frame:
                yield frame.get("id"), frame["event"], frame.get("data")
            frame = {}


def follow(place, categories):
    """Events of some categories for ever, beginning after `place`, with the place to go on from. Reconnects."""
    wait = 0.05
    while True:
        try:
            headers = {"Last-Event-ID": place} if place else {}
            query = {"from": "beginning", "categories": categories}
            # A heartbeat comes each 15 s: 30 s of silence means that the connection is dead.
            with session.get(f"{URL}/subscribe", params=query, headers=headers, stream=True, timeout=(2, 30)) as answer:
                if not answer.ok and not (problem := answer.json())["retry"]:
                    raise Refused(problem)
                for place_of_frame, kind, data in frames(answer) if answer.ok else ():
                    if kind == "error" and not (problem := json.loads(data))["retry"]:
                        raise Refused(problem)
                    if kind != "error":
                        place, wait = place_of_frame, 0.05
                        # Marks move the place too, past events that are not shown.
                        yield place, json.loads(data) if kind == "event" else None
        except requests.RequestException:
            pass  # connect again with the last place
        time.sleep(wait * random.uniform(0.5, 1))
        wait = min(wait * 2, 2)


def pay(payment, amount):
    event = {"type": "PaymentProcessed", "data": {"amount": amount, "currency": "EUR"}}
    return append(f"Payment-{payment}", "noStream", [event])


def refund(payment, amount):
    while True:
        left, version = decimal.Decimal(0), 0
        for event in read(f"Payment-{payment}"):
            version = event["version"]
            if event["type"] == "PaymentProcessed":
                left += decimal.Decimal(event["data"]["amount"])
            elif event["type"] == "PaymentRefunded":
                left -= decimal.Decimal(event["data"]["refundAmount"])
        if decimal.Decimal(amount) > left:
            sys.exit(f"refused: {left} is left of the payment")
        try:
            event = {"type": "PaymentRefunded", "data": {"refundAmount": amount}}
            return append(f"Payment-{payment}", version, [event])
        except Refused as refused:
            if refused.code != "version_conflict":
                raise
            print("somebody was faster: reading again", file=sys.stderr)


def print_following(file, count):
    place = open(file).read() if os.path.exists(file) else None
    for place, event in follow(place, "Payment"):
        if event:
            print(event["position"], event["stream"], event["version"], event["type"], flush=True)
        # Kept after what it stands for is done: a crash in between repeats one event, none is lost. Where a database
        # takes what you derive, keep the place in the same transaction, and nothing is repeated either.
        with open(file + ".new", "w") as new:
            new.write(place)
        os.replace(file + ".new", file)
        if event and (count := count - 1) == 0:
            return


def main(command, *arguments):
    if command in ("pay", "refund"):
        answer = (pay if command == "pay" else refund)(*arguments)
        print(f'version {answer["lastVersion"]}' + (" (an earlier try had written it)" if answer["repeated"] else ""))
    elif command == "show":
        for event in read(f"Payment-{arguments[0]}"):
            print(event["version"], event["type"], json.dumps(event["data"], separators=(",", ":")))
    elif command == "follow":
        print_following(arguments[0], int(arguments[1]) if len(arguments) > 1 else -1)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except Refused as refused:
        sys.exit(f"refused: {refused}")
    except OutcomeUnknown as unknown:
        print(f"unknown: {unknown}", file=sys.stderr)
        sys.exit(4)
