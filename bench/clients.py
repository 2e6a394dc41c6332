"""The clients: curl for large bodies, hey for many requests, sockets of our own for what neither counts. All check what they get."""
import csv
import re
import socket
import ssl
import struct
import time

import rig as r

HTTPS = f"https://{r.ORIGIN}"


def proxy(name):
    port = r.WAYS[name].port
    return ["-x", f"http://127.0.0.1:{port}"] if port else []


def url(name, path):
    return f"https://{r.WAYS[name].host}{path}"


def curl(rig, urls, expect, *more):
    """Bytes a second over downloads of `expect` bytes, one after the other."""
    got = r.run("curl", "-sS", "--fail", "--cacert", rig.work / "tls/all.pem", *more,
                "-w", "%{size_download} %{time_total} %{http_version}\\n", *(a for u in urls for a in ("-o", "/dev/null", u))).split("\n")[:-1]
    version = "2" if "--http2" in more else "1.1"
    if len(got) != len(urls) or any(line.split()[::2] != [str(expect), version] for line in got):
        raise SystemExit(f"curl {' '.join(map(str, more))}: {urls[0]} brought {got[0]} instead of {expect} bytes by HTTP/{version}")
    return expect * len(urls) / sum(float(line.split()[1]) for line in got)


def hey(name, address, clients, seconds, *more):
    """Answers a second, and how many; anything but 200 ends the benchmark."""
    out = r.run("hey", "-c", clients, "-z", f"{seconds}s", "-disable-compression", *more, *proxy(name), address)
    statuses = re.findall(r"\[(\d+)\]\s+(\d+) responses", out)
    answers = sum(int(n) for _, n in statuses)
    errors = sum(int(n) for n in re.findall(r"^\s+\[(\d+)\]\s+(?!\d+ responses)", out, re.M))
    if {s for s, _ in statuses} != {"200"} or errors > answers / 1000:
        raise SystemExit(f"{name}: {address}\n{out}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), answers


def hey_times(name, address, clients, seconds, rate):
    """The sorted milliseconds that each answer took, requests being sent at `rate` a second."""
    out = r.run("hey", "-c", clients, "-z", f"{seconds}s", "-q", rate / clients, "-o", "csv", "-disable-compression", *proxy(name), address)
    rows = list(csv.DictReader(out.splitlines()))
    if {row["status-code"] for row in rows} != {"200"}:
        raise SystemExit(f"{name}: {address} answered {({row['status-code'] for row in rows})}")
    return sorted(float(row["response-time"]) * 1000 for row in rows)


def question(number, name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", number, 256, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


def names(server, asked, clients, seconds):
    """Answers a second, with as many questions on their way; each of the names first once, so that it is known."""
    names_times(server, asked)
    questions = [question(number, name) for number, name in enumerate(asked)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect(server)
        for number in range(clients):
            s.send(questions[number])
        answers, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < seconds:
            check(s.recv(512))
            s.send(questions[answers % len(questions)])
            answers += 1
        return answers / (time.perf_counter() - begun)


def names_times(server, asked):
    """The milliseconds that each answer takes, one after the other."""
    times = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect(server)
        for number, name in enumerate(asked):
            begun = time.perf_counter()
            s.send(question(number, name))
            check(s.recv(512))
            times.append((time.perf_counter() - begun) * 1000)
    return times


def check(answer):
    """An answer with an address in it."""
    if answer[3] & 15 or answer[6:8] != b"\0\1":
        raise SystemExit(f"a name server answered {answer}")


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def trust(rig):
    context = ssl.create_default_context(cafile=rig.work / "tls/all.pem")
    context.set_alpn_protocols(["http/1.1"])
    return context


def connect(context, name, host):
    """A TLS connection to the host, through the proxy if there is one, its certificate verified."""
    port = r.WAYS[name].port
    plain = socket.create_connection(("127.0.0.1", port) if port else (r.ADDRESSES.get(host, r.ADDRESSES[r.ORIGIN]), 443), 30)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if port:
        plain.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
        head = read_head(plain)
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise SystemExit(f"{name}: CONNECT {host}: {head}")
    return context.wrap_socket(plain, server_hostname=host)


def ask(connection, host, path, status, *fields):
    """One request; its answer's head."""
    connection.sendall("\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}", *fields, "\r\n"]).encode())
    head = read_head(connection)
    if f" {status} ".encode() not in head.split(b"\r\n")[0]:
        raise SystemExit(f"{host}{path}: {head}")
    return head


def read_head(connection):
    head = b""
    while b"\r\n\r\n" not in head:
        if not (piece := connection.recv(4096)):
            raise SystemExit(f"a connection ended after {head}")
        head += piece
    return head
