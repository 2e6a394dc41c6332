"""The measurements of single transfers and of requests: each takes the figures of one program."""
import json
import statistics
import time
import urllib.request

import clients as c
import peers
import rig as r


class Work:
    """What can be measured; the names are those of the lines in report.py."""

    def __init__(self, rig, seconds):
        self.rig, self.seconds = rig, seconds
        self.misses = self.asked = 0
        self.rates = {}

    def prime(self, names):
        for name in names:
            for path, size in ((self.rig.large, self.rig.blob_bytes), (self.rig.small, 4096)):
                c.curl(self.rig, [c.url(name, path)], size, "--http1.1", *c.proxy(name))

    def hit_h1(self, name):
        return self.transfer("hit_h1", name, c.url(name, self.rig.large), "--http1.1", *c.proxy(name))

    def hit_h2(self, name):
        return self.transfer("hit_h2", name, c.url(name, self.rig.large), "--http2", *c.proxy(name))

    def socks(self, name):
        """Plain HTTP inside: TLS would be between client and origin, and hide what the relay costs."""
        port = r.WAYS[name].port
        way = ["--socks5-hostname", f"127.0.0.1:{port}"] if port else []
        return self.transfer("socks", name, f"http://{r.ORIGIN}{self.rig.large}", "--http1.1", *way)

    def miss(self, name):
        """The whole blob from the origin. squid gets another address each time, discobot, which goes by the digest, an empty cache."""
        path = self.rig.large
        if name == "discobot":
            clear()
        elif name == "squid":
            self.misses += 1
            path += f"?{self.misses}"
        return self.transfer("miss", name, c.url(name, path), "--http1.1", *c.proxy(name), after=wait_stored if name == "discobot" else None)

    def small(self, name):
        return self.requests("small", name, c.url(name, self.rig.small), 32)

    def connects(self, name):
        return self.requests("connects", name, c.url(name, self.rig.small), 16, "-disable-keepalive")

    def streams(self, name):
        """One HTTP/2 connection with 100 streams, as many as servers commonly allow (RFC 9113, 6.5.2)."""
        return self.requests("streams", name, c.url(name, self.rig.small), 100, "-h2")

    def transparent(self, name):
        """Small cached blobs by redirected connections ("discobot"), and the same through CONNECT of the same process."""
        with peers.led():
            return self.led("transparent", name, 32) | self.led("transparent_connects", name, 16, "-disable-keepalive")

    def led(self, line, name, clients, *more):
        way, host = ("connect", r.ORIGIN) if name == "connect" else ("nginx", "led.bench")
        address = f"https://{host}{self.rig.small}"
        c.curl(self.rig, [address], 4096, "--http1.1", *c.proxy(way))
        before = self.rig.servers["connect"].cpu()
        rate, answers = c.hey(way, address, clients, self.seconds, *more)
        return {line: rate, f"{line}_cpu": (self.rig.servers["connect"].cpu() - before) / answers * 1000}

    def dns(self, name):
        """Questions for names, at our resolver and at the name server that it asks: of names that it knows by now, and one at a time of new ones."""
        server = ("127.0.0.1", peers.DNS_PORT if name == "discobot" else 53)
        rate = c.names(server, [f"h{i}.{r.HOSTS}" for i in range(200)], 32, self.seconds)
        self.asked += 1
        times = c.names_times(server, [f"h{i}.round-{self.asked}.{r.HOSTS}" for i in range(1000)])
        return {"dns": rate, "dns_new": statistics.median(times)}

    def plain(self, name):
        return self.requests("plain", name, f"http://{r.ORIGIN}/two", 32)

    def latency(self, name):
        return {"latency": 1000 / c.hey(name, c.HTTPS + "/two", 1, self.seconds)[0]}

    def half(self, name):
        """Times of single answers at half of the rate that the program reached in `small`."""
        if name not in self.rates:
            self.small(name)
        times = c.hey_times(name, c.url(name, self.rig.small), 32, self.seconds, statistics.median(self.rates[name]) / 2)
        return {f"half_{label}": c.percentile(times, share) for label, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))}

    def transfer(self, line, name, address, *more, after=None):
        """GB/s of the large blob, and CPU-seconds of the program for each GiB."""
        server = self.rig.servers[name]
        before = server.cpu()
        speed = c.curl(self.rig, [address], self.rig.blob_bytes, *more) / 1e9
        if after:
            after()
        return {line: speed, f"{line}_cpu": (server.cpu() - before) / (self.rig.blob_bytes / (1 << 30))}

    def requests(self, line, name, address, clients, *more):
        """Answers a second, and CPU-seconds of the program for 1,000 of them."""
        server = self.rig.servers[name]
        before = server.cpu()
        rate, answers = c.hey(name, address, clients, self.seconds, *more)
        if line == "small":
            self.rates.setdefault(name, []).append(rate)
        return {line: rate, f"{line}_cpu": (server.cpu() - before) / answers * 1000}


def api(path, method="GET", port=r.WAYS["discobot"].port + 1):
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method), timeout=30) as answer:
        return json.load(answer)


def clear():
    api("/api/cache", "DELETE")


def wait_stored(entries=1):
    end = time.monotonic() + 30
    while api("/api/cache/stats")["entries"] < entries:
        if time.monotonic() > end:
            raise SystemExit("discobot: the miss was not stored")
        time.sleep(0.01)
