"""How costs grow: the start with the entries of the cache, transfers with their size, requests with their clients."""
import hashlib
import json
import math
import os
import socket
import subprocess
import time
import urllib.request

import clients as c
import peers
import rig as r
import work as w


def slope(points):
    """The exponent b of cost = a * size^b, by least squares in logarithms: 1 is proportional, 0 does not grow. One point has none."""
    if len(points) < 2:
        return None
    logs = [(math.log(size), math.log(max(cost, 1e-9))) for size, cost in points]
    x, y = (sum(column) / len(logs) for column in zip(*logs))
    return sum((a - x) * (b - y) for a, b in logs) / sum((a - x) ** 2 for a, _ in logs)


def transfers(rig):
    """CPU-seconds and peak MiB of cached and of missed bodies of several sizes, as many of each as make the same number of bytes."""
    server, grown = rig.servers["discobot"], {}
    size = rig.blob_bytes
    while size >= 1 << 20 and len(grown.setdefault("hit_cpu", [])) < 4:
        paths = [rig.make_blob(size) for _ in range(rig.blob_bytes // size)] if size < rig.blob_bytes else [rig.large]
        urls = [c.HTTPS + path for path in paths]
        w.clear()
        for kind in ("miss", "hit"):
            server.forget_peak()
            before = server.cpu()
            c.curl(rig, urls, size, "--http1.1", *c.proxy("discobot"))
            w.wait_stored(len(urls))
            grown.setdefault(f"{kind}_cpu", []).insert(0, (size >> 20, (server.cpu() - before) / len(urls)))
            grown.setdefault(f"{kind}_memory", []).insert(0, (size >> 20, server.memory("VmHWM")))
        size //= 8
    return grown


def requests(rig, seconds):
    """CPU-seconds of 1,000 requests, and peak MiB, by how many clients send them."""
    server, grown = rig.servers["discobot"], {"request_cpu": [], "request_memory": []}
    for clients in (1, 10, 100, 1000):
        server.forget_peak()
        before = server.cpu()
        _, answers = c.hey("discobot", c.HTTPS + rig.small, clients, seconds)
        grown["request_cpu"].append((clients, (server.cpu() - before) / answers * 1000))
        grown["request_memory"].append((clients, server.memory("VmHWM")))
    return grown


class Starts:
    """The start with a cache that holds more and more."""

    def __init__(self, rig, port):
        self.port, self.have = port, 0
        self.command = peers.discobot_command(rig, "start", port)
        self.directory, self.log = rig.work / "start" / "cache", rig.work / "start.log"
        self.directory.mkdir(parents=True)

    def measure(self, entries, times):
        """(milliseconds until both ports serve, until every entry is known, MiB then) of several starts; the first of them without a snapshot."""
        self.add(entries)
        (self.directory / ".index").unlink(missing_ok=True)
        return [self.start(entries) for _ in range(times + 1)]

    def add(self, entries):
        """As discobot writes them (EntryMetadata.cs), all with the same byte as body."""
        digest = hashlib.sha256(b"x").hexdigest()
        for i in range(self.have, entries):
            key = f"registry.bench/v2/repository-{i % 100}/blobs/sha256:{i:064x}"
            name = f"{self.directory}/{hashlib.sha256(key.encode()).hexdigest()}"
            # A link is made in half the time of a file; ext4 allows 65,000 to one.
            if i == self.have or i % 50_000 == 0:
                write(name, b"x")
                body = name
            else:
                os.link(body, name)
            write(name + ".meta", b'{"key":"%s","size":1,"sha256":"%s","stored_at":%d,"kind":"blob","headers":[["Content-Type",'
                  b'"application/octet-stream"],["ETag","\\"%d\\""]]}' % (key.encode(), digest.encode(), 1700000000000 + i, i))
        self.have = max(self.have, entries)

    def start(self, entries):
        with open(self.log, "wb") as log:
            begun = time.perf_counter()
            process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                until(lambda: socket.create_connection(("127.0.0.1", self.port), 1).close(), process)
                until(lambda: urllib.request.urlopen(f"http://127.0.0.1:{self.port + 1}/health", timeout=5).close(), process)
                serving = time.perf_counter() - begun
                while w.api("/api/cache/stats", port=self.port + 1)["entries"] < entries:
                    time.sleep(0.005)
                known = time.perf_counter() - begun
                memory = r.memory(process.pid, "VmRSS")
            except OSError as e:
                raise SystemExit(f"discobot did not start ({e}):\n" + self.log.read_text()[-2000:]) from None
            finally:
                process.terminate()
                process.wait(60)
        return serving * 1000, known * 1000, memory


def write(path, content):
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(file, content)
    os.close(file)


def until(action, process):
    end = time.monotonic() + 60
    while True:
        try:
            return action()
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.0005)
