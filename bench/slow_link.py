"""A slow link: relays TCP to ORIGIN, all connections together at RATE megabits a second, each byte half a round trip late.

    slow_link.py PORT ORIGIN:PORT RATE_MBIT ROUND_TRIP_MS [ADDRESS]

Stands in for `tc netem`, which not every kernel has.
"""
import asyncio
import sys

CHUNK = 16 * 1024


class Link:
    """One direction of the line: bytes leave one after the other, and arrive later by the delay."""

    def __init__(self, mbit, delay):
        self.per_byte = 8 / (mbit * 1e6)
        self.delay = delay
        self.free_at = 0.0

    def arrival(self, size):
        now = asyncio.get_running_loop().time()
        self.free_at = max(self.free_at, now) + size * self.per_byte
        return self.free_at + self.delay


async def relay(link, reader, writer):
    loop = asyncio.get_running_loop()
    # What is on its way at once is what the line holds, and no more: a window.
    window = asyncio.Queue(maxsize=64)

    async def deliver():
        while (item := await window.get()) is not None:
            at, data = item
            await asyncio.sleep(max(0, at - loop.time()))
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    delivery = asyncio.create_task(deliver())
    try:
        while data := await reader.read(CHUNK):
            if delivery.done():
                break
            await window.put((link.arrival(len(data)), data))
    finally:
        if not delivery.done():
            await window.put(None)
        await asyncio.gather(delivery, return_exceptions=True)


async def main(port, origin, mbit, round_trip, address="0.0.0.0"):
    host, origin_port = origin.rsplit(":", 1)
    delay = float(round_trip) / 2000
    down, up = Link(float(mbit), delay), Link(float(mbit), delay)

    async def accept(client_reader, client_writer):
        # The handshake with a far server takes a round trip of its own.
        await asyncio.sleep(2 * delay)
        reader, writer = await asyncio.open_connection(host, int(origin_port))
        await asyncio.gather(relay(up, client_reader, writer), relay(down, reader, client_writer), return_exceptions=True)
        writer.close()
        client_writer.close()

    server = await asyncio.start_server(accept, address, int(port), backlog=1024)
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
