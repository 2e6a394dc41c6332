#!/usr/bin/env python3
"""SIMULATES many containers before one remote store (docs/remote-cache.md): requests, bytes and cost a month, and what is reached first.

Nothing is sent. Each container begins its day with an empty cache and pulls one image; the bodies that the store has not got come from the origin and
are uploaded, and whoever asks meanwhile downloads them too. Prints the table of docs/scale.md. The seed is fixed: the same table every time.
"""
import argparse
import random

GB = 1e9
# Of one image: shared base layers, layers of its own, and small bodies (configuration, manifest by digest).
BASE_LAYERS, OWN_LAYERS, SMALL = 6, 10, 4
BASE_BYTES, OWN_BYTES, SMALL_BYTES = 0.6 * GB, 0.4 * GB, 40e3
BASES, IMAGES = 20, 500
NEW_A_DAY = 0.10             # Images that are built anew each day, with new layers of their own.
DAYS = 22                    # A month of work.
START_WINDOW = 15 * 60       # All start within a quarter of an hour: the worst that a morning does.
DOWNLOAD = 25e6              # Bytes a second of a body from the origin.
UPLOAD = 25e6                # Bytes a second of an upload.
ORIGIN_PROOF = 600           # Bytes of a HEAD and its answer.

# Public list prices in US dollars of one large provider (S3 Standard, us-east-1), without the free tier; traffic within the region is free.
PER_GET, PER_PUT, PER_GB_MONTH, PER_GB_INTERNET = 0.0004 / 1000, 0.005 / 1000, 0.023, 0.09
# Limits that are published or that one machine has.
GETS_PER_PREFIX = 5500
ONE_SERVER = 10e9 / 8        # An HTTP store on one machine with 10 Gbit/s.
HOST_LINK, PER_HOST = 10e9 / 8, 50   # Bytes a second of a machine that runs containers, and how many it runs.


def day(containers, day_number, store, rng):
    """One morning: what of it goes to the store, what to the origin."""
    weights = [1 / (rank + 1) for rank in range(IMAGES)]
    images = rng.choices(range(IMAGES), weights, k=containers)
    starts = sorted(rng.uniform(0, START_WINDOW) for _ in range(containers))
    count = {"get": 0, "miss": 0, "head": 0, "put": 0, "read": 0.0, "origin": 0.0, "stored": 0.0}
    for at, image in zip(starts, images):
        version = int(day_number * NEW_A_DAY + (image * 0.61803) % 1)
        bodies = [(f"base{image % BASES}.{i}", BASE_BYTES / BASE_LAYERS) for i in range(BASE_LAYERS)]
        bodies += [(f"own{image}.{version}.{i}", OWN_BYTES / OWN_LAYERS) for i in range(OWN_LAYERS)]
        bodies += [(f"small{image}.{version}.{i}", SMALL_BYTES) for i in range(SMALL)]
        moment = day_number * 86400 + at
        for name, size in bodies:
            count["get"] += 1
            if store.get(name, float("inf")) <= moment:
                count["head"] += 1
                count["read"] += size
                continue
            count["miss"] += 1
            count["origin"] += size
            there = moment + size / DOWNLOAD + size / UPLOAD
            count["get"] += 1        # HEAD before the upload: who comes after the first finds it there.
            if name not in store:
                count["put"] += 1
                count["stored"] += size
            store[name] = min(store.get(name, float("inf")), there)
    return count


def month(containers):
    rng, store, total = random.Random(16), {}, {}
    for number in range(DAYS):
        for name, value in day(containers, number, store, rng).items():
            total[name] = total.get(name, 0) + value
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--containers", type=int, nargs="*", default=[20, 100, 1000, 10000])
    sizes = parser.parse_args().containers
    set_bytes = BASE_BYTES + OWN_BYTES
    print("| SIMULATED, a month | " + " | ".join(f"{n:,} containers" for n in sizes) + " |")
    print("|---|" + "---|" * len(sizes))
    rows = {}
    for n in sizes:
        t = month(n)
        pulled = n * DAYS * set_bytes
        requests = t["get"] * PER_GET + t["put"] * PER_PUT
        storage = t["stored"] / GB * PER_GB_MONTH
        peak = n * (BASE_LAYERS + OWN_LAYERS + SMALL) / START_WINDOW
        rate = n * set_bytes / START_WINDOW
        for name, value in (
            ("pulled by all", f"{pulled / 1e12:,.1f} TB"),
            ("of it from the origin", f"{t['origin'] / 1e12:,.2f} TB ({t['origin'] / pulled:.1%})"),
            ("from the store", f"{t['read'] / 1e12:,.1f} TB"),
            ("HEAD to origins for their word", f"{t['head']:,} ({t['head'] * ORIGIN_PROOF / 1e6:,.0f} MB)"),
            ("GET and HEAD to the store", f"{t['get']:,}"),
            ("PUT to the store", f"{t['put']:,}"),
            ("kept there at the end", f"{t['stored'] / 1e12:,.2f} TB"),
            ("cost: requests", f"${requests:,.2f}"),
            ("cost: storage", f"${storage:,.2f}"),
            ("cost: traffic, within the region", "$0"),
            ("cost: traffic, were it over the internet", f"${t['read'] / GB * PER_GB_INTERNET:,.0f}"),
            ("at the start: GET a second", f"{peak:,.1f} ({peak / GETS_PER_PREFIX:.1%} of one prefix's limit)"),
            ("at the start: from the store", f"{rate * 8 / 1e9:,.1f} Gbit/s ({rate / ONE_SERVER:.0%} of one server's link)"),
            (f"at the start: of a host with {PER_HOST} containers", f"{min(n, PER_HOST) * set_bytes / START_WINDOW / HOST_LINK:.0%} of its link"),
        ):
            rows.setdefault(name, []).append(value)
    for name, values in rows.items():
        print(f"| {name} | " + " | ".join(values) + " |")


if __name__ == "__main__":
    main()
