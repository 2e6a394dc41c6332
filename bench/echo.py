"""A WebSocket server that says what it hears (RFC 6455), over TLS: messages of up to 125 bytes, each in one frame.

    echo.py ADDRESS PORT CERTIFICATE KEY
"""
import asyncio
import base64
import hashlib
import re
import ssl
import sys

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Echo(asyncio.Protocol):
    def __init__(self):
        self.held = b""
        self.upgraded = False

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.held += data
        if not self.upgraded:
            self.upgrade()
        while self.upgraded and len(self.held) >= 2 and len(self.held) >= (size := 6 + (self.held[1] & 0x7F)):
            self.frame(self.held[0] & 0x0F, self.held[2:6], self.held[6:size])
            self.held = self.held[size:]

    def upgrade(self):
        head, found, self.held = self.held.partition(b"\r\n\r\n")
        if not found:
            self.held = head
            return
        key = re.search(rb"(?i)^Sec-WebSocket-Key: *(\S+)", head, re.M)[1]
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        self.transport.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        self.upgraded = True

    def frame(self, kind, mask, payload):
        if kind == 8:
            self.transport.close()
        elif kind in (1, 2):
            plain = bytes(b ^ m for b, m in zip(payload, mask * 32)) if any(mask) else payload
            self.transport.write(bytes([0x80 | kind, len(plain)]) + plain)


async def main(address, port, certificate, key):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server = await asyncio.get_running_loop().create_server(Echo, address, int(port), ssl=tls, backlog=4096)
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
