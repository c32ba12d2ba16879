"""What listens in a process's network: listeners.py PROCESS prints `any PORT` or `loopback PORT`, each on a line."""

import sys

LISTENS = "0A"
LOOPBACK = ("0100007F", "00000000000000000000000001000000")
found = set()
for table in ("tcp", "tcp6", "udp", "udp6"):
    with open(f"/proc/{sys.argv[1]}/net/{table}") as lines:
        next(lines)
        for line in lines:
            local, _, state = line.split()[1:4]
            address, port = local.split(":")
            if state == LISTENS or table.startswith("udp"):
                found.add(f"{'loopback' if address in LOOPBACK else 'any'} {int(port, 16)}")
print("\n".join(sorted(found)))
