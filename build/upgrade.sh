#!/usr/bin/env bash
# build/upgrade.sh COMMIT — the executable of COMMIT writes a volume, today's goes on with it, and COMMIT's once more: home, workspace, authority and
# cache are as they were, each time. Needs root, as the starts are in namespaces of their own.
. "$(dirname "$0")/common.sh"

before=${1:-}
[ -n "$before" ] || die "which version? make upgrade BEFORE=COMMIT (git log)"
[ "$(id -u)" = 0 ] || die "the starts make namespaces: please run it as root"
need_programs curl:curl git:git ip:iproute2 python3:python3
commit=$(git rev-parse --verify --quiet "$before^{commit}") || die "there is no commit $before here; a clone with its history has it (git fetch --unshallow)"

# Kept, as it takes minutes to make and is the same each time.
old=artifacts/versions/$commit
if [ ! -x "$old/discobot" ]; then
    source=$(mktemp -d)
    trap 'git worktree remove --force "$source"' EXIT
    git worktree add --quiet --detach "$source" "$commit"
    "$source/build/binary.sh"
    mkdir -p "$old"
    cp "$source/artifacts/native/discobot" "$old/discobot"
    git worktree remove --force "$source"
    trap - EXIT
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{volume,origin}
head -c 300000 /dev/urandom >"$work/origin/layer"
digest=$(sha256sum <"$work/origin/layer" | cut -d' ' -f1)

# What the agent does at each start: tells what it finds, asks the cache, adds a line of its own.
cat >"$work/agent" <<'AGENT'
#!/bin/sh
echo "home: $(cat ~/kept 2>/dev/null | tr '\n' ' ')"; echo "workspace: $(cat kept 2>/dev/null | tr '\n' ' ')"
echo "authority: $(sha256sum </.data/proxy/certs/ca.crt | cut -c1-16)"
echo "layer: $(curl -sS --fail-with-body -m 20 http://198.51.100.1/v2/app/blobs/sha256:$DIGEST | sha256sum | cut -d' ' -f1)"
echo "$1" >>~/kept; echo "$1" >>kept
AGENT
chmod 755 "$work/agent"

# start NAME EXECUTABLE ORIGIN — one start on the volume; ORIGIN is on or off. Prints what its agent says.
start() {
    unshare -m -n -p -f --kill-child bash -ec '
        work=$1 name=$2 executable=$3 origin=$4 digest=$5 root=$1/root-$2; mkdir "$root"
        ip link set lo up; ip link add uplink type veth peer name beyond; ip link set uplink up; ip link set beyond up; ip address add 198.51.100.1/24 dev uplink
        if [ "$origin" = on ]; then
            python3 -c "
import http.server, sys
body = open(sys.argv[1], \"rb\").read()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = \"HTTP/1.1\"
    def do_GET(self):
        self.send_response(200); self.send_header(\"Content-Length\", str(len(body))); self.end_headers(); self.wfile.write(body)
    do_HEAD = do_GET
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer((\"198.51.100.1\", 80), Handler).serve_forever()" "$work/origin/layer" &
            until curl -s -o /dev/null http://198.51.100.1/; do sleep 0.1; done
        fi
        mount --bind "$root" "$root"; cd "$root"
        mkdir -p usr proc dev sys etc/discobot etc/ssl/certs tmp run .data opt/discobot/bin home/discobot workspace
        for d in bin sbin lib lib64; do if [ -L /$d ]; then [ -e $d ] || cp -a /$d .; elif [ -d /$d ]; then mkdir -p $d; mount --bind /$d $d; fi; done
        mount --bind /usr usr; mount --rbind /dev dev; mount -t proc proc proc; mount -t tmpfs tmpfs tmp; mount -t tmpfs tmpfs run
        cp -L /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/
        printf "root:x:0:0::/root:/bin/sh\ndiscobot:x:1000:1000::/home/discobot:/bin/sh\n" >etc/passwd; printf "root:x:0:\ndiscobot:x:1000:\n" >etc/group
        printf "127.0.0.1 localhost\n" >etc/hosts; : >etc/resolv.conf; printf "ID=debian\n" >etc/os-release
        printf "allowlist: {enabled: true, allow_private: true, domains: [198.51.100.1]}\negress: {mode: open}\n" >etc/discobot/policy.yaml
        cp "$executable" opt/discobot/bin/discobot; ln -sf discobot opt/discobot/bin/proxy; cp "$work/agent" opt/discobot/bin/agent
        mount --bind "$work/volume" .data; chown 1000:1000 home/discobot
        mkdir -p old; pivot_root . old; cd /; umount -l old
        exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin SESSION_ID=upgrade AGENT_BINARY=/opt/discobot/bin/agent DIGEST="$digest" DISCOBOT_EGRESS=open \
            unshare -p -f --kill-child --mount-proc /opt/discobot/bin/discobot init "$name"' \
        bash "$work" "$1" "$2" "$3" "$digest" >"$work/$1.log" 2>&1 || { cat "$work/$1.log" >&2; die "the start of $1 ended with an error; its output stands above"; }
    grep -E '^(home|workspace|authority|layer): ' "$work/$1.log"
}

first=$(start first "$PWD/$old/discobot" on)
then=$(start then "$PWD/artifacts/native/discobot" off)
back=$(start back "$PWD/$old/discobot" off)
printf '%s\n' "-- $(git log -1 --format=%h "$commit")" "$first" "-- today's" "$then" "-- $(git log -1 --format=%h "$commit") again" "$back"
authority=$(grep ^authority: <<<"$first")
expect() { [ "$2" = "$3" ] || die "$1: \"$2\" instead of \"$3\""; }
expect "today's" "$then" "$(printf 'home: first \nworkspace: first \n%s\nlayer: %s' "$authority" "$digest")"
expect "the way back" "$back" "$(printf 'home: first then \nworkspace: first then \n%s\nlayer: %s' "$authority" "$digest")"
say "$(git log -1 --format=%h "$commit") and today's version go on with each other's volume"
