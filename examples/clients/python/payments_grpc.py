#!/usr/bin/env python3
"""The same over gRPC, with `grpcio`. The modules `polylog.v1` are generated from the project's protos: see README.md.

    payments_grpc.py pay p1 100.00
    payments_grpc.py refund p1 30.00
    payments_grpc.py show p1
    payments_grpc.py follow place.txt
"""
import decimal, json, os, random, sys, time, uuid

import grpc
from grpc_status import rpc_status
from polylog.v1 import errors_pb2, event_pb2, events_pb2, events_pb2_grpc

ADDRESS = os.environ.get("POLYLOG_URL", "http://127.0.0.1:7300").removeprefix("http://")
DEADLINE = float(os.environ.get("POLYLOG_DEADLINE", "10"))  # seconds for an append with all its tries
# gRPC's own retries are left off: this program knows better when a try may follow.
OPTIONS = [("grpc.enable_retries", 0), ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 2000),
           ("grpc.keepalive_time_ms", 20_000), ("grpc.keepalive_timeout_ms", 10_000)]
store = events_pb2_grpc.EventsStub(grpc.insecure_channel(ADDRESS, OPTIONS))


class Refused(Exception):
    """The store refused; `detail.code` is the word to branch on."""

    def __init__(self, detail):
        super().__init__(f"{detail.code}: {detail.message}; {detail.next_step}")
        self.detail = detail


class OutcomeUnknown(Exception):
    """The events may be written, now or later. To find out, send the very same `request` again."""

    def __init__(self, request, reason):
        super().__init__(f"it is not known whether the events were written: {reason}")
        self.request = request


def detail_of(error):
    """What the store says of a failure; None where the failure is not the store's."""
    status = rpc_status.from_call(error)
    detail = errors_pb2.ErrorDetail()
    return detail if status and status.details and status.details[0].Unpack(detail) else None


def may_pass(error, detail):
    return detail.retry if detail else error.code() in (
        grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)


def append(stream, expected, events):
    """Appends events to a stream that must be as expected. Tries again until the deadline."""
    # Ids are made once, before the first try: the store recognises them, so that no try writes a second time.
    for event in events:
        event.id = event.id or str(uuid.uuid4())
    return send(events_pb2.AppendRequest(appends=[events_pb2.StreamAppend(stream=stream, expected=expected, events=events)]))


def send(request):
    ends, wait, in_doubt = time.monotonic() + DEADLINE, 0.05, False
    while True:
        left = max(ends - time.monotonic(), 0.01)
        try:
            return store.Append(request, timeout=min(left, 6), wait_for_ready=True)
        except grpc.RpcError as error:
            detail = detail_of(error)
            # Of a conflict nothing was written, by earlier tries neither: ids are looked up before versions are
            # compared. It is never tried again as it is: what it was decided on has changed.
            if detail and detail.code in ("version_conflict", "id_conflict"):
                raise Refused(detail)
            # A failure without a detail is the connection's or the deadline's: perhaps it was written.
            in_doubt = in_doubt or detail is None or detail.written != errors_pb2.WRITTEN_NOTHING
            at_least = detail.retry_after.ToTimedelta().total_seconds() if detail else 0
            # Half of the wait is random, so that many clients that lost a server do not come back at once.
            pause = max(at_least, wait * random.uniform(0.5, 1))
            if not may_pass(error, detail) or time.monotonic() + pause >= ends:
                raise Refused(detail) if detail and not in_doubt else OutcomeUnknown(request, error.details())
        time.sleep(pause)
        wait = min(wait * 2, 2)


def read(stream):
    """All events of a stream, in one call that goes on where it was cut; none if the stream does not exist."""
    start, wait = 1, 0.05
    while True:
        try:
            for frame in store.ReadStream(events_pb2.ReadStreamRequest(stream=stream, **{"from": start}), timeout=30):
                if frame.HasField("event"):
                    start, wait = frame.event.version + 1, 0.05
                    yield frame.event
                elif frame.HasField("end"):  # without it, the answer was cut off
                    return
        except grpc.RpcError as error:
            detail = detail_of(error)
            if detail and detail.code == "stream_not_found":
                return
            if not may_pass(error, detail) or wait >= 2:
                raise Refused(detail) if detail else error
        time.sleep(wait * random.uniform(0.5, 1))
        wait *= 2


def follow(token, categories):
    """Events of some categories for ever, beginning after `token`, with the token to go on from. Reconnects."""
    position, wait = 0, 0.05  # the last position that was handed out
    while True:
        start = {"token": token} if token else {"beginning": True}
        request = events_pb2.SubscribeRequest(filter=event_pb2.Filter(categories=categories), **start)
        try:
            for frame in store.Subscribe(request, wait_for_ready=True):
                wait = 0.05
                if frame.HasField("event"):
                    # Only marks have tokens: after a cut, events since the last mark come once more, and are passed over.
                    if frame.event.position > position:
                        position = frame.event.position
                        yield frame.event, None
                else:
                    token = getattr(frame, frame.WhichOneof("frame")).token
                    yield None, token
        except grpc.RpcError as error:
            detail = detail_of(error)
            if not may_pass(error, detail):
                raise Refused(detail) if detail else error
        time.sleep(wait * random.uniform(0.5, 1))
        wait = min(wait * 2, 2)


def event_of(type, **data):
    return event_pb2.NewEvent(type=type, data=json.dumps(data).encode())


def pay(payment, amount):
    event = event_of("PaymentProcessed", amount=amount, currency="EUR")
    return append(f"Payment-{payment}", event_pb2.Expected(no_stream=True), [event])


def refund(payment, amount):
    while True:
        left, version = decimal.Decimal(0), 0
        for event in read(f"Payment-{payment}"):
            version = event.version
            if event.type == "PaymentProcessed":
                left += decimal.Decimal(json.loads(event.data)["amount"])
            elif event.type == "PaymentRefunded":
                left -= decimal.Decimal(json.loads(event.data)["refundAmount"])
        if decimal.Decimal(amount) > left:
            sys.exit(f"refused: {left} is left of the payment")
        try:
            event = event_of("PaymentRefunded", refundAmount=amount)
            return append(f"Payment-{payment}", event_pb2.Expected(version=version), [event])
        except Refused as refused:
            if refused.detail.code != "version_conflict":
                raise
            print("somebody was faster: reading again", file=sys.stderr)


def print_following(file, count):
    place = json.load(open(file)) if os.path.exists(file) else {"token": None, "position": 0}
    for event, token in follow(place["token"], ["Payment"]):
        if event and event.position <= place["position"]:
            continue  # printed by the run before
        if event:
            print(event.position, event.stream, event.version, event.type, flush=True)
            place["position"] = event.position
        else:
            place["token"] = token
        # Kept after what it stands for is done: a crash in between repeats one event, none is lost. Where a database
        # takes what you derive, keep the place in the same transaction, and nothing is repeated either.
        with open(file + ".new", "w") as new:
            json.dump(place, new)
        os.replace(file + ".new", file)
        if event and (count := count - 1) == 0:
            return


def main(command, *arguments):
    if command in ("pay", "refund"):
        answer = (pay if command == "pay" else refund)(*arguments)
        repeated = " (an earlier try had written it)" if answer.repeated_request else ""
        print(f"version {answer.results[0].last_version}{repeated}")
    elif command == "show":
        for event in read(f"Payment-{arguments[0]}"):
            print(event.version, event.type, event.data.decode())
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
