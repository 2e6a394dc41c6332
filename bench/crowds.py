"""The measurements of many at once: clients of one image, hosts, tunnels, WebSockets."""
import collections
import concurrent.futures
import select
import ssl
import subprocess
import time

import clients as c
import peers
import rig as r

IMAGE_BYTES = 200_000_000
PULLERS = 100
# Seconds after which a crowd is cut off: what it reached until then is the figure.
LIMIT = 30
TEXT = 32
# A binary message of 32 bytes in one masked frame (RFC 6455, 5.2), and how many bytes its echo takes.
MESSAGE, ECHO = bytes([0x82, 0x80 | TEXT]) + bytes(4) + b"x" * TEXT, 2 + TEXT


class Crowds:
    def __init__(self, rig, seconds, crowd, hosts):
        """crowd: how many tunnels and WebSockets; hosts: how many names."""
        self.rig, self.seconds, self.crowd, self.hosts_count = rig, seconds, crowd, hosts
        self.turns = collections.Counter()

    def pulls(self, name):
        """100 clients at once get one image that nobody has yet, over the slow link: MB/s of all together, and images in and out."""
        if name == "squid":
            peers.squid_collapses(self.rig, "on")
        path = self.rig.make_blob(IMAGE_BYTES)
        host = r.WAYS[name].host if r.WAYS[name].host != r.ORIGIN else "slow.bench"
        self.rig.slow_log.write_text("")
        begun = time.perf_counter()
        out = subprocess.run(
            ["curl", "-sS", "-Z", "--parallel-immediate", "--parallel-max", str(PULLERS), "-m", str(LIMIT), "--fail", "--http1.1",
             "--cacert", str(self.rig.work / "tls/all.pem"), *c.proxy(name), "-w", "%{exitcode} %{size_download}\\n",
             *["-o", "/dev/null", f"https://{host}{path}"] * PULLERS], capture_output=True, text=True, check=False).stdout
        took = time.perf_counter() - begun
        ended = [line.split() for line in out.splitlines()]
        # 28: the limit. Whatever else goes wrong ends the benchmark.
        if len(ended) != PULLERS or {code for code, _ in ended} - {"0", "28"} or any(n != str(IMAGE_BYTES) for code, n in ended if code == "0"):
            raise SystemExit(f"{name}: pulls of {path}: {ended}")
        delivered = sum(int(size) for _, size in ended)
        if name == "squid":
            peers.squid_collapses(self.rig, "off")
        return {"pulls": delivered / took / 1e6, "pulls_delivered": delivered / IMAGE_BYTES, "pulls_origin": self.sent_by_origin() / IMAGE_BYTES}

    def sent_by_origin(self):
        """nginx logs an answer when it is over; those that were cut off end when the link has noticed."""
        before, sent = -1, 0
        while sent != before:
            time.sleep(0.5)
            before, sent = sent, sum(int(line) for line in self.rig.slow_log.read_text().split())
        return sent

    def hosts(self, name):
        """TLS handshakes a second with hosts never seen before, then with the last of them again; MiB that they left behind."""
        context, server = c.trust(self.rig), self.fresh(name)
        before, spent = server.memory("VmRSS"), server.cpu()
        self.turns[name] += 1
        names = [f"h{i}-{self.turns[name]}.{r.HOSTS}" for i in range(self.hosts_count)]
        cold, done = self.handshakes(context, name, names)
        spent = server.cpu() - spent
        warm, _ = self.handshakes(context, name, names[max(0, done - 500):done] * 2)
        return {"hosts_cold": cold, "hosts_cold_cpu": spent / done * 1000, "hosts_warm": warm, "hosts_done": done,
                "hosts_memory": server.memory("VmRSS") - before}

    def handshakes(self, context, name, names):
        """By eight clients. Returns the rate, and how many of the names there was time for."""
        end = time.perf_counter() + LIMIT
        todo = iter(names)

        def one_after_the_other():
            done = 0
            for host in todo:
                c.connect(context, name, host).close()
                done += 1
                if time.perf_counter() > end:
                    break
            return done

        begun = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            done = sum(task.result() for task in [pool.submit(one_after_the_other) for _ in range(8)])
        return done / (time.perf_counter() - begun), done

    def tunnels(self, name):
        """KiB of resident memory for each TLS connection that has had one answer and is kept."""
        context, server = c.trust(self.rig), self.fresh(name)
        before = server.memory("VmRSS")
        connections = [c.connect(context, name, r.ORIGIN) for _ in range(self.crowd)]
        for connection in connections:
            c.ask(connection, r.ORIGIN, "/two", 200)
        time.sleep(1)
        each = (server.memory("VmRSS") - before) * 1024 / self.crowd
        close(connections)
        return {"tunnels": each}

    def sockets(self, name):
        """WebSockets: KiB for each; times of echoes when all together get 1,000 messages a second; echoes a second of 64 that never wait."""
        context, server = c.trust(self.rig), self.fresh(name)
        before = server.memory("VmRSS")
        connections = [self.websocket(context, name, i) for i in range(self.crowd)]
        time.sleep(1)
        each = (server.memory("VmRSS") - before) * 1024 / self.crowd
        times = sorted(echoes(connections, self.seconds, 1000))
        spent = server.cpu()
        busy = len(echoes(connections[:64], self.seconds, 1e9))
        spent = server.cpu() - spent
        close(connections)
        # Without a proxy there is nginx no more: the echo comes from a program of its own.
        own = {"sockets": each, "sockets_cpu": spent / busy * 1000} if r.WAYS[name].port else {}
        return own | {"sockets_p50": c.percentile(times, 0.5), "sockets_p99": c.percentile(times, 0.99), "sockets_rate": busy / self.seconds}

    def websocket(self, context, name, number):
        connection = c.connect(context, name, "echo.bench")
        c.ask(connection, "echo.bench", f"/?{number}", 101, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
              "Sec-WebSocket-Key: ZGlzY29ib3QtYmVuY2gtMDE=")
        return connection

    def fresh(self, name):
        """A program with nothing behind it but a few answers: its memory is then that of the crowd. nginx stays, it is the origin."""
        if r.WAYS[name].port:
            self.rig.restart(name)
            c.hey(name, c.url(name, "/two"), 8, 0.5)
        return self.rig.servers[name]


def close(connections):
    for connection in connections:
        connection.close()


def echoes(connections, seconds, rate):
    """Milliseconds of each echo from when its message was due: one that had to wait for its turn is not forgotten."""
    idle, due, heard, times = collections.deque(connections), {}, {}, []
    by_number = {connection.fileno(): connection for connection in connections}
    poll = select.epoll()
    for number, connection in by_number.items():
        connection.setblocking(False)
        poll.register(number, select.EPOLLIN)
    begun = following = time.perf_counter()
    while (now := time.perf_counter()) < begun + seconds or len(idle) < len(connections):
        if now > begun + seconds + LIMIT:
            raise SystemExit(f"{len(connections) - len(idle)} echoes did not come")
        while idle and following <= now < begun + seconds:
            connection = idle.popleft()
            due[connection.fileno()] = max(following, begun)
            connection.send(MESSAGE)
            following += 1 / rate
        for number, _ in poll.poll(max(0, min(following - now, 0.1)) if idle else 0.1):
            try:
                got = by_number[number].recv(4096)
            except ssl.SSLWantReadError:
                continue
            if not got:
                raise SystemExit("a WebSocket was closed")
            heard[number] = heard.get(number, 0) + len(got)
            if heard[number] >= ECHO:
                heard[number] = 0
                times.append((time.perf_counter() - due[number]) * 1000)
                idle.append(by_number[number])
    poll.close()
    return times
