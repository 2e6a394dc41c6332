"""The measurements: each takes one figure of one program."""
import hashlib
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.request

import rig as r

HTTPS = f"https://{r.ORIGIN}"


def curl(rig, name, path, version, expect):
    """Bytes a second of one download, whose length is checked."""
    port = r.PORTS[name]
    way = ["-x", f"http://127.0.0.1:{port}"] if port else []
    got = r.run("curl", "-sS", "--fail", version, "--cacert", rig.work / "tls/all.pem", *way, "-o", "/dev/null",
                "-w", "%{size_download} %{time_total} %{http_version}", HTTPS + path).split()
    if int(got[0]) != expect or (version == "--http2") != (got[2] == "2"):
        raise SystemExit(f"{name}: {path} brought {got} instead of {expect} bytes")
    return expect / float(got[1])


def hey(name, url, clients, seconds, *more):
    """Answers a second; anything but 200 ends the benchmark."""
    port = r.PORTS[name]
    way = ["-x", f"http://127.0.0.1:{port}"] if port else []
    out = r.run("hey", "-c", clients, "-z", f"{seconds}s", "-disable-compression", *more, *way, url)
    statuses = re.findall(r"\[(\d+)\]\s+(\d+) responses", out)
    answers = sum(int(n) for _, n in statuses)
    errors = sum(int(n) for n in re.findall(r"^\s+\[(\d+)\]\s+(?!\d+ responses)", out, re.M))
    if {s for s, _ in statuses} != {"200"} or errors > answers / 1000:
        raise SystemExit(f"{name}: {url}\n{out}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])


class Work:
    """What can be measured; the names are those of the lines in report.py."""

    def __init__(self, rig, seconds):
        self.rig, self.seconds = rig, seconds
        self.misses = 0

    def prime(self, names):
        for name in names:
            for path, size in ((self.rig.large, self.rig.blob_bytes), (self.rig.small, 4096)):
                curl(self.rig, name, path, "--http1.1", size)

    def hit_h1(self, name):
        return {"hit_h1": curl(self.rig, name, self.rig.large, "--http1.1", self.rig.blob_bytes) / 1e9}

    def hit_h2(self, name):
        return {"hit_h2": curl(self.rig, name, self.rig.large, "--http2", self.rig.blob_bytes) / 1e9}

    def small(self, name):
        return {"small": hey(name, HTTPS + self.rig.small, 32, self.seconds)}

    def connects(self, name):
        return {"connects": hey(name, HTTPS + self.rig.small, 16, self.seconds, "-disable-keepalive")}

    def latency(self, name):
        return {"latency": 1000 / hey(name, HTTPS + "/two", 1, self.seconds)}

    def plain(self, name):
        return {"plain": hey(name, f"http://{r.ORIGIN}/two", 32, self.seconds)}

    def miss(self, name):
        """The whole blob from the origin. squid gets another address each time, discobot, which goes by the digest, an empty cache."""
        path = self.rig.large
        if name == "discobot":
            clear(r.PORTS[name] + 1)
        elif name == "squid":
            self.misses += 1
            path += f"?{self.misses}"
        server = self.rig.servers[name]
        before = server.cpu()
        speed = curl(self.rig, name, path, "--http1.1", self.rig.blob_bytes) / 1e9
        if name == "discobot":
            wait_stored(r.PORTS[name] + 1)
        return {"miss": speed, "miss_cpu": (server.cpu() - before) / (self.rig.blob_bytes / (1 << 30))}


def api(port, path, method="GET"):
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method), timeout=30) as answer:
        return json.load(answer)


def clear(port):
    api(port, "/api/cache", "DELETE")


def wait_stored(port, entries=1):
    end = time.monotonic() + 30
    while entries_of(api(port, "/api/cache/stats")) < entries:
        if time.monotonic() > end:
            raise SystemExit("discobot: the miss was not stored")
        time.sleep(0.01)


def entries_of(statistics):
    return statistics["entries"]


def make_entries(directory, count):
    """A cache directory as discobot writes it (EntryMetadata.cs)."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    digest = hashlib.sha256(b"x").hexdigest()
    for i in range(count):
        key = f"registry.bench/v2/repository-{i % 100}/blobs/sha256:{i:064x}"
        name = directory / hashlib.sha256(key.encode()).hexdigest()
        name.write_bytes(b"x")
        name.with_suffix(".meta").write_text(json.dumps({
            "key": key, "size": 1, "sha256": digest, "stored_at": 1700000000000 + i, "kind": "blob",
            "headers": [["Content-Type", "application/octet-stream"], ["ETag", f"\"{i}\""]]}, separators=(",", ":")))


def start_time(rig, arguments, port, entries):
    """Milliseconds until the proxy port accepts and the API answers, and until every entry is known."""
    log = open(rig.work / "start.log", "wb")
    begun = time.perf_counter()
    process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until(lambda: socket.create_connection(("127.0.0.1", port), 1).close(), process)
        until(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port + 1}/health", timeout=5).close(), process)
        serving = time.perf_counter() - begun
        while entries_of(api(port + 1, "/api/cache/stats")) < entries:
            time.sleep(0.005)
        known = time.perf_counter() - begun
    except OSError as e:
        raise SystemExit(f"discobot did not start ({e}):\n" + (rig.work / "start.log").read_text()[-2000:]) from None
    finally:
        process.terminate()
        process.wait(30)
        log.close()
    return serving * 1000, known * 1000


def until(action, process):
    end = time.monotonic() + 60
    while True:
        try:
            return action()
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.0005)
