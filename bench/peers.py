"""The programs that are compared, each configured as its documentation advises. `start_NAME(rig)` starts one."""
import contextlib
import json
import re

from rig import HOSTS, ORIGIN, WAYS, Server, run

LED_PORT, DNS_PORT, LED_USER = 17092, 17093, 4242
LED = f"""
table inet led {{
  chain leave {{
    type nat hook output priority -101
    meta skuid {LED_USER} accept
    ip daddr 127.0.0.6 tcp dport 443 counter redirect to :{LED_PORT}
  }}
}}
"""


def start_nginx(rig):
    """For files: sendfile, one worker a core. No access log, which flatters it: it is the limit. What leaves through the slow link is logged."""
    conf = rig.work / "nginx.conf"
    conf.write_text(f"""
user root; worker_processes auto; worker_rlimit_nofile 16384; daemon off; pid {rig.work}/nginx.pid; error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; default_type application/octet-stream;
  log_format sent $bytes_sent;
  ssl_certificate {rig.work}/tls/origin.crt; ssl_certificate_key {rig.work}/tls/origin.key; ssl_protocols TLSv1.2 TLSv1.3;
  client_body_temp_path {rig.work}/nginx-body; proxy_temp_path {rig.work}/nginx-proxy;
  server {{
    listen 127.0.0.2:80 backlog=4096; listen 127.0.0.2:443 ssl http2 backlog=4096; listen 127.0.0.6:443 ssl http2 backlog=4096;
    server_name {ORIGIN} led.bench *.{HOSTS}; root {rig.work}/www;
    # As registries do: what an address with a digest names never changes.
    location /v2/ {{ add_header Cache-Control "max-age=31536000, immutable"; }}
    location = /v2/ {{ return 200 "{{}}"; }}
    location /npm/ {{ default_type application/json; add_header Cache-Control "max-age=31536000"; }}
    location /npm/confirmed/ {{ default_type application/json; add_header Cache-Control "max-age=0"; }}
    location = /two {{ default_type text/plain; add_header Cache-Control no-store; return 200 "ok"; }}
  }}
  server {{
    listen 127.0.0.2:8443 ssl; server_name slow.bench; root {rig.work}/www; access_log {rig.slow_log} sent;
    location /v2/ {{ add_header Cache-Control "max-age=31536000, immutable"; }}
    location = /v2/ {{ return 200 "{{}}"; }}
  }}
}}
""")
    return Server("nginx", ["nginx", "-c", str(conf)], rig.work / "nginx.log", 443, "127.0.0.2")


def discobot_command(rig, name, port, more=None):
    """The built-in configuration; only ports, directories and the origin's CA are set, and what a line is about."""
    home = rig.work / name
    home.mkdir(exist_ok=True)
    conf = home / "config.yaml"
    conf.write_text(json.dumps({
        "proxy": {"port": port, "api_port": port + 1},
        "api": {"token_file": f"{home}/token"},
        "tls": {"cert_dir": f"{home}/certs", "extra_ca": [f"{rig.work}/tls/origin-ca.crt"]},
        "cache": {"dir": f"{home}/cache", "max_size": "40GiB"},
    } | (more or {})))
    return [rig.binary, "proxy", "-config", str(conf)]


def start_discobot(rig):
    port = WAYS["discobot"].port
    return Server("discobot", discobot_command(rig, "discobot", port), rig.work / "discobot.log", port)


def start_connect(rig):
    """discobot once more, as in a container: a user of its own, the entry that redirected connections arrive at, and the resolver. What is led to it by
    LED is measured as "discobot", what uses it as a proxy as "connect"."""
    port = WAYS["connect"].port
    command = discobot_command(rig, "connect", port, {"egress": {"mode": "redirect", "port": LED_PORT, "dns_port": DNS_PORT}})
    run("chown", "-R", f"{LED_USER}:{LED_USER}", rig.work / "connect")
    return Server("connect", ["setpriv", "--reuid", LED_USER, "--regid", LED_USER, "--clear-groups", *command], rig.work / "connect.log", port)


@contextlib.contextmanager
def led():
    """The packet filter leads connections to led.bench to the proxy, as the init's rules do. It costs every connection, so it is there for a line alone."""
    run("nft", "-f", "-", input=LED)
    try:
        yield
    finally:
        run("nft", "delete", "table", "inet", "led")


