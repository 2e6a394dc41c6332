#!/usr/bin/env bash
# build/smoke.sh amd64|arm64 FILE — tries an executable, under an emulator where it is for another machine: the proxy answers, a body comes from the
# cache while its registry is off, the trust of the system takes the authority and gives it back, and the entry point starts an agent behind its proxy
# and ends with it. All in namespaces of its own.
. "$(dirname "$0")/common.sh"

machine=$1 file=$(realpath "$2") emulator=
need_programs curl:curl python3:python3 unshare:util-linux ip:iproute2
[ "$(id -u)" = 0 ] || die "namespaces are needed; please run as root"
case $machine:$(uname -m) in
    amd64:x86_64 | arm64:aarch64) ;;
    arm64:x86_64) need qemu-user-static; emulator=/usr/bin/qemu-aarch64-static ;;
    *) die "nothing runs an executable for $machine here" ;;
esac
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
say "trying $2${emulator:+ under ${emulator##*/}}"
# A user namespace may have emulators of its own since Linux 6.7: what the executable starts is itself again, and the machine's own list stays as it is.
# All users are in it, as the agent is another than root.
mkfifo "$scratch/mapped"
unshare ${emulator:+--user} sh -c 'read -r _ <"$1"; exec unshare --mount --net --pid --fork --kill-child bash -euo pipefail -s "$@"' sh "$scratch/mapped" "$scratch" "$file" "$emulator" <<'INSIDE' &
shift
scratch=$1 file=$2 emulator=$3
discobot() { $emulator "$file" "$@"; }
fail() { echo "error: $*" >&2; cat "$scratch"/*.log >&2; exit 1; }
mount --make-rprivate /
mount -t proc none /proc
if [ -n "$emulator" ]; then
    mount -t binfmt_misc none /proc/sys/fs/binfmt_misc || fail "an emulator cannot be named here: Linux 6.7 is needed"
    printf '%s' ':discobot:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'"$emulator"':F' \
        >/proc/sys/fs/binfmt_misc/register
fi
ip link set lo up
mkdir -p "$scratch"/{data,etc,work,origin/v2/a/blobs}
# What the system trusts is changed in a layer that is thrown away.
mount -t tmpfs none "$scratch/data"
mkdir "$scratch"/data/{upper,work}
mount -t overlay -o "lowerdir=/etc,upperdir=$scratch/data/upper,workdir=$scratch/data/work" none /etc
mkdir -p "$scratch/data/certs"

head -c 300000 /dev/urandom >"$scratch/body"
digest=sha256:$(sha256sum "$scratch/body" | cut -d' ' -f1)
mv "$scratch/body" "$scratch/origin/v2/a/blobs/$digest"
cat >"$scratch/config.yaml" <<YAML
tls: {cert_dir: $scratch/data/certs}
cache: {dir: $scratch/data/cache}
api: {token_file: $scratch/data/api.token}
audit: {file: $scratch/data/audit.jsonl}
YAML
python3 -m http.server 8080 --bind 127.0.0.1 --directory "$scratch/origin" >"$scratch/origin.log" 2>&1 &
origin=$!
env -i PATH="$PATH" $emulator "$file" proxy --config "$scratch/config.yaml" >"$scratch/proxy.log" 2>&1 &
proxy=$!
waited() { for _ in {1..600}; do "$@" >/dev/null 2>&1 && return 0; read -rt 0.1 <> <(:) || :; done; return 1; }
waited curl -sf http://127.0.0.1:17081/health || fail "the proxy does not answer"
waited curl -sf http://127.0.0.1:8080/ || fail "the registry does not answer"
get() { env -u no_proxy -u NO_PROXY curl -sf --noproxy '' -x http://127.0.0.1:17080 -D "$scratch/head" "http://127.0.0.1:8080/v2/a/blobs/$digest" | sha256sum | cut -d' ' -f1; }
[ "sha256:$(get)" = "$digest" ] || fail "what came is not what was asked for"
kill $origin
wait $origin || :
[ "sha256:$(get)" = "$digest" ] || fail "the cache has not what was asked for before"

discobot trust install --cert-dir "$scratch/data/certs" >"$scratch/trust.log" 2>&1 || fail "the authority could not be installed"
discobot trust status --cert-dir "$scratch/data/certs" >>"$scratch/trust.log" 2>&1 || fail "the authority is not trusted"
discobot trust remove --cert-dir "$scratch/data/certs" >>"$scratch/trust.log" 2>&1 || fail "the authority could not be removed"
kill $proxy
wait $proxy || fail "the proxy did not end as it should"

# A root that is thrown away, of which only the executable is for the other machine.
root=$scratch/data/root
mkdir -p "$root"/{proc,sys,dev,tmp,run,home,.data,var/lib,opt/discobot/bin}
for layer in etc usr; do
    mkdir -p "$root/$layer" "$scratch/data/$layer"/{upper,work}
    mount -t overlay -o "lowerdir=/$layer,upperdir=$scratch/data/$layer/upper,workdir=$scratch/data/$layer/work" none "$root/$layer"
done
for link in bin sbin lib lib64; do [ ! -L /$link ] || ln -s "usr/$link" "$root/$link"; done
# A daemon needs more than these namespaces have.
rm -f "$root"/usr/{bin,sbin}/dockerd
mount --rbind /dev "$root/dev"
cp "$file" "$root/opt/discobot/bin/discobot"
ln -s discobot "$root/opt/discobot/bin/proxy"
sed -i '/^agent:/d' "$root"/etc/{passwd,group}
echo 'agent:x:1234:1234::/home/agent:/bin/sh' >>"$root/etc/passwd"
echo 'agent:x:1234:' >>"$root/etc/group"
cat >"$root/opt/discobot/bin/discobot-agent-api" <<'AGENT'
#!/bin/sh
echo "agent: $(id -un) $HTTPS_PROXY $(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:17081/health)"
exit 7
AGENT
chmod +x "$root/opt/discobot/bin/discobot-agent-api"
code=0
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin SESSION_ID=smoke AGENT_USER=agent DISCOBOT_FILESYSTEM=plain DISCOBOT_EGRESS=open \
    unshare --pid --fork --kill-child --mount-proc="$root/proc" chroot "$root" /opt/discobot/bin/discobot init >"$scratch/init.log" 2>&1 || code=$?
[ $code = 7 ] || fail "the entry point ended with $code, where its agent did with 7"
grep -qx "agent: agent http://localhost:17080 200" "$scratch/init.log" || fail "the agent did not start behind the proxy"
INSIDE
inside=$!
if [ -n "$emulator" ]; then
    until [ "$(readlink /proc/$inside/ns/user)" != "$(readlink /proc/self/ns/user)" ]; do kill -0 $inside && read -rt 0.05 <> <(:) || :; done
    for map in uid_map gid_map; do echo "0 0 65536" >"/proc/$inside/$map"; done
fi
echo >"$scratch/mapped"
wait $inside || die "$2 does not do what it is to do"
say "$2: proxy, cache, trust, entry point: fine"
