"""From figures to ratios, a table and a chart."""
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess

import chart

# name: what it is, unit, more is better, against whom, how (ratio, or distance in the unit), at least (at most where less is better)
LINES = {
    "hit_h1": ("{blob} cached blob over TLS, one client, HTTP/1.1", "GB/s", True, "nginx", "ratio", 0.9),
    "hit_h2": ("{blob} cached blob over TLS, one client, HTTP/2", "GB/s", True, "nginx", "ratio", 0.75),
    "small": ("4 KiB cached blobs, 32 kept-alive clients", "requests/s", True, "nginx", "ratio", 0.65),
    "connects": ("CONNECT + TLS + one request, no keep-alive", "requests/s", True, "nginx", "ratio", 0.7),
    "latency": ("uncached 2-byte answer, one client", "ms", False, "nginx", "distance", 0.10),
    "miss": ("{blob} miss, hashed and stored while streamed", "GB/s", True, "mitmproxy", "ratio", 1.2),
    "miss_cpu": ("the same: CPU of the proxy", "CPU-s/GiB", False, None, "value", 2.5),
    "plain": ("plain HTTP, 32 clients, uncached", "requests/s", True, "squid", "ratio", 3.0),
}

# What bench-quick looks at, all against nginx. The miss's target names mitmproxy, whose way through runs at about a quarter of nginx's speed.
GUARD = {"hit_h1": 0.9, "hit_h2": 0.75, "small": 0.65, "connects": 0.7, "miss": 0.3}


def guard(line, figures, attempt):
    measured, target = ratio(figures["discobot"], figures["nginx"]), GUARD[line]
    verdict = "meets its target" if measured >= target else "is short of its target" if measured >= target / 2 else "has halved"
    print(f"bench-quick, try {attempt}: {LINES[line][0].format(blob='128 MiB')}: {measured:.2f}x nginx {verdict} ({target}x)", flush=True)
    return measured >= target / 2


def ratio(ours, theirs):
    """The median of the ratios within each round: what slows a whole round down cancels out."""
    return statistics.median(a / b for a, b in zip(ours, theirs))


def judge(name, figures):
    """How discobot stands to its target: the figure as text, and whether it is met."""
    _, unit, more, against, how, target = LINES[name]
    ours = figures["discobot"]
    if how == "value":
        value = statistics.median(ours)
        return f"{value:.2f} {unit}", f"<= {target}", value <= target
    if against not in figures:
        return "-", f"{target} against {against}", None
    if how == "distance":
        value = statistics.median(a - b for a, b in zip(ours, figures[against]))
        return f"+ {value:.3f} {unit}", f"+ {target:.2f} {unit} to {direct(against)}", value <= target
    value = ratio(ours, figures[against])
    return f"{value:.2f}x {direct(against)}", f"{target}x {direct(against)}", value >= target


def direct(peer):
    return "direct" if peer == "nginx" else peer


def write(directory, results, memory, how):
    directory = pathlib.Path(directory)
    machine = describe(how["binary"])
    blob = f"{how['blob_mib'] >> 10} GiB" if how["blob_mib"] % 1024 == 0 else f"{how['blob_mib']} MiB"
    out = {"how": how, "machine": machine, "results": results, "memory_mib": memory}
    (directory / "results.json").write_text(json.dumps(out, indent=1) + "\n")
    (directory / "results.md").write_text("\n".join(markdown(results, memory, how, machine, blob)) + "\n")
    lines = {k: (v[0].format(blob=blob), v[1], v[2]) for k, v in LINES.items() if k in results}
    (directory / "results.svg").write_text(chart.draw(lines, results))
    print((directory / "results.md").read_text())


def markdown(results, memory, how, machine, blob):
    peers = list(dict.fromkeys(name for figures in results.values() for name in figures))
    yield f"Measured {machine['date']}: {machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, load before {machine['load']}; "
    yield f"{', '.join(machine['versions'])}. Medians of {how['rounds']} interleaved rounds; requests/s over {how['seconds']:g} s each."
    yield "direct is nginx without a proxy: the same files over TLS."
    yield ""
    yield "| work | unit | " + " | ".join(direct(p) for p in peers) + " | discobot against | target | met |"
    yield "|---|---|" + "---|" * (len(peers) + 3)
    for name, (title, unit, *_) in LINES.items():
        if name in results:
            figure, target, met = judge(name, results[name])
            cells = [f"{statistics.median(results[name][p]):,.4g}" if p in results[name] else "-" for p in peers]
            yield f"| {title.format(blob=blob)} | {unit} | {' | '.join(cells)} | {figure} | {target} | {mark(met)} |"
    yield from own(results, memory, peers, blob)
    yield ""
    yield "Against the other proxies (more than 1 is faster): " + "; ".join(versus(results)) + "."


def own(results, memory, peers, blob):
    large = {p: max(m["peak"] for line, m in memory.get(p, {}).items() if line in ("hit_h1", "hit_h2", "miss")) for p in peers if p in memory}
    cells = " | ".join(f"{large[p]:.0f}" if p in large else "-" for p in peers)
    yield f"| peak resident memory in {blob} transfers | MiB | {cells} | - | < 64 MiB | {mark(large['discobot'] < 64)} |"
    for name, limit in (("start_100", 60), ("start_100000", 1000)):
        if name in results:
            value = statistics.median(results[name]["discobot"])
            cells = " | ".join(f"{value:.0f}" if p == "discobot" else "-" for p in peers)
            yield f"| start until both ports serve, {int(name[6:]):,} entries | ms | {cells} | - | < {limit} ms | {mark(value < limit)} |"


def versus(results):
    for peer in ("squid", "mitmproxy"):
        found = []
        for name, (_, _, more, *_) in LINES.items():
            figures = results.get(name, {})
            if peer in figures:
                value = ratio(figures["discobot"], figures[peer])
                found.append(f"{name} {value if more else 1 / value:.2f}")
        if found:
            yield f"{peer}: {', '.join(found)}"


def mark(met):
    return "-" if met is None else "yes" if met else "**no**"


def describe(binary):
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    return {
        "date": datetime.date.today().isoformat(), "cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(),
        "load": f"{os.getloadavg()[2]:.1f}", "versions": [v for v in (
            version(binary, "--version", prefix="discobot "), version("nginx", "-v"), version("squid", "-v"), version("mitmdump", "--version"),
            version("curl", "--version")) if v],
    }


def version(*command, prefix=""):
    try:
        out = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    first = (out.stdout + out.stderr).strip().splitlines()[0]
    return prefix + first.replace("nginx version: ", "").replace("Squid Cache: Version", "squid").replace("Mitmproxy:", "mitmproxy").split(" (")[0]
