"""OpenStack Swift with s3api in one process, on ports of its own, in the directory that is named. Says its address when it serves; ends with its standard input.

The clients are test:tester with the secret testing, who may do everything, and test:reader, who may not.
"""
import ctypes
import os
import sys
import threading

directory = sys.argv[1]
ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL: a test that was killed leaves nothing behind.
os.environ["TZ"] = "UTC+0"


def write(name, text):
    with open(os.path.join(directory, name), "w") as file:
        file.write(text)
    return file.name


def ring(kind, port):
    from swift.common.ring import RingBuilder
    builder = RingBuilder(4, 1, 0)
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1.0, "ip": "127.0.0.1", "port": port, "device": "disk",
                     "replication_ip": "127.0.0.1", "replication_port": port, "meta": ""})
    builder.rebalance()
    builder.get_ring().save(os.path.join(directory, kind + ".ring.gz"))


write("swift.conf", "[swift-hash]\nswift_hash_path_suffix = test\n[storage-policy:0]\nname = only\ndefault = yes\n")

from swift.common import utils  # noqa: E402
utils.set_swift_dir(directory)
utils.validate_hash_conf()
import eventlet  # noqa: E402
import eventlet.hubs  # noqa: E402
eventlet.hubs.use_hub(utils.get_hub())
utils.eventlet_monkey_patch()
from eventlet import wsgi  # noqa: E402
from swift.common import storage_policy  # noqa: E402
storage_policy.reload_storage_policies()
from swift.common.wsgi import SwiftHttpProtocol, loadapp  # noqa: E402

os.makedirs(os.path.join(directory, "node", "disk"), exist_ok=True)
common = f"[DEFAULT]\nmount_check = false\nswift_dir = {directory}\ndevices = {directory}/node\nlog_level = CRITICAL\n"
listeners = {kind: eventlet.listen(("127.0.0.1", 0)) for kind in ("account", "container", "object", "proxy")}
for kind in ("account", "container", "object"):
    ring(kind, listeners[kind].getsockname()[1])
    write(kind + ".conf", f"{common}[pipeline:main]\npipeline = {kind}-server\n[app:{kind}-server]\nuse = egg:swift#{kind}\nfallocate_reserve = 0\n")
middleware = ("catch_errors", "gatekeeper", "healthcheck", "cache", "bulk", "s3api", "tempauth", "slo", "dlo")
settings = {
    "cache": "memcache_servers = 127.0.0.1:1",
    "s3api": "location = eu-test-1\nallow_multipart_uploads = true",
    "tempauth": "user_test_tester = testing .admin\nuser_test_reader = reading",
}
entries = {"cache": "memcache"}
write("proxy.conf", f"{common}[pipeline:main]\npipeline = {' '.join(middleware)} proxy-server\n"
      "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\nallow_account_management = true\n"
      + "".join(f"[filter:{name}]\nuse = egg:swift#{entries.get(name, name)}\n{settings.get(name, '')}\n" for name in middleware))

for kind, listener in listeners.items():
    app = loadapp(os.path.join(directory, kind + ".conf"), global_conf={"log_name": kind})
    eventlet.spawn(wsgi.server, listener, app, utils.NullLogger(), protocol=SwiftHttpProtocol, capitalize_response_headers=False)
print(f"http://127.0.0.1:{listeners['proxy'].getsockname()[1]}", flush=True)
eventlet.tpool.execute(sys.stdin.read)
