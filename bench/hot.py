"""The methods that requests go through, as perf sees them at work: build/hot-methods.txt, after which the compiler lays them out."""
import bisect
import collections
import pathlib
import signal
import subprocess
import time

import peers
import rig as r
import work as w

LIST = pathlib.Path("build/hot-methods.txt")
# Large bodies are left out: what they cost is not in many methods.
LINES = ["latency", "plain", "small", "connects", "streams"]
# What the rest of the samples fell into was met once or twice, and would be another rest the next time.
SHARE = 0.99
HZ = 5000


def methods(directory, binary):
    rig = r.Rig(directory, binary, 256 << 20)
    managed, weights = names(binary + ".dbg"), collections.Counter()
    try:
        rig.start({"nginx": peers.start_nginx, "discobot": peers.start_discobot})
        work = w.Work(rig, 5)
        work.prime(["discobot"])
        for line in LINES:
            found = samples(rig, managed, lambda: getattr(work, line)("discobot"))
            weights.update(found)
            print(f"==> {line}: {found.total()} samples in {len(found)} methods", flush=True)
    finally:
        rig.stop()
    hot, rest = [], weights.total() * SHARE
    for name, weight in weights.most_common():
        if rest <= 0:
            break
        hot.append(name)
        rest -= weight
    LIST.write_text("".join(f"{name}\n" for name in hot))
    print(f"==> {LIST}: {len(hot)} methods", flush=True)


def names(symbols):
    """(address, name) of the managed methods, in the order of the addresses: the native libraries lie elsewhere, in an order of their own."""
    found, inside = [], False
    for line in r.run("nm", "--defined-only", "--numeric-sort", symbols).splitlines():
        address, _, name = line.split(None, 2)
        if name == "__stop___managedcode":
            found.append((int(address, 16), None))
            break
        if inside:
            found.append((int(address, 16), name))
        inside = inside or name == "__start___managedcode"
    return found


def samples(rig, managed, work):
    """How often each method was met. The program is loaded where it was linked to."""
    data = rig.work / "perf.data"
    perf = subprocess.Popen(["perf", "record", "-q", "-F", str(HZ), "-p", str(rig.servers["discobot"].process.pid), "-o", data])
    time.sleep(0.5)
    work()
    perf.send_signal(signal.SIGINT)
    perf.wait()
    found = collections.Counter()
    for address in r.run("perf", "script", "-i", data, "-F", "ip").split():
        at = bisect.bisect(managed, int(address, 16), key=lambda m: m[0]) - 1
        if at >= 0 and managed[at][1]:
            found[managed[at][1]] += 1
    return found
