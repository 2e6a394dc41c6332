"""The order of the benchmark. Started by run.sh, inside its namespaces."""
import os
import statistics
import sys
import time

import report
import rig as r
import work as w

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
BLOB_MIB = int(os.environ.get("BENCH_BLOB_MIB", "1024"))
ENTRIES = [int(n) for n in os.environ.get("BENCH_ENTRIES", "100,100000").split(",")]
PEERS = os.environ.get("BENCH_PEERS", "nginx,discobot,squid,mitmproxy").split(",")

# Who does which work. squid speaks no HTTP/2 to clients.
WORK = {
    "hit_h1": PEERS,
    "hit_h2": [p for p in PEERS if p != "squid"],
    "small": PEERS,
    "connects": PEERS,
    "latency": PEERS,
    "plain": PEERS,
    "miss": PEERS,
}


def say(text):
    print(f"==> {text}", file=sys.stderr, flush=True)


def measure(work, line, peers, rounds, results, memory):
    """One line, the programs taking turns: what else the machine does hits all of them alike."""
    servers = {name: work.rig.servers[name] for name in peers}
    for server in servers.values():
        server.forget_peak()
    for turn in range(rounds):
        for name in peers[turn % len(peers):] + peers[:turn % len(peers)]:
            for key, value in getattr(work, line)(name).items():
                results.setdefault(key, {}).setdefault(name, []).append(value)
    for name, server in servers.items():
        memory.setdefault(name, {})[line] = {"peak": server.memory("VmHWM"), "after": server.memory("VmRSS")}
    for key in results:
        if key.startswith(line):
            say(f"{key}: " + ", ".join(f"{n} {statistics.median(v):.4g}" for n, v in results[key].items()))


def starts(rig, results):
    port = r.PORTS["discobot"] + 10
    arguments = rig.discobot_config("start", port)
    for count in ENTRIES:
        w.make_entries(rig.work / "start" / "cache", count)
        # The first start finds no snapshot and reads each entry's own file; it is told apart.
        cold = w.start_time(rig, arguments, port, count)
        warm = [w.start_time(rig, arguments, port, count) for _ in range(max(3, ROUNDS))]
        results[f"start_{count}"] = {"discobot": [serving for serving, _ in warm]}
        results[f"loaded_{count}"] = {"discobot": [known for _, known in warm]}
        results[f"loaded_{count}_no_snapshot"] = {"discobot": [cold[1]]}
        say(f"start with {count} entries: {statistics.median(s for s, _ in warm):.1f} ms, "
            f"all known after {statistics.median(k for _, k in warm):.0f} ms, without a snapshot {cold[1]:.0f} ms")


def full(directory, binary):
    begun = time.time()
    rig = r.Rig(directory, binary, BLOB_MIB << 20)
    results, memory = {}, {}
    try:
        rig.start(PEERS)
        work = w.Work(rig, SECONDS)
        work.prime(PEERS)
        for line, peers in WORK.items():
            measure(work, line, peers, ROUNDS, results, memory)
    finally:
        rig.stop()
    starts(rig, results)
    report.write("artifacts/bench", results, memory, {
        "rounds": ROUNDS, "seconds": SECONDS, "blob_mib": BLOB_MIB, "took": round(time.time() - begun), "binary": rig.binary})


def quick(directory, binary):
    """The main ratios, twice at most. Only what is below half of its target both times is a failure: noise is not."""
    rig = r.Rig(directory, binary, 128 << 20)
    failed = list(report.GUARD)
    try:
        rig.start(["nginx", "discobot"])
        work = w.Work(rig, 1)
        for attempt in (1, 2):
            work.prime(["discobot"])
            results = {}
            for line in failed:
                measure(work, line, ["nginx", "discobot"], 3, results, {})
            failed = [line for line in failed if not report.guard(line, results[line], attempt)]
            if not failed:
                break
    finally:
        rig.stop()
    if failed:
        raise SystemExit(f"bench-quick: twice below half of the target: {', '.join(failed)}")


if __name__ == "__main__":
    (quick if "--quick" in sys.argv[3:] else full)(sys.argv[1], sys.argv[2])
