"""What each line is, and which target it has."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Line:
    title: str
    unit: str
    more: bool = True             # is more better?
    against: str | None = None    # the program that discobot is held against
    how: str = "ratio"            # to it; or distance from it, in the unit; or value, without it
    target: float | None = None   # at least; at most where less is better


LINES = {
    "hit_h1": Line("{blob} cached blob over TLS, one client, HTTP/1.1", "GB/s", True, "nginx", "ratio", 0.9),
    "hit_h2": Line("{blob} cached blob over TLS, one client, HTTP/2", "GB/s", True, "nginx", "ratio", 0.75),
    "small": Line("4 KiB cached blobs, 32 kept-alive clients", "requests/s", True, "nginx", "ratio", 0.65),
    "connects": Line("CONNECT + TLS + one request, no keep-alive", "requests/s", True, "nginx", "ratio", 0.7),
    "latency": Line("uncached 2-byte answer, one client", "ms", False, "nginx", "distance", 0.10),
    "miss": Line("{blob} miss, hashed and stored while streamed", "GB/s", True, "mitmproxy", "ratio", 1.2),
    "plain": Line("plain HTTP, 32 clients, uncached", "requests/s", True, "squid", "ratio", 3.0),
    "streams": Line("4 KiB cached blobs, 100 streams of one HTTP/2 connection", "requests/s", True, "nginx"),
    "half_p50": Line("4 KiB cached blobs at half of the own maximum: median", "ms", False),
    "half_p99": Line("the same: 99 %", "ms", False),
    "half_p999": Line("the same: 99.9 %", "ms", False),
    "socks": Line("{blob} over plain HTTP through SOCKS5", "GB/s", True, "nginx"),
    "transparent": Line("4 KiB cached blobs, 32 kept-alive clients that a packet filter leads here", "requests/s", True, "connect", "ratio", 1.0),
    "transparent_connects": Line("the same: a connection for each request, 16 clients", "requests/s", True, "connect", "ratio", 1.0),
    "dns": Line("questions for names that were asked before, 32 on their way", "answers/s", True, "nginx"),
    "dns_new": Line("a question for a new name, one at a time", "ms", False, "nginx", "distance"),
    "packument_fresh": Line("a document of npm's, 100 KB, fresh, 32 clients", "requests/s", True, "nginx"),
    "packument_confirmed": Line("the same, which its origin confirms each time", "requests/s", True, "nginx"),
    "install": Line("200 cached files of 4 KiB, 16 at once, as one installation asks for them", "ms", False, "nginx", "distance"),
    "proof": Line("{blob} blob that is here, at an address nobody has asked for: proven by its origin, which a miss downloads", "GB/s", True, "nginx"),
    "pulls": Line("100 clients pull a new image of 200 MB over a link of 50 MB/s, at most 30 s: all together", "MB/s", True, "squid"),
    "pulls_delivered": Line("the same: images delivered by then, 100 being all", "images"),
    "pulls_origin": Line("the same: images that the origin had to send for them", "images", False),
    "hosts_cold": Line("TLS handshakes with hosts never seen before (up to {hosts:,} in 30 s)", "handshakes/s", True, "squid"),
    "hosts_warm": Line("the last 500 of them, twice more", "handshakes/s", True, "squid"),
    "hosts_memory": Line("resident memory that they left", "MiB", False),
    "hosts_done": Line("hosts that there was time for", "hosts"),
    "tunnels": Line("{crowd:,} idle tunnels, each after one answer: resident memory of one", "KiB", False, "squid"),
    "sockets": Line("{crowd:,} idle WebSockets: resident memory of one", "KiB", False, "squid"),
    "sockets_p50": Line("the same with 1,000 messages a second: median time of an echo", "ms", False, "nginx", "distance"),
    "sockets_p99": Line("the same: 99 %", "ms", False, "nginx", "distance"),
    "sockets_rate": Line("64 WebSockets that send as soon as they hear", "echoes/s", True, "nginx"),
}

COSTS = {
    "hit_h1_cpu": Line("{blob} cached blob, HTTP/1.1", "CPU-s/GiB", False),
    "hit_h2_cpu": Line("{blob} cached blob, HTTP/2", "CPU-s/GiB", False),
    "miss_cpu": Line("{blob} miss, hashed and stored", "CPU-s/GiB", False, None, "value", 2.5),
    "socks_cpu": Line("{blob} through SOCKS5", "CPU-s/GiB", False),
    "small_cpu": Line("4 KiB cached blobs, 32 kept-alive clients", "CPU-s/1,000 requests", False),
    "connects_cpu": Line("CONNECT + TLS + one request", "CPU-s/1,000 requests", False),
    "streams_cpu": Line("4 KiB cached blobs, 100 HTTP/2 streams", "CPU-s/1,000 requests", False),
    "plain_cpu": Line("plain HTTP, uncached", "CPU-s/1,000 requests", False),
    "packument_fresh_cpu": Line("a document of npm's, fresh", "CPU-s/1,000 requests", False),
    "packument_confirmed_cpu": Line("the same, confirmed", "CPU-s/1,000 requests", False),
    "transparent_cpu": Line("4 KiB cached blobs, redirected", "CPU-s/1,000 requests", False),
    "transparent_connects_cpu": Line("the same: a connection for each request", "CPU-s/1,000 requests", False),
    "hosts_cold_cpu": Line("TLS handshakes with hosts never seen before", "CPU-s/1,000 hosts", False),
    "sockets_cpu": Line("echoes of WebSockets", "CPU-s/1,000 echoes", False),
}

# Points of (size, cost), all of discobot.
GROWTH = {
    "hit_cpu": ("CPU-seconds of a cached body", "MiB"),
    "miss_cpu": ("CPU-seconds of a miss", "MiB"),
    "hit_memory": ("peak MiB while bodies are sent from the cache", "MiB"),
    "miss_memory": ("peak MiB while bodies are fetched and stored", "MiB"),
    "request_cpu": ("CPU-seconds of 1,000 requests", "clients"),
    "request_memory": ("peak MiB while they are sent", "clients"),
    "start": ("ms from the start until both ports serve", "entries"),
    "loaded": ("ms until every entry is known, with a snapshot", "entries"),
    "loaded_no_snapshot": ("ms until every entry is known, without one", "entries"),
    "entries_memory": ("MiB when every entry is known", "entries"),
}

# Of the start: entries, milliseconds at most.
STARTS = {100: 60, 100_000: 1000}

# What bench-quick looks at, all against nginx. The miss's target names mitmproxy, whose way through runs at about a quarter of nginx's speed.
GUARD = {"hit_h1": 0.9, "hit_h2": 0.75, "small": 0.65, "connects": 0.7, "miss": 0.3}
