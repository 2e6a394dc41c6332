"""The world outside a container under test: http on 80, https on 443, a server that speaks first on 5432, a name server on 53, at its own address
and at those of TEST-NET-3 and 2001:db8::1. And a record of every IP packet that arrives: a line in /tmp/packets with the sender's hardware address,
protocol, destination and destination port. The names asked for are in /tmp/names. Its certificate is in /tls. All of it is in the directory that
it is given, where it is given one."""
import http.server, socket, ssl, struct, subprocess, sys, threading, time


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = ("hello %s\n" % self.headers.get("Host")).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True


def web(port, tls):
    server = Server(("::", port), Page)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates + "/server.crt", certificates + "/server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


def greet():
    listener = socket.create_server(("::", 5432), family=socket.AF_INET6, dualstack_ipv6=True)
    while True:
        client, _ = listener.accept()
        client.sendall(b"greetings\n")
        client.close()


def names():
    """Every name is at this server's own address, but a-1-2-3-4.allowed.test, which is at 1.2.3.4; there is a text for each; whatever ends in silent.test is never answered."""
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.bind(("::", 53))
    with open(records + "/names", "w", buffering=1) as record:
        while True:
            query, client = server.recvfrom(4096)
            if len(query) < 17:
                continue
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1").lower())
                at += 1 + query[at]
            kind = struct.unpack("!H", query[at + 1:at + 3])[0]
            name = ".".join(labels)
            record.write(name + "\n")
            if name.endswith("silent.test"):
                continue
            data = {1: socket.inet_aton(name.split(".")[0][2:].replace("-", ".") if name.startswith("a-") else own_address), 16: b"\x04text"}.get(kind)
            record_bytes = b"" if data is None else b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data
            answer = query[:2] + b"\x81\x80\0\1" + struct.pack("!H", data is not None) + b"\0\0\0\0" + query[12:at + 5] + record_bytes
            server.sendto(answer, client)


def record():
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    with open(records + "/packets", "w", buffering=1) as record:
        print("outside", flush=True)
        while True:
            packet, (name, kind, direction, _, sender) = packets.recvfrom(65536)
            if name == "lo" or direction == socket.PACKET_OUTGOING:
                continue
            if kind == 0x0800 and len(packet) >= 20:
                destination = socket.inet_ntoa(packet[16:20])
                protocol, head = packet[9], (packet[0] & 15) * 4
            elif kind == 0x86DD and len(packet) >= 40:
                destination = socket.inet_ntop(socket.AF_INET6, packet[24:40])
                protocol, head = packet[6], 40
                if protocol == 0 and packet[40] == 58 and packet[48] == 143 and packet[60:61] == b"\xff" and packet[61] & 15 != 2:
                    # Which group of more than this link somebody is in is that somebody's to choose.
                    destination, protocol = socket.inet_ntop(socket.AF_INET6, packet[60:76]), 143
                if protocol == 58 and packet[40] == 135 and packet[60:62] == b"\x0b\xad":
                    destination, protocol = socket.inet_ntop(socket.AF_INET6, packet[48:64]), 135
                # Neighbours find each other, and say which groups they are in.
                if protocol == 0 or (protocol == 58 and packet[40] in (130, 131, 132, 133, 134, 135, 136, 143)):
                    continue
            elif kind == 0x0806 and packet[6:8] == b"\0\1" and 213 <= packet[27] <= 217:
                # Nobody is there: whom somebody looks for is what it tells.
                destination, protocol, head = socket.inet_ntoa(packet[24:28]), 2054, 0
            else:
                continue
            port = struct.unpack("!H", packet[head + 2:head + 4])[0] if protocol in (6, 17) and len(packet) >= head + 4 else 0
            record.write("%s %d %s %d\n" % (":".join("%02x" % byte for byte in sender), protocol, destination, port))


certificates, records = (sys.argv[1], sys.argv[1]) if len(sys.argv) > 1 else ("/tls", "/tmp")
own_address = socket.gethostbyname(socket.gethostname())
for more in ("203.0.113.1/32", "203.0.113.7/32"):
    subprocess.run(["ip", "address", "add", more, "dev", "lo"], check=True)
# Neighbours are told of the addresses of the interface that they ask at alone.
uplink = next(name for _, name in socket.if_nameindex() if name != "lo")
subprocess.run(["ip", "address", "add", "2001:db8::1/128", "dev", uplink, "nodad"], check=True)
for target in ((web, 80, False), (web, 443, True), (greet,), (names,)):
    threading.Thread(target=target[0], args=target[1:], daemon=True).start()
record()
