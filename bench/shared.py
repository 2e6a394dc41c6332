"""What containers that share bodies take from their origin, and what an outage of their store costs a pull. bench/shared.sh makes the machines.

A container is a proxy with an empty cache of its own and a client beside it that pulls the whole set, three bodies at a time, as Docker does; every
body is hashed by the client. Bytes are those that the origin and the store (bench/blobs.py) sent, begun bodies with them.
"""
import concurrent.futures
import contextlib
import ctypes
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

MACHINES, A_MACHINE, AT_A_TIME = (1, 2), 10, 3
ORIGIN, STORE, STORE_PORT = "origin.test", "store.test", 8080
LAYERS, SMALL, SMALL_BYTES = 16, 4, 10_000
OUTAGE_MEGABYTES, ROUNDS = 100, 3
CLONE_NEWNET = 0x40000000
here, libc = pathlib.Path(__file__).parent, ctypes.CDLL(None, use_errno=True)


def enter(machine):
    """The calling thread alone is on that machine from now on, with the sockets that it makes."""
    with open(f"/run/netns/machine{machine}", encoding="ascii") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


def make_set(directory, megabytes):
    """Bodies named after their digests: layers, and what is small as manifests and configurations are."""
    directory.mkdir()
    names = {}
    for size in [SMALL_BYTES] * SMALL + [megabytes * 1_000_000 // LAYERS] * LAYERS:
        body = os.urandom(size)
        name = hashlib.sha256(body).hexdigest()
        (directory / name).write_bytes(body)
        names[name] = size
    return names


class Blobs:
    """The origin or the store, and what it has sent."""

    def __init__(self, directory, address, port):
        self.directory, self.log = directory, directory.with_suffix(".log")
        directory.mkdir(exist_ok=True)
        self.log.touch()
        self.process = subprocess.Popen([sys.executable, "-B", here / "blobs.py", directory, address, str(port), self.log])
        until(lambda: connects(address, port), f"{directory.name} does not listen")

    def count(self, method):
        """Requests, and the bytes that went with them."""
        lines = [line.split() for line in self.log.read_text(encoding="ascii").splitlines()]
        return sum(line[0] == method for line in lines), sum(int(line[2]) for line in lines if line[0] == method)

    def stop(self):
        self.process.kill()
        self.process.wait()


class Container:
    def __init__(self, work, binary, machine, number, cache):
        self.machine, self.port, home = machine, 20000 + 2 * number, work / f"container{number}"
        home.mkdir()
        (home / "config.yaml").write_text(json.dumps({
            "proxy": {"port": self.port, "api_port": self.port + 1, "upstream": "direct"},
            "api": {"token_file": f"{home}/token"},
            "tls": {"cert_dir": f"{home}/certs"},
            "audit": {"file": f"{home}/audit.jsonl"},
            "logging": {"level": "warn"},
            # As little as will do: what is put into the cache is there for others as well.
            "cache": {"dir": f"{home}/cache", "max_size": "200MB"} | cache,
        }))
        with open(work / "proxies.log", "ab") as log:
            self.process = subprocess.Popen(["ip", "netns", "exec", f"machine{machine}", binary, "proxy", "--config", home / "config.yaml"],
                                            stdout=log, stderr=log, env={"PATH": os.environ["PATH"], "HOME": str(home)})

    def pull(self, names, begins=None):
        """Seconds until all of it was there and right."""
        enter(self.machine)
        until(lambda: connects("127.0.0.1", self.port), "a proxy does not listen")
        if begins:
            begins.wait(120)
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(AT_A_TIME, initializer=enter, initargs=(self.machine,)) as pool:
            list(pool.map(self.fetch, names.items()))
        return time.monotonic() - began

    def fetch(self, body):
        name, size = body
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        with contextlib.closing(connection):
            connection.request("GET", f"http://{ORIGIN}/v2/set/blobs/sha256:{name}", headers={"Host": ORIGIN})
            answer, digest, room = connection.getresponse(), hashlib.sha256(), memoryview(bytearray(1 << 18))
            got = 0
            while count := answer.readinto(room):
                digest.update(room[:count])
                got += count
            if answer.status != 200 or got != size or digest.hexdigest() != name:
                raise SystemExit(f"{answer.status}, {got} of {size} bytes of {name}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)

    def stopped(self):
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def connects(address, port):
    with contextlib.suppress(OSError), contextlib.closing(socket.create_connection((address, port), 1)):
        return True
    return False


def until(holds, otherwise, limit=300):
    end = time.monotonic() + limit
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(otherwise)
        time.sleep(0.02)


class Bench:
    def __init__(self, work, binary):
        self.work, self.binary = pathlib.Path(work), binary
        self.runs = 0

    @contextlib.contextmanager
    def run(self, origin, store=None):
        """A directory for one run; the origin with its files; the store with those that it begins with."""
        self.runs += 1
        work = self.work / f"run{self.runs}"
        work.mkdir()
        servers = [Blobs(origin, ORIGIN, 80)]
        try:
            if store is not None:
                servers.append(Blobs(store, STORE, STORE_PORT))
            yield work, *servers
        finally:
            for server in servers:
                server.stop()
                server.log.unlink()
            shutil.rmtree(work)

    @contextlib.contextmanager
    def containers(self, work, places):
        """One container for each (machine, its section `cache`)."""
        started = []
        try:
            for number, (machine, cache) in enumerate(places):
                started.append(Container(work, self.binary, machine, number, cache))
            yield started
        finally:
            for container in started:
                container.stop()
            for container in started:
                container.stopped()

    def pull_all(self, containers, names):
        begins = threading.Barrier(len(containers))
        with concurrent.futures.ThreadPoolExecutor(len(containers)) as pool:
            return max(pool.map(lambda container: container.pull(names, begins), containers))

    def bytes(self, title, names, origin, apart, one_directory):
        """One row: what the origin and the store sent while all containers pulled the set, the second machine's `apart` from the first's or with them."""
        total = sum(names.values())
        store = None if one_directory else self.work / f"store{self.runs}"
        with self.run(origin, store) as (work, *servers):
            places = []
            for machine in MACHINES:
                shared = work / ("shared" if one_directory else f"shared{machine}")
                shared.mkdir(exist_ok=True)
                cache = {"shared": str(shared)} | ({} if one_directory else {"remote": {"http": f"http://{STORE}:{STORE_PORT}/cas"}})
                places += [(machine, cache)] * A_MACHINE
            with self.containers(work, places) as containers:
                if apart:
                    took = self.pull_all(containers[:A_MACHINE], names)
                    until(lambda: sum(1 for name in names if (store / name).exists()) == len(names), "not all of it was uploaded", 600)
                    took += self.pull_all(containers[A_MACHINE:], names)
                else:
                    took = self.pull_all(containers, names)
            (heads, _), (_, sent) = servers[0].count("HEAD"), servers[0].count("GET")
            given, taken = (servers[1].count("GET")[1], servers[1].count("PUT")[1]) if store else (0, 0)
        if store:
            shutil.rmtree(store)
        print(f"| {title} | {sent / total:.3f}x | {heads} | {given / total:.2f}x | {taken / total:.2f}x | {took:.0f} s |", flush=True)

    def outage(self, title, names, origin, before, during):
        """Seconds of one container's pull, the median and all: the store begins with the bodies of `before`; `during` happens to it while the pull runs."""
        times = []
        for _ in range(ROUNDS):
            store = self.work / "store"
            store.mkdir()
            for name in before or ():
                os.link(origin / name, store / name)
            with self.run(origin, store if before is not None else None) as (work, _, *stores):
                cache = {"remote": {"http": f"http://{STORE}:{STORE_PORT}/cas"}} if title != "no store" else {}
                with self.containers(work, [(1, cache)]) as (container,), concurrent.futures.ThreadPoolExecutor(2) as pool:
                    pulled = pool.submit(container.pull, names)
                    if during:
                        during(stores[0], names)
                    times.append(pulled.result())
                    for server in stores:
                        server.process.send_signal(signal.SIGCONT)
            shutil.rmtree(store)
        return title, statistics.median(times), times


def halted_at_once(store, _):
    store.process.send_signal(signal.SIGSTOP)


def halted_in_the_middle(store, names):
    """Once it has sent some of the layers, and is in the middle of others."""
    until(lambda: store.count("GET")[1] > sum(names.values()) / 3, "nothing came from the store")
    store.process.send_signal(signal.SIGSTOP)


def killed_in_the_middle(store, names):
    until(lambda: store.count("GET")[1] > sum(names.values()) / 3, "nothing came from the store")
    store.process.kill()


def main(work, binary, megabytes):
    bench = Bench(work, binary)
    origin = bench.work / "origin"
    names = make_set(origin, int(megabytes))
    print(f"{len(MACHINES) * A_MACHINE} containers on {len(MACHINES)} machines pull {sum(names.values()) / 1e9:.2f} GB in {len(names)} bodies, 100 Mbit/s to each machine\n")
    print("| | from the origin | HEAD | from the store | to the store | until the last had it |\n|---|---|---|---|---|---|", flush=True)
    bench.bytes("one directory for both machines, all at once", names, origin, False, True)
    bench.bytes("a directory each and a store, one machine after the other", names, origin, True, False)
    bench.bytes("a directory each and a store, all at once", names, origin, False, False)
    shutil.rmtree(origin)
    names = make_set(origin, OUTAGE_MEGABYTES)
    print(f"\nOne container pulls {sum(names.values()) / 1e6:.0f} MB, median of {ROUNDS}:\n\n| the store | seconds | more than without one |\n|---|---|---|", flush=True)
    rows = [bench.outage("no store", names, origin, None, None), bench.outage("refuses connections", names, origin, None, None),
            bench.outage("silent from the beginning", names, origin, [], halted_at_once), bench.outage("silent in the middle", names, origin, list(names), halted_in_the_middle),
            bench.outage("killed in the middle", names, origin, list(names), killed_in_the_middle)]
    for title, took, times in rows:
        print(f"| {title} | {took:.1f} ({', '.join(f'{one:.1f}' for one in sorted(times))}) | {took - rows[0][1]:+.1f} s |", flush=True)


main(*sys.argv[1:])
