"""What the rules of the way out add to the start of a container: `discobot init` as process 1 in namespaces of its own, from its exec until
the agent's first line, with egress.mode open, redirect and enforce by turns. Each mode has a volume that one start has prepared.

    egress_start.py BINARY [STARTS]     inside of unshare --mount --net --pid --fork --mount-proc, as root
"""
import os
import re
import statistics
import subprocess
import sys
import tempfile

MODES = ["open", "redirect", "enforce"]

BUILD = r"""set -e; cd "$1"
mkdir -p usr proc dev etc run tmp root sys var/lib workspace home/discobot opt/discobot/lib opt/discobot/bin local/bin local/sbin local/share .data etc/profile.d etc/ssl/certs
for d in bin sbin lib lib64; do if [ -L /$d ]; then cp -a /$d .; elif [ -d /$d ]; then mkdir $d; fi; done
for f in alternatives ca-certificates.conf ld.so.cache ld.so.conf ld.so.conf.d nsswitch.conf ssl/openssl.cnf; do [ ! -e /etc/$f ] || cp -a /etc/$f etc/$f; done
cp -L /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/ || : >etc/ssl/certs/ca-certificates.crt
chmod 1777 tmp; chmod 755 .; chown 1000:1000 home/discobot
printf '127.0.0.1 localhost\n' >etc/hosts; printf 'nameserver 10.77.0.1\n' >etc/resolv.conf
printf 'root:x:0:0::/root:/bin/sh\ndiscobot:x:1000:1000::/home/discobot:/bin/sh\n' >etc/passwd
printf 'root:x:0:\ndiscobot:x:1000:\n' >etc/group
cp "$2" opt/discobot/lib/discobot
printf '#!/bin/sh\nexec /opt/discobot/lib/discobot "$@"\n' >opt/discobot/bin/discobot
printf '#!/bin/sh\nexec /opt/discobot/lib/discobot proxy "$@"\n' >opt/discobot/bin/proxy
printf '#!/bin/sh\ndate +%%s%%N\n' >opt/discobot/bin/discobot-agent-api
chmod 755 opt/discobot/bin/*
"""

# $1 root, $2 volume, then what is run. The other end of the uplink is in here as well: nobody answers, and nothing of a start asks.
ENTER = r"""set -e; cd "$1"; volume=$2; shift 2
for d in usr bin sbin lib lib64; do [ -L /$d ] || [ ! -d /$d ] || { mount --bind /$d $d; mount -o remount,bind,ro $d; }; done
mount --bind local usr/local; mount --bind "$volume" .data; mount --rbind /dev dev; mount -t proc proc proc
ip link set lo up; ip link add eth0 type veth peer name world; ip link set world up; ip link set eth0 up
ip address add 10.77.0.2/24 dev eth0; ip route add default via 10.77.0.1
date +%s%N; exec chroot . "$@"
"""


def start(root, volume, mode):
    """Milliseconds from the exec to the agent, and of each step as the log tells it."""
    environment = {"SESSION_ID": "s1", "PATH": "/usr/bin:/bin", "LANG": "C", "DISCOBOT_EGRESS": mode}
    said = subprocess.run(
        ["unshare", "-m", "-p", "-f", "-n", "--kill-child", "sh", "-c", ENTER, "sh", root, volume, "env", "-i",
         *(f"{k}={v}" for k, v in environment.items()), "/opt/discobot/lib/discobot", "init"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60).stdout
    stamps = [int(line) for line in said.splitlines() if re.fullmatch(r"\d{19}", line)]
    kept = "the way out leads through the proxy" in said
    if len(stamps) != 2 or kept != (mode != "open"):
        raise SystemExit(f"{mode}: this start was none\n{said}")
    return (stamps[1] - stamps[0]) / 1e6, said


def main(binary, starts):
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", work], check=True)
        root = f"{work}/root"
        os.mkdir(root)
        subprocess.run(["sh", "-c", BUILD, "sh", root, binary], check=True)
        volumes = {mode: f"{work}/{mode}" for mode in MODES}
        for mode, volume in volumes.items():
            os.mkdir(volume)
            start(root, volume, mode)
        took = {mode: [] for mode in MODES}
        for turn in range(starts):
            for at in range(len(MODES)):
                mode = MODES[(turn + at) % len(MODES)]
                took[mode].append(start(root, volumes[mode], mode)[0])
        if os.environ.get("BENCH_SHOW"):
            print(start(root, volumes["enforce"], "enforce")[1], file=sys.stderr)
        subprocess.run(["umount", work], check=True)
    for mode in MODES:
        added = [own - opened for own, opened in zip(took[mode], took["open"])]
        print(f"{mode}: median of {starts} starts {statistics.median(took[mode]):.1f} ms"
              + ("" if mode == "open" else f", {statistics.median(added):+.1f} ms to that of its turn without rules"))


main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20)
