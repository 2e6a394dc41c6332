"""The origin and its files, running programs, and what the kernel says about them."""
import dataclasses
import hashlib
import os
import pathlib
import socket
import subprocess
import sys
import time

ORIGIN, HOSTS = "origin.bench", "hosts.bench"
# The slowed origin: 50 MB/s for all connections together.
SLOW_MBIT, SLOW_ROUND_TRIP_MS = 400, 20
TICKS = os.sysconf("SC_CLK_TCK")
# Name: address; beside them, every name below HOSTS is the origin.
ADDRESSES = {ORIGIN: "127.0.0.2", "slow.bench": "127.0.0.3", "mirror.bench": "127.0.0.4", "echo.bench": "127.0.0.5", "led.bench": "127.0.0.6"}


@dataclasses.dataclass(frozen=True)
class Way:
    """How clients get at what a program serves."""
    port: int | None = None  # of a proxy on the loopback; None is the way without one
    host: str = ORIGIN       # a mirror has a name of its own

    @property
    def address(self):
        return ADDRESSES[self.host]


WAYS = {
    "nginx": Way(), "discobot": Way(17080), "squid": Way(17083), "mitmproxy": Way(17084), "registry": Way(host="mirror.bench"),
    "dante": Way(17085), "microsocks": Way(17086), "connect": Way(17087),
}


class Server:
    """A running program and its children."""

    def __init__(self, name, arguments, log, port, host="127.0.0.1", environment=None):
        self.name, self.log = name, log
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                [str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=os.environ | (environment or {}))
        wait_for(host, port, self)

    def tree(self):
        """The process ids: its own and those of all that descend from it."""
        parents = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    fields = stat(entry)
                except OSError:
                    continue
                parents.setdefault(int(fields[1]), []).append(int(entry))
        found, todo = [], [self.process.pid]
        while todo:
            found.append(todo.pop())
            todo += parents.get(found[-1], [])
        return found

    def cpu(self):
        """CPU-seconds used so far, in user and system, also by children that have ended."""
        return sum(int(f) for pid in self.tree() for f in stat(pid)[11:15]) / TICKS

    def forget_peak(self):
        for pid in self.tree():
            pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")

    def memory(self, field):
        """MiB of VmHWM (the peak) or VmRSS."""
        return sum(memory(pid, field) for pid in self.tree())

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def memory(pid, field):
    """MiB, from what the kernel says about a process."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":")), 0)


def stat(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def wait_for(host, port, server, limit=60):
    if port is None:
        return
    end = time.monotonic() + limit
    while True:
        try:
            socket.create_connection((host, port), 1).close()
            return
        except OSError:
            if server.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{server.name} does not listen on {port}:\n" + pathlib.Path(server.log).read_text()[-2000:])
            time.sleep(0.02)


def run(*arguments, **options):
    return subprocess.run([str(a) for a in arguments], check=True, capture_output=True, text=True, **options).stdout


class Rig:
    """The origin, its files, and everything that stands before it."""

    def __init__(self, work, binary, blob_bytes):
        self.work, self.binary = pathlib.Path(work), os.path.abspath(binary)
        self.work.chmod(0o755)
        self.servers = {}
        self.origin = []
        self.slow_log = self.work / "slow.log"
        self.blob_bytes = blob_bytes
        self.files = self.work / "www" / "v2" / "bench" / "blobs"
        self.files.mkdir(parents=True)
        self.large = self.make_blob(blob_bytes)
        self.small = self.make_blob(4096)
        self.make_authorities()

    def make_blob(self, size):
        """A file named after its digest, as in a registry. Returns its path in addresses."""
        digest = hashlib.sha256()
        with open(self.files / "new", "wb") as file:
            for left in range(size, 0, -(1 << 20)):
                piece = os.urandom(min(left, 1 << 20))
                digest.update(piece)
                file.write(piece)
        name = f"sha256:{digest.hexdigest()}"
        (self.files / "new").rename(self.files / name)
        return f"/v2/bench/blobs/{name}"

    def make_authorities(self):
        tls = self.work / "tls"
        tls.mkdir()
        names = ",".join(f"DNS:{name}" for name in [*ADDRESSES, f"*.{HOSTS}"])
        (tls / "san").write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
        for name in ("origin-ca", "squid-ca"):
            run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", tls / f"{name}.key", "-out", tls / f"{name}.crt")
        # P-256, like the leaves that the proxies make: the handshake costs the same on every way.
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={ORIGIN}",
            "-keyout", tls / "origin.key", "-out", tls / "origin.csr")
        run("openssl", "x509", "-req", "-in", tls / "origin.csr", "-CA", tls / "origin-ca.crt", "-CAkey", tls / "origin-ca.key",
            "-CAcreateserial", "-days", "30", "-extfile", tls / "san", "-out", tls / "origin.crt")

    def start_origin(self):
        """What is behind nginx and beside it: the link that slows it down, names, echoes."""
        tls, here = self.work / "tls", pathlib.Path(__file__).parent
        for name, address, port, *arguments in (
                ("slow_link", "slow.bench", 443, 443, "127.0.0.2:8443", SLOW_MBIT, SLOW_ROUND_TRIP_MS, ADDRESSES["slow.bench"]),
                ("echo", "echo.bench", 443, ADDRESSES["echo.bench"], 443, tls / "origin.crt", tls / "origin.key"),
                ("names", None, None, "127.0.0.1")):
            self.origin.append(Server(name, [sys.executable, "-B", here / f"{name}.py", *arguments], self.work / f"{name}.log",
                                      port, ADDRESSES.get(address)))

    def start(self, starters):
        """Starts each program (`start_NAME` in peers.py), nginx first: it is everyone's origin."""
        self.starters = starters
        for name, starter in starters.items():
            self.servers[name] = starter(self)
            if name == "nginx":
                self.start_origin()
        tls = self.work / "tls"
        with open(tls / "all.pem", "w") as all_roots:
            for root in (tls / "origin-ca.crt", tls / "squid-ca.crt", self.work / "mitmproxy/mitmproxy-ca-cert.pem", self.work / "discobot/certs/ca.crt", self.work / "connect/certs/ca.crt"):
                if root.exists():
                    all_roots.write(root.read_text())

    def restart(self, name):
        self.servers[name].stop()
        self.servers[name] = self.starters[name](self)

    def stop(self):
        for server in [*self.servers.values(), *self.origin]:
            server.stop()
