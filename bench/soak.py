"""Soak: mixed load with faults for MINUTES (20), in a network, a mount and a process namespace of its own (bench/soak.sh).

Every answer is checked byte by byte. An error counts as explained while a fault lasts that explains its kind, and ten seconds after; any other ends
the soak with exit code 1, and so does growth between the third minute and the last by more than 5 % (and more than what one connection needs).
"""
import asyncio
import collections
import hashlib
import json
import os
import pathlib
import random
import signal
import ssl
import struct
import subprocess
import sys
import time

SERVER, CLIENT, DNS, PROXY, API, TRANSPARENT, NAMES = "10.198.51.1", "10.198.51.77", "10.198.51.53", 17080, 17081, 17090, 17053
HOST = "origin.test"
GRACE = 10
work, executable, minutes = pathlib.Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
BLOBS = [random.Random(i).randbytes(random.Random(i).choice((4 << 10, 300 << 10, 3 << 20))) for i in range(64)]
DIGESTS = ["sha256:" + hashlib.sha256(b).hexdigest() for b in BLOBS]
faults, history, errors, times, samples, counts = {}, [], collections.Counter(), collections.defaultdict(list), [], collections.Counter()
unexplained = []
# Which kinds of load a fault may disturb. What is not named here must go on as if nothing were.
DISTURBS = {
    "origin away": {"package", "websocket", "socks", "transparent", "pull"},
    "proxy killed": {"package", "websocket", "socks", "transparent", "pull"},
    "names away": {"package", "websocket", "socks", "transparent", "pull"},
    "disk full": set(), "reload": set(),
}


class Origin:
    """Registry, packages, an echo: over TLS and without it."""

    def __init__(self):
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(work / "server.pem", work / "server.key")
        self.servers, self.writers = [], set()

    async def start(self):
        self.servers = [await asyncio.start_server(self.serve, SERVER, 443, ssl=self.tls), await asyncio.start_server(self.serve, SERVER, 80)]

    async def stop(self):
        for server in self.servers:
            server.close()
        for writer in list(self.writers):
            writer.transport.abort()

    async def serve(self, reader, writer):
        self.writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                path = head.split(" ", 2)[1]
                if "upgrade: websocket" in head.lower():
                    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
                    while data := await reader.read(65536):
                        writer.write(data)
                        await writer.drain()
                    return
                status, fields, body = self.answer(path, head)
                length = "" if status == "304 Not Modified" else f"Content-Length: {len(body)}\r\n"
                writer.write(f"HTTP/1.1 {status}\r\n{length}{fields}\r\n".encode() + (b"" if head.startswith("HEAD") else body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, TimeoutError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    @staticmethod
    def answer(path, head):
        if path.startswith("/v2/app/blobs/"):
            return "200 OK", "Content-Type: application/octet-stream\r\n", BLOBS[DIGESTS.index(path.rsplit("/", 1)[1])]
        if path.startswith("/package/"):
            etag = f'ETag: "{path}"\r\nCache-Control: max-age=2\r\n'
            return ("304 Not Modified", etag, b"") if f'"{path}"' in head else ("200 OK", etag, path.encode() * 200)
        return "200 OK", "Cache-Control: no-store\r\n", path.encode()


class NameServer(asyncio.DatagramProtocol):
    silent = False

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        if self.silent:
            return
        end = data.index(b"\0", 12) + 5
        kind = struct.unpack("!H", data[end - 4:end - 2])[0]
        answer = b"\xc0\x0c" + struct.pack("!HHIH4s", 1, 1, 1, 4, bytes(map(int, SERVER.split(".")))) if kind == 1 else b""
        self.transport.sendto(data[:2] + b"\x81\x80\0\1" + struct.pack("!H", 1 if answer else 0) + b"\0\0\0\0" + data[12:end] + answer, address)


class Proxy:
    def __init__(self):
        self.process = None

    async def start(self):
        with open(work / "proxy.log", "ab") as log:
            self.process = subprocess.Popen([executable, "proxy", "--config", work / "config.yaml"], stdout=log, stderr=log, env={"HOME": str(work), "PATH": os.environ["PATH"]})
        for _ in range(600):
            try:
                (await asyncio.open_connection("127.0.0.1", PROXY))[1].close()
                return
            except OSError:
                await asyncio.sleep(0.05)
        raise SystemExit("the proxy did not start: " + (work / "proxy.log").read_text()[-2000:])

    def sample(self):
        place = pathlib.Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":\t", 1) for line in (place / "status").read_text().splitlines() if ":\t" in line)
        temporary = sum(1 for f in (work / "disk").rglob("*") if f.is_file() and (f.suffix in (".tmp", ".part", ".new") or "tmp" in f.name))
        return {"time": time.monotonic(), "RSS, KiB": int(status["VmRSS"].split()[0]), "descriptors": len(os.listdir(place / "fd")), "threads": int(status["Threads"]),
                "temporary files": temporary}


