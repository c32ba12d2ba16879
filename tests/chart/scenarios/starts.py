"""How long a pod's sidecar took: starts.py POD SIDECAR APPLICATION LINE, with the numbers of their processes and the line in which
the sidecar says that it serves. The application begins once the kubelet, which asks once a second, has found the sidecar ready."""

import json
import os
import sys
import time
from datetime import datetime

pod, sidecar, application, line = sys.argv[1:]


def began(process):
    with open(f"/proc/{process}/stat") as stat, open("/proc/uptime") as uptime:
        ticks = int(stat.read().rpartition(")")[2].split()[19])
        return time.time() - float(uptime.read().split()[0]) + ticks / os.sysconf("SC_CLK_TCK")


serves = datetime.fromisoformat(json.loads(line)["timestamp"].replace("Z", "+00:00")).timestamp()
start = began(sidecar)
print(f"   {pod}: the sidecar served {(serves - start) * 1000:.0f} ms after its start, the application began after {(began(application) - start) * 1000:.0f} ms")