def start_squid(rig):
    """ssl-bump and disk cache as in the wiki's examples; files of any size may be stored."""
    home = rig.work / "squid"
    port = WAYS["squid"].port
    if not home.exists():
        prepare_squid(rig, home, port)
    return Server("squid", ["squid", "-N", "-f", home / "squid.conf"], rig.work / "squid.log", port)


def prepare_squid(rig, home, port):
    (home / "cache").mkdir(parents=True)
    tls = rig.work / "tls"
    (home / "ca.pem").write_text((tls / "squid-ca.crt").read_text() + (tls / "squid-ca.key").read_text())
    run("/usr/lib/squid/security_file_certgen", "-c", "-s", home / "certs", "-M", "16MB")
    (home / "squid.conf").write_text(f"""
http_port 127.0.0.1:{port} ssl-bump tls-cert={home}/ca.pem generate-host-certificates=on dynamic_cert_mem_cache_size=16MB
sslcrtd_program /usr/lib/squid/security_file_certgen -s {home}/certs -M 16MB
acl step1 at_step SslBump1
ssl_bump peek step1
ssl_bump bump all
tls_outgoing_options cafile={tls}/origin-ca.crt
http_access allow all
http_upgrade_request_protocols websocket allow all
collapsed_forwarding off
cache_dir aufs {home}/cache 20000 16 256
maximum_object_size 8 GB
cache_mem 256 MB
max_filedescriptors 16384
access_log stdio:{home}/access.log
cache_log {home}/cache.log
pid_filename {home}/squid.pid
coredump_dir {home}
visible_hostname squid.bench
shutdown_lifetime 1 seconds
""")
    run("chown", "-R", "proxy:proxy", home)
    run("squid", "-N", "-z", "-f", home / "squid.conf")


def squid_collapses(rig, value):
    """Whether requests for the same body share a download: "on" is for crowds, and halves what it does for others."""
    conf = rig.work / "squid" / "squid.conf"
    conf.write_text(re.sub("(?m)^collapsed_forwarding .*", f"collapsed_forwarding {value}", conf.read_text()))
    rig.restart("squid")


def start_mitmproxy(rig):
    """Bodies streamed, as advised for large ones."""
    port = WAYS["mitmproxy"].port
    return Server("mitmproxy", [
        "mitmdump", "-q", "--listen-host", "127.0.0.1", "-p", str(port), "--set", f"confdir={rig.work}/mitmproxy",
        "--set", "stream_large_bodies=1m", "--set", f"ssl_verify_upstream_trusted_ca={rig.work}/tls/origin-ca.crt",
    ], rig.work / "mitmproxy.log", port)


def start_registry(rig):
    """Docker's registry as a pull-through mirror, on local disk, with the descriptors in memory. Its origin is behind the slow link."""
    conf = rig.work / "registry.json"
    tls = rig.work / "tls"
    conf.write_text(json.dumps({
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"cache": {"blobdescriptor": "inmemory"}, "filesystem": {"rootdirectory": f"{rig.work}/registry"}},
        "http": {"addr": f"{WAYS['registry'].address}:443", "tls": {"certificate": f"{tls}/origin.crt", "key": f"{tls}/origin.key"}},
        "proxy": {"remoteurl": "https://slow.bench"},
    }))
    return Server("registry", ["docker-registry", "serve", str(conf)], rig.work / "registry.log", 443, WAYS["registry"].address,
                  {"SSL_CERT_FILE": f"{tls}/origin-ca.crt"})


def start_dante(rig):
    port = WAYS["dante"].port
    conf = rig.work / "danted.conf"
    conf.write_text(f"""
logoutput: stderr
internal: 127.0.0.1 port = {port}
external: lo
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 log: error }}
socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 log: error }}
""")
    return Server("dante", ["danted", "-f", str(conf), "-p", f"{rig.work}/danted.pid"], rig.work / "dante.log", port)


def start_microsocks(rig):
    port = WAYS["microsocks"].port
    return Server("microsocks", ["microsocks", "-i", "127.0.0.1", "-p", port], rig.work / "microsocks.log", port)