async def request(reader, writer, path, host=HOST, absolute=False):
    writer.write(f"GET {f'http://{host}{path}' if absolute else path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = next((int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:")), None)
    if length is None:
        raise ValueError("no length: " + head[:60])
    return int(head.split(" ", 2)[1]), await reader.readexactly(length)


async def connected(tls=None):
    reader, writer = await asyncio.open_connection("127.0.0.1", PROXY)
    if tls:
        writer.write(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head:
            raise ValueError(head[:40].decode())
        await writer.start_tls(tls, server_hostname=HOST)
    return reader, writer


async def fetch(tls, wanted):
    reader, writer = await connected(tls)
    try:
        for path, expected in wanted:
            status, body = await request(reader, writer, path)
            if status != 200 or body != expected:
                raise ValueError(f"{status}, {len(body)} of {len(expected)} bytes")
    finally:
        writer.transport.abort()


async def pull(tls):
    await fetch(tls, [(f"/v2/app/blobs/{DIGESTS[i]}", BLOBS[i]) for i in random.sample(range(len(BLOBS)), 4)])


async def package(tls):
    await fetch(tls, [(path, path.encode() * 200) for path in (f"/package/{random.randrange(200)}" for _ in range(4))])


async def websocket(tls):
    reader, writer = await connected(tls)
    try:
        writer.write(f"GET /echo HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in head:
            raise ValueError(head[:40].decode())
        for size in (10, 1000, 60000):
            sent = os.urandom(size)
            writer.write(sent)
            if await reader.readexactly(size) != sent:
                raise ValueError("another echo")
    finally:
        writer.transport.abort()


async def socks(_):
    reader, writer = await asyncio.open_connection("127.0.0.1", PROXY)
    try:
        writer.write(b"\5\1\0")
        await reader.readexactly(2)
        writer.write(b"\5\1\0\3" + bytes([len(HOST)]) + HOST.encode() + struct.pack("!H", 80))
        if (answer := await reader.readexactly(10))[1]:
            raise ValueError(f"refused with {answer[1]}")
        await checked(reader, writer)
    finally:
        writer.transport.abort()


async def transparent(_):
    reader, writer = await asyncio.open_connection(SERVER, 80, local_addr=(CLIENT, 0))
    try:
        await checked(reader, writer)
    finally:
        writer.transport.abort()


async def checked(reader, writer):
    path = f"/plain/{random.random()}"
    status, body = await request(reader, writer, path)
    if status != 200 or body != path.encode():
        raise ValueError(f"{status}, {body[:60]}")


def explained(kind, now):
    return any(kind in DISTURBS[name] and start <= now <= (end or now) + GRACE for name, start, end in history)


async def client(kind, act, tls, stop):
    while not stop.is_set():
        began, phase = time.monotonic(), "+".join(sorted(faults)) or "no fault"
        try:
            await asyncio.wait_for(act(tls), 60)
            counts[kind] += 1
            times[kind, phase].append(time.monotonic() - began)
        except (OSError, ValueError, EOFError, TimeoutError, ssl.SSLError) as error:
            now, said = time.monotonic(), f"{type(error).__name__}: {str(error)[:80]}"
            is_explained = explained(kind, now) or explained(kind, began)
            errors[kind, "explained" if is_explained else "NOT EXPLAINED", said if not is_explained else phase] += 1
            if not is_explained:
                unexplained.append(f"{now - START:.0f} s {kind}: {said}")
        await asyncio.sleep(random.random() / 10)


async def during(name, seconds, begin, end):
    faults[name] = [name, time.monotonic(), None]
    history.append(faults[name])
    print(f"{time.monotonic() - START:6.0f} s  {name}", flush=True)
    await begin()
    await asyncio.sleep(seconds)
    await end()
    faults.pop(name)[2] = time.monotonic()


def configure(marker, proxy=None):
    (work / "new.yaml").write_text(f"""
allowlist: {{enabled: true, allow_private: true, domains: ["{HOST}", "n{marker}.test"]}}
headers: {{"{HOST}": {{set: {{X-Soak: "{marker}"}}}}}}
tls: {{cert_dir: {work}/certs, extra_ca: [{work}/ca.pem]}}
cache: {{dir: {work}/disk/cache, max_size: 32MiB, rules: [{{host: {HOST}, pattern: "^/package/"}}]}}
api: {{token_file: {work}/token}}
audit: {{file: {work}/audit.jsonl, max_size: 1MiB}}
logging: {{level: warn}}
egress: {{mode: redirect, port: {TRANSPARENT}, dns_port: {NAMES}}}
""")
    os.replace(work / "new.yaml", work / "config.yaml")
    if proxy:
        proxy.process.send_signal(signal.SIGHUP)


def growth():
    """What grew by more than 5 % from the third minute to the last: medians over a minute each."""
    def median(of, name):
        return sorted(s[name] for s in of)[len(of) // 2]
    third = [s for s in samples if 120 <= s["time"] - START <= 190] or samples[:1]
    last = samples[-12:]
    print("\n| | minute 3 | end |\n|---|---|---|")
    grown = []
    for name, slack in (("RSS, KiB", 2048), ("descriptors", 8), ("threads", 2), ("temporary files", 4)):
        before, after = median(third, name), median(last, name)
        print(f"| {name} | {before} | {after} |")
        if after > before * 1.05 + slack:
            grown.append(f"{name} grew from {before} to {after}")
    return grown


async def main():
    origin, proxy, stop = Origin(), Proxy(), asyncio.Event()
    await origin.start()
    _, names = await asyncio.get_running_loop().create_datagram_endpoint(NameServer, local_addr=(DNS, 53))
    configure(0)
    await proxy.start()
    tls = ssl.create_default_context(cafile=work / "certs/ca.crt")
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    load = [asyncio.create_task(client(act.__name__, act, tls, stop)) for act, number in ((pull, 3), (package, 4), (websocket, 2), (socks, 2), (transparent, 2)) for _ in range(number)]

    async def sampling():
        while not stop.is_set():
            await asyncio.sleep(5)
            if "proxy killed" not in faults:
                samples.append(proxy.sample())

    async def nothing():
        pass

    async def kill():
        proxy.process.kill()
        proxy.process.wait()
        await proxy.start()

    async def silence(value):
        NameServer.silent = value

    async def fill():
        with open(work / "disk/full", "wb") as full:
            try:
                while True:
                    full.write(b"\0" * (1 << 16))
                    full.flush()
            except OSError:
                pass

    async def empty():
        (work / "disk/full").unlink()

    async def reload():
        configure(round(time.monotonic()), proxy)

    sampler = asyncio.create_task(sampling())
    await asyncio.sleep(30)
    await during("proxy killed", 2, kill, nothing)
    # Until the third minute nothing else happens: what grows from then on is measured.
    await asyncio.sleep(max(0, START + 190 - time.monotonic()))
    left = START + minutes * 60 - 100 - time.monotonic()
    unit = max(1.0, min(60.0, left / 6))
    end = time.monotonic() + left
    while time.monotonic() < end - unit:
        for name, seconds, begin, finish in (("reload", 1, reload, nothing), ("origin away", unit / 2, origin.stop, origin.start), ("reload", 1, reload, nothing), ("disk full", unit, fill, empty),
                                             ("names away", unit, lambda: silence(True), lambda: silence(False))):
            if time.monotonic() > end - seconds:
                break
            await during(name, seconds, begin, finish)
            await asyncio.sleep(unit / 4)
    await asyncio.sleep(100)
    stop.set()
    await asyncio.gather(*load)
    await sampler
    await origin.stop()
    await asyncio.sleep(1)
    proxy.process.send_signal(signal.SIGTERM)
    code = proxy.process.wait(60)
    print(f"\n{sum(counts.values())} rounds: {dict(counts)}\n\n| load | phase | rounds | p99, ms |\n|---|---|---|---|")
    for (kind, phase), took in sorted(times.items()):
        print(f"| {kind} | {phase} | {len(took)} | {sorted(took)[len(took) * 99 // 100] * 1000:.0f} |")
    print("\n| load | | during, or what | errors |\n|---|---|---|---|")
    for (kind, how, what), number in sorted(errors.items()):
        print(f"| {kind} | {how} | {what} | {number} |")
    failures = growth() + unexplained[:20] + ([f"the proxy ended with {code}"] if code else [])
    print("\n" + ("\n".join(failures) or "no error that a fault does not explain, no growth"))
    (work / "soak.json").write_text(json.dumps({"samples": samples, "failures": failures}))
    return 1 if failures else 0

START = time.monotonic()
sys.exit(asyncio.run(main()))
