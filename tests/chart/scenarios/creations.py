"""Pods, made one after the other through a real API server and never run.

    creations.py pairs KUBECONFIG NUMBER     with and without a sidecar in turn: how long each takes
    creations.py load KUBECONFIG             with a sidecar, ten a second, until SIGTERM; each has to be made, and have it
"""

import base64
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from urllib.parse import urlsplit

PATH = "/api/v1/namespaces/shop/pods"


class Api:
    def __init__(self, kubeconfig):
        kubectl = os.path.join(os.path.dirname(kubeconfig), "bin", "kubectl")
        shown = subprocess.check_output([kubectl, "--kubeconfig", kubeconfig, "config", "view", "--raw", "--output", "json"])
        config = json.loads(shown)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile() as pem:
            pem.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            pem.flush()
            context.load_cert_chain(pem.name)
        server = urlsplit(cluster["server"])
        self.connection = http.client.HTTPSConnection(server.hostname, server.port, context=context, timeout=30)

    def request(self, method, path, body=None):
        self.connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())

    def make(self, name, labels):
        security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                # nobody gives it a node
                "schedulerName": "nobody",
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{"name": "app", "image": "app", "securityContext": security}],
            },
        }
        return self.request("POST", PATH, pod)

    def remove(self, name):
        self.request("DELETE", f"{PATH}/{name}?gracePeriodSeconds=0")


def has_sidecar(pod):
    return [container["name"] for container in pod["spec"].get("initContainers", [])] == ["polylog"]


def pairs(api, number):
    kinds = {"without": {}, "with": {"polylog.dev/eventstore": "payments"}}
    took = {kind: [] for kind in kinds}
    for count in range(number):
        # each comes first as often as the other
        for kind in sorted(kinds, reverse=count % 2 == 1):
            began = time.perf_counter()
            status, pod = api.make("measured", kinds[kind])
            took[kind].append((time.perf_counter() - began) * 1000)
            assert status == 201 and has_sidecar(pod) == (kind == "with"), (kind, status, pod)
            api.remove("measured")
    at = {kind: sorted(times) for kind, times in took.items()}
    for part, index in (("p50", number // 2), ("p99", number * 99 // 100 - 1)):
        without, with_ = at["without"][index], at["with"][index]
        print(f"   making a pod, {part} of {number}: {without:.1f} ms, with a sidecar {with_:.1f} ms: {with_ - without:+.1f} ms")
    assert at["with"][number // 2] < at["without"][number // 2] + 250, "injection takes far too long"


def load(api):
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    made, failures = 0, []
    while not stopped:
        began = time.time()
        status, pod = api.make("loaded", {"polylog.dev/eventstore": "payments"})
        if status == 201 and has_sidecar(pod):
            made += 1
        else:
            failures.append(f"{began:.3f}: {status} {pod.get('message', 'no sidecar')}")
        if status == 201:
            api.remove("loaded")
        time.sleep(max(0.0, began + 0.1 - time.time()))
    print(f"   {made} pods were made with their sidecar, {len(failures)} not")
    sys.exit("\n".join(failures[:20]) or 0)


if sys.argv[1] == "pairs":
    pairs(Api(sys.argv[2]), int(sys.argv[3]))
else:
    load(Api(sys.argv[2]))
