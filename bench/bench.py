"""The order of the benchmark. Started by run.sh, inside its namespaces."""
import os
import statistics
import sys
import time

import crowds
import growth
import lines as known
import packages
import peers
import report
import rig as r
import work as w

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
BLOB_MIB = int(os.environ.get("BENCH_BLOB_MIB", "1024"))
CROWD = int(os.environ.get("BENCH_CROWD", "1000"))
HOSTS = int(os.environ.get("BENCH_HOSTS", "10000"))
ENTRIES = [int(n) for n in os.environ.get("BENCH_ENTRIES", "0,100,10000,100000,1000000").split(",")]
PEERS = os.environ.get("BENCH_PEERS", "nginx,discobot,connect,squid,mitmproxy,registry,dante,microsocks").split(",")
CHOSEN = [line for line in os.environ.get("BENCH_LINES", "").split(",") if line]

PROXIES = ["nginx", "discobot", "squid", "mitmproxy"]
# Who does which work: squid speaks no HTTP/2 to clients, a registry is a cache of blobs alone. Crowds take long, and are much alike: one round.
WORK = {
    "hit_h1": (PROXIES + ["registry"], ROUNDS),
    "hit_h2": (["nginx", "discobot", "mitmproxy", "registry"], ROUNDS),
    "small": (PROXIES + ["registry"], ROUNDS),
    "connects": (PROXIES + ["registry"], ROUNDS),
    "streams": (["nginx", "discobot", "mitmproxy", "registry"], ROUNDS),
    "latency": (PROXIES, ROUNDS),
    "half": (PROXIES, min(ROUNDS, 3)),
    "plain": (PROXIES, ROUNDS),
    "miss": (PROXIES, ROUNDS),
    "socks": (["nginx", "discobot", "dante", "microsocks"], ROUNDS),
    "transparent": (["discobot", "connect"], ROUNDS),
    "dns": (["nginx", "discobot"], ROUNDS),
    "packument": (["nginx", "discobot", "squid"], ROUNDS),
    "install": (["nginx", "discobot", "squid"], ROUNDS),
    "proof": (["nginx", "discobot"], ROUNDS),
    "pulls": (PROXIES + ["registry"], 1),
    "hosts": (PROXIES, 1),
    "tunnels": (PROXIES, 1),
    "sockets": (PROXIES, 1),
}
OTHER = ["growth", "start"]


def say(text):
    print(f"==> {text}", file=sys.stderr, flush=True)


def measure(take, line, names, rounds, servers, results, memory):
    """One line, the programs taking turns: what else the machine does hits all of them alike."""
    begun = time.time()
    for name in names:
        servers[name].forget_peak()
    for turn in range(rounds):
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            for key, value in take(name).items():
                results.setdefault(key, {}).setdefault(name, []).append(value)
    for name in names:
        memory.setdefault(name, {})[line] = {"peak": servers[name].memory("VmHWM"), "after": servers[name].memory("VmRSS")}
    for key in results:
        if key == line or key.startswith(line + "_"):
            say(f"{key}: " + ", ".join(f"{n} {statistics.median(v):.4g}" for n, v in results[key].items()))
    say(f"{line} took {time.time() - begun:.0f} s")


def starts(rig, results):
    """Returns the points of the slopes."""
    place, grown = growth.Starts(rig, r.WAYS["discobot"].port + 10), {}
    for entries in ENTRIES:
        # The first start finds no snapshot and reads each entry's own file; it is told apart.
        cold, *warm = place.measure(entries, max(3, ROUNDS) if entries <= 100_000 else 2)
        results[f"start_{entries}"] = {"discobot": [serving for serving, _, _ in warm]}
        results[f"loaded_{entries}"] = {"discobot": [known for _, known, _ in warm]}
        results[f"loaded_{entries}_no_snapshot"] = {"discobot": [cold[1]]}
        serving, known, held = (statistics.median(column) for column in zip(*warm))
        if entries:
            for key, value in (("start", serving), ("loaded", known), ("loaded_no_snapshot", cold[1]), ("entries_memory", held)):
                grown.setdefault(key, []).append((entries, value))
        say(f"start with {entries} entries: {serving:.1f} ms, all known after {known:.0f} ms, without a snapshot {cold[1]:.0f} ms, {held:.0f} MiB")
    return grown


def full(directory, binary):
    begun = time.time()
    chosen = CHOSEN or [*WORK, *OTHER]
    if unknown := set(chosen) - {*WORK, *OTHER}:
        raise SystemExit(f"BENCH_LINES: there is no {', '.join(sorted(unknown))}; there are {', '.join([*WORK, *OTHER])}")
    lines = {line: ([n for n in names if n in PEERS], rounds) for line, (names, rounds) in WORK.items() if line in chosen}
    names = list(dict.fromkeys(["nginx", "discobot"] + [n for members, _ in lines.values() for n in members] + ["connect"] * ("dns" in lines)))
    rig = r.Rig(directory, binary, BLOB_MIB << 20)
    results, memory, grown = {}, {}, {}
    try:
        rig.start({name: getattr(peers, f"start_{name}") for name in names})
        work, many, asked = w.Work(rig, SECONDS), crowds.Crowds(rig, SECONDS, CROWD, HOSTS), packages.Packages(rig, SECONDS)
        work.prime([n for n in names if n not in ("dante", "microsocks")])
        for line, (members, rounds) in lines.items():
            take = next(getattr(place, line) for place in (work, many, asked) if hasattr(place, line))
            measure(take, line, members, rounds, rig.servers, results, memory)
        if "growth" in chosen:
            grown = growth.transfers(rig) | growth.requests(rig, SECONDS)
    finally:
        rig.stop()
    if "start" in chosen:
        grown |= starts(rig, results)
    report.write("artifacts/bench", results, memory, grown, {
        "rounds": ROUNDS, "seconds": SECONDS, "blob_mib": BLOB_MIB, "crowd": CROWD, "hosts": HOSTS,
        "took": round(time.time() - begun), "binary": rig.binary})


def quick(directory, binary):
    """The main ratios, twice at most. Only what is below half of its target both times is a failure: noise is not."""
    rig = r.Rig(directory, binary, 128 << 20)
    failed = list(known.GUARD)
    try:
        rig.start({"nginx": peers.start_nginx, "discobot": peers.start_discobot})
        work = w.Work(rig, 1)
        for attempt in (1, 2):
            work.prime(["discobot"])
            results = {}
            for line in failed:
                measure(getattr(work, line), line, ["nginx", "discobot"], 3, rig.servers, results, {})
            failed = [line for line in failed if not report.guard(line, results[line], attempt)]
            if not failed:
                break
    finally:
        rig.stop()
    if failed:
        raise SystemExit(f"bench-quick: twice below half of the target: {', '.join(failed)}")
    print("bench-quick: measured; nothing has halved")


if __name__ == "__main__":
    (quick if "--quick" in sys.argv[3:] else full)(sys.argv[1], sys.argv[2])
