"""The programs that are compared: how each is configured and started, and what the kernel says about it."""
import hashlib
import json
import os
import pathlib
import socket
import subprocess
import time

ORIGIN = "origin.bench"
TICKS = os.sysconf("SC_CLK_TCK")
# Where each listens; None is the way without a proxy.
PORTS = {"nginx": None, "discobot": 17080, "squid": 17083, "mitmproxy": 17084}


class Server:
    """A running program and its children."""

    def __init__(self, name, arguments, log, port, host="127.0.0.1"):
        self.name, self.port = name, port
        self.log = log
        with open(log, "ab") as out:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
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
        """CPU-seconds used so far, in user and system."""
        return sum(int(f) for pid in self.tree() for f in stat(pid)[11:13]) / TICKS

    def forget_peak(self):
        for pid in self.tree():
            pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")

    def memory(self, field):
        """MiB of VmHWM (the peak) or VmRSS."""
        total = 0
        for pid in self.tree():
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(field + ":"):
                    total += int(line.split()[1])
        return total / 1024

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def stat(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def wait_for(host, port, server, limit=60):
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
        (tls / "san").write_text(f"subjectAltName=DNS:{ORIGIN}\nbasicConstraints=CA:FALSE\n")
        for name in ("origin-ca", "squid-ca"):
            run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", tls / f"{name}.key", "-out", tls / f"{name}.crt")
        # P-256, like the leaves that the proxies make: the handshake costs the same on every way.
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={ORIGIN}",
            "-keyout", tls / "origin.key", "-out", tls / "origin.csr")
        run("openssl", "x509", "-req", "-in", tls / "origin.csr", "-CA", tls / "origin-ca.crt", "-CAkey", tls / "origin-ca.key",
            "-CAcreateserial", "-days", "30", "-extfile", tls / "san", "-out", tls / "origin.crt")

    def start(self, names):
        for name in names:
            self.servers[name] = getattr(self, f"start_{name}")()
        tls = self.work / "tls"
        with open(tls / "all.pem", "w") as all_roots:
            for root in (tls / "origin-ca.crt", tls / "squid-ca.crt", self.work / "mitmproxy/mitmproxy-ca-cert.pem", self.work / "discobot/certs/ca.crt"):
                if root.exists():
                    all_roots.write(root.read_text())

    def stop(self):
        for server in self.servers.values():
            server.stop()

    def start_nginx(self):
        """As its documentation advises for files: sendfile, one worker a core. No access log, which flatters it: it is the limit."""
        conf = self.work / "nginx.conf"
        conf.write_text(f"""
user root; worker_processes auto; daemon off; pid {self.work}/nginx.pid; error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; default_type application/octet-stream;
  ssl_certificate {self.work}/tls/origin.crt; ssl_certificate_key {self.work}/tls/origin.key; ssl_protocols TLSv1.2 TLSv1.3;
  client_body_temp_path {self.work}/nginx-body; proxy_temp_path {self.work}/nginx-proxy;
  server {{
    listen 127.0.0.2:80 backlog=4096; listen 127.0.0.2:443 ssl http2 backlog=4096; server_name {ORIGIN}; root {self.work}/www;
    # As registries do: what an address with a digest names never changes.
    location /v2/ {{ add_header Cache-Control "max-age=31536000, immutable"; }}
    location = /two {{ default_type text/plain; add_header Cache-Control no-store; return 200 "ok"; }}
  }}
}}
""")
        return Server("nginx", ["nginx", "-c", str(conf)], self.work / "nginx.log", 443, "127.0.0.2")

    def discobot_config(self, name, port):
        home = self.work / name
        home.mkdir(exist_ok=True)
        conf = home / "config.yaml"
        conf.write_text(json.dumps({
            "proxy": {"port": port, "api_port": port + 1},
            "api": {"token_file": f"{home}/token"},
            "tls": {"cert_dir": f"{home}/certs", "extra_ca": [f"{self.work}/tls/origin-ca.crt"]},
            "cache": {"dir": f"{home}/cache", "max_size": "40GiB"},
        }))
        return [self.binary, "proxy", "-config", str(conf)]

    def start_discobot(self):
        port = PORTS["discobot"]
        return Server("discobot", self.discobot_config("discobot", port), self.work / "discobot.log", port)

    def start_squid(self):
        """ssl-bump and disk cache as in the wiki's examples; files of any size may be stored."""
        home = self.work / "squid"
        (home / "cache").mkdir(parents=True)
        tls = self.work / "tls"
        (home / "ca.pem").write_text((tls / "squid-ca.crt").read_text() + (tls / "squid-ca.key").read_text())
        run("/usr/lib/squid/security_file_certgen", "-c", "-s", home / "certs", "-M", "16MB")
        (home / "squid.conf").write_text(f"""
http_port 127.0.0.1:{PORTS["squid"]} ssl-bump tls-cert={home}/ca.pem generate-host-certificates=on dynamic_cert_mem_cache_size=16MB
sslcrtd_program /usr/lib/squid/security_file_certgen -s {home}/certs -M 16MB
acl step1 at_step SslBump1
ssl_bump peek step1
ssl_bump bump all
tls_outgoing_options cafile={tls}/origin-ca.crt
http_access allow all
cache_dir aufs {home}/cache 20000 16 256
maximum_object_size 8 GB
cache_mem 256 MB
access_log stdio:{home}/access.log
cache_log {home}/cache.log
pid_filename {home}/squid.pid
coredump_dir {home}
visible_hostname squid.bench
shutdown_lifetime 1 seconds
""")
        run("chown", "-R", "proxy:proxy", home)
        run("squid", "-N", "-z", "-f", home / "squid.conf")
        return Server("squid", ["squid", "-N", "-f", str(home / "squid.conf")], self.work / "squid.log", PORTS["squid"])

    def start_mitmproxy(self):
        """Bodies streamed, as its documentation advises for large ones."""
        return Server("mitmproxy", [
            "mitmdump", "-q", "--listen-host", "127.0.0.1", "-p", str(PORTS["mitmproxy"]), "--set", f"confdir={self.work}/mitmproxy",
            "--set", "stream_large_bodies=1m", "--set", f"ssl_verify_upstream_trusted_ca={self.work}/tls/origin-ca.crt",
        ], self.work / "mitmproxy.log", PORTS["mitmproxy"])
