#!/usr/bin/env bash
# bench/pull.sh [RUNS] — the first docker pull of an image against the second, over a link of 100 Mbit/s and 40 ms.
# A real dockerd, a real registry whose blobs come from a CDN, the shipped image between them; nothing leaves this machine.
. "$(dirname "$0")/../build/common.sh"

if [ -z "${DISCOBOT_ENGINE:-}" ]; then
    make --no-print-directory binary
    DISCOBOT_ENGINE=1 exec build/engine.sh "$0" "$@"
fi
need curl openssl
images/build.sh --with-tests

runs=${1:-3} mbit=100 round_trip=40 layers=6 layer_mb=16
name=discobot-bench-$$
work=$(mktemp -d)
cleanup() {
    docker rm -fv $name-registry $name-link $name-proxy $name-engine >/dev/null 2>&1 || true
    docker network rm $name >/dev/null 2>&1 || true
    docker image rm -f $name >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap cleanup EXIT

say "making a test authority and an image of $layers layers, $layer_mb MB each"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=Bench Authority" -keyout "$work/ca.key" -out "$work/ca.crt" 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj /CN=registry.test -keyout "$work/server.key" -out "$work/server.csr" 2>/dev/null
openssl x509 -req -in "$work/server.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -days 2 -out "$work/server.crt" \
    -extfile <(echo "subjectAltName=DNS:registry.test,DNS:cdn.test") 2>/dev/null
mkdir "$work/image"
echo "FROM scratch" >"$work/image/Dockerfile"
for layer in $(seq $layers); do
    head -c ${layer_mb}M /dev/urandom >"$work/image/layer$layer"
    echo "COPY layer$layer /" >>"$work/image/Dockerfile"
done
DOCKER_BUILDKIT=0 docker build -q -t $name "$work/image" >/dev/null 2>&1

docker network create $name >/dev/null
docker run -d --name $name-registry --network $name -v "$work:/tls:ro" discobot-test/tools /tools/registry.sh >/dev/null
docker run -d --name $name-link --network $name --network-alias registry.test --network-alias cdn.test -v "$PWD/bench:/bench:ro" \
    --entrypoint python3 discobot-test/tools /bench/slow_link.py 443 $name-registry:443 $mbit $round_trip >/dev/null
cat >"$work/config.yaml" <<YAML
proxy: { listen: ["0.0.0.0"], upstream: direct }
api: { listen: ["0.0.0.0"], token_file: /data/api.token }
tls: { cert_dir: /data/certs, extra_ca: [/etc/upstream-ca.crt] }
cache: { enabled: true, dir: /data/cache, max_size: 10GB }
logging: { level: warn }
YAML
docker run -d --name $name-proxy --network $name --network-alias proxy -v "$work/config.yaml:/etc/discobot.yaml:ro" \
    -v "$work/ca.crt:/etc/upstream-ca.crt:ro" discobot:scratch proxy -config /etc/discobot.yaml >/dev/null
until docker cp $name-proxy:/data/certs/ca.crt "$work/proxy-ca.crt" >/dev/null 2>&1; do sleep 0.2; done
docker run -d --name $name-engine --network $name -e HTTPS_PROXY=http://proxy:17080 -v "$work:/tls:ro" --cgroupns private \
    -v /var/lib/docker --cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add SYS_PTRACE --cap-add MKNOD \
    --security-opt seccomp=unconfined --security-opt apparmor=unconfined discobot-test/tools /tools/dockerd.sh >/dev/null
until docker exec $name-engine docker version >/dev/null 2>&1; do sleep 0.2; done

docker save $name -o "$work/image.tar"
docker cp "$work/image.tar" $name-registry:/tmp/image.tar >/dev/null
docker exec $name-registry skopeo copy -q --dest-tls-verify=false docker-archive:/tmp/image.tar docker://127.0.0.1:5000/bench/image:v1 >/dev/null
docker exec $name-registry touch /switches/redirect

# pull — seconds of one pull into an empty engine.
pull() {
    docker exec $name-engine bash -c '
        docker image prune -af >/dev/null
        start=$(date +%s.%N); docker pull -q registry.test/bench/image:v1 >/dev/null; end=$(date +%s.%N)
        python3 -c "print(f\"{$end - $start:.2f}\")"'
}
median() { sort -n | sed -n "$(((runs + 1) / 2))p"; }

api=http://$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' $name-proxy):17081
for run in $(seq "$runs"); do
    curl -sf -X DELETE "$api/api/cache" >/dev/null
    first=$(pull); second=$(pull)
    say "run $run: first $first s, second $second s"
    echo "$first" >>"$work/first"; echo "$second" >>"$work/second"
done
first=$(median <"$work/first") second=$(median <"$work/second")

say "once more, by digest, with the registry switched off"
digest=$(docker exec $name-engine docker image inspect -f '{{index .RepoDigests 0}}' registry.test/bench/image:v1)
docker kill $name-registry $name-link >/dev/null
docker exec $name-engine docker image prune -af >/dev/null
echo "\$ docker pull $digest"
docker exec $name-engine docker pull "$digest"
echo "\$ curl localhost:17081/api/cache/stats"
curl -sf "$api/api/cache/stats"; echo
echo "docker pull of $((layers * layer_mb)) MB over $mbit Mbit/s and $round_trip ms, median of $runs: first $first s, second $second s, ratio $(awk "BEGIN { printf \"%.1f\", $first / $second }")"
