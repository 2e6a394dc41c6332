"""From figures to ratios, tables and a chart."""
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess

import chart
import growth
from lines import COSTS, GROWTH, GUARD, LINES, STARTS


def guard(line, figures, attempt):
    measured, target = ratio(figures["discobot"], figures["nginx"]), GUARD[line]
    verdict = "meets its target" if measured >= target else "is short of its target" if measured >= target / 2 else "has halved"
    print(f"bench-quick, try {attempt}: {LINES[line].title.format(blob='128 MiB')}: {measured:.2f}x nginx {verdict} ({target}x)", flush=True)
    return measured >= target / 2


def ratio(ours, theirs):
    """The median of the ratios within each round: what slows a whole round down cancels out."""
    return statistics.median(a / b for a, b in zip(ours, theirs))


def judge(line, figures):
    """How discobot stands to its target: the figure, the target, and whether it is met, as text."""
    ours, theirs = figures.get("discobot"), figures.get(line.against)
    if not ours or (line.how != "value" and not theirs) or (line.how == "ratio" and not all(theirs)):
        return "-", "-", "-"
    if line.how == "value":
        value = statistics.median(ours)
        return f"{value:.2f} {line.unit}", f"<= {line.target}", met(value <= line.target)
    peer = direct(line.against)
    if line.how == "distance":
        value = statistics.median(a - b for a, b in zip(ours, theirs))
        return (f"{value:+.3f} {line.unit}", *((f"+ {line.target:.2f} {line.unit} to {peer}", met(value <= line.target)) if line.target else ("-", "-")))
    value = ratio(ours, theirs)
    return (f"{value:.2f}x {peer}", *((f"{line.target}x {peer}", met(value >= line.target)) if line.target else ("-", "-")))


def direct(peer):
    return "direct" if peer == "nginx" else peer


def met(yes):
    return "yes" if yes else "**no**"


def write(directory, results, memory, grown, how):
    directory = pathlib.Path(directory)
    machine = describe(how["binary"])
    words = {"blob": f"{how['blob_mib'] >> 10} GiB" if how["blob_mib"] % 1024 == 0 else f"{how['blob_mib']} MiB",
             "crowd": how["crowd"], "hosts": how["hosts"]}
    out = {"how": how, "machine": machine, "results": results, "memory_mib": memory,
           "growth": {name: {"points": points, "slope": growth.slope(points)} for name, points in grown.items()}}
    (directory / "results.json").write_text(json.dumps(out, indent=1) + "\n")
    (directory / "results.md").write_text("\n".join(markdown(results, memory, grown, how, machine, words)) + "\n")
    bars = {name: (line.title.format(**words), line.unit, line.more) for name, line in (LINES | COSTS).items() if name in results}
    (directory / "results.svg").write_text(chart.draw(bars, results))
    print((directory / "results.md").read_text())


def markdown(results, memory, grown, how, machine, words):
    yield f"Measured {machine['date']}: {machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, load before {machine['load']}; "
    yield f"{', '.join(machine['versions'])}. Medians of {how['rounds']} interleaved rounds; requests/s over {how['seconds']:g} s each."
    yield "direct is nginx without a proxy: the same files over TLS."
    peers = list(dict.fromkeys(name for figures in results.values() for name in figures))
    yield from table("work", LINES, results, peers, words, own(results, memory, peers, words))
    yield from table("cost", COSTS, results, peers, words)
    if grown:
        yield from growing(grown)
    if compared := list(versus(results)):
        yield ""
        yield "Against the others (more than 1 is better): " + "; ".join(compared) + "."


def table(title, lines, results, peers, words, more=()):
    rows = [row(line.title.format(**words), line.unit, {p: statistics.median(results[name][p]) for p in results[name]}, peers, *judge(line, results[name]))
            for name, line in lines.items() if name in results]
    rows += more
    if rows:
        yield ""
        yield f"| {title} | unit | " + " | ".join(direct(p) for p in peers) + " | discobot against | target | met |"
        yield "|---|---|" + "---|" * (len(peers) + 3)
        yield from rows


def row(title, unit, values, peers, figure="-", target="-", verdict="-"):
    cells = [number(values.get(p)) for p in peers]
    return f"| {title} | {unit} | {' | '.join(cells)} | {figure} | {target} | {verdict} |"


def own(results, memory, peers, words):
    large = {p: max(m["peak"] for m in found) for p in peers if (found := [memory.get(p, {}).get(line) for line in ("hit_h1", "hit_h2", "miss")]) and all(found)}
    if large:
        yield row(f"peak resident memory in {words['blob']} transfers", "MiB", large, peers, "-", "< 64 MiB", met(large["discobot"] < 64))
    for name, figures in results.items():
        if name.startswith("start_"):
            entries, value = int(name[6:]), statistics.median(figures["discobot"])
            limit = STARTS.get(entries)
            yield row(f"start until both ports serve, {entries:,} entries", "ms", {"discobot": value}, peers, "-",
                      *((f"< {limit} ms", met(value < limit)) if limit else ()))


def growing(grown):
    yield ""
    yield "| how discobot's cost grows | with | cost at each | slope |"
    yield "|---|---|---|---|"
    for name, (title, size) in GROWTH.items():
        if name in grown:
            points = ", ".join(f"{number(x)}: {number(cost)}" for x, cost in grown[name])
            yield f"| {title} | {size} | {points} | {number(growth.slope(grown[name]))} |"
    yield ""
    yield "The slope is the exponent b of cost = a * size^b, by least squares in logarithms: 1 is in proportion, 0 does not grow."


def versus(results):
    for peer in ("squid", "mitmproxy", "registry", "dante", "microsocks"):
        found = []
        for name, line in LINES.items():
            figures = results.get(name, {})
            if line.against and peer in figures and "discobot" in figures and all(figures[peer]):
                value = ratio(figures["discobot"], figures[peer])
                found.append(f"{name} {value if line.more else 1 / value:.2f}")
        if found:
            yield f"{peer}: {', '.join(found)}"


def number(value):
    return "-" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) >= 0.01 else f"{value:.4f}"


def describe(binary):
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    return {
        "date": datetime.date.today().isoformat(), "cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(),
        "load": f"{os.getloadavg()[2]:.1f}", "versions": [v for v in (
            version(binary, "--version", prefix="discobot "), version("nginx", "-v"), version("squid", "-v"), version("mitmdump", "--version"),
            version("docker-registry", "--version"), version("danted", "-v"), version("curl", "--version")) if v],
    }


def version(*command, prefix=""):
    try:
        out = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    first = (out.stdout + out.stderr).strip().splitlines()[0]
    return prefix + first.replace("nginx version: ", "").replace("Squid Cache: Version", "squid").replace("Mitmproxy:", "mitmproxy").split(" (")[0]
