"""What the scripts share that try ways out. Each way has an address of its own, so that the outside host's record says which one left. Prints LEAK
where something succeeds that must not, and at the end how many ways were tried.

Usage of each: SCRIPT OUTSIDE, the address of the outside host."""
import array, ctypes, errno, glob, mmap, os, signal, socket, ssl, struct, subprocess, sys, tempfile, time

OUTSIDE = sys.argv[1]
ELSEWHERE6 = "2001:db8::1"
PROXY = ("127.0.0.1", 17080)
libc = ctypes.CDLL(None, use_errno=True)
ways = []
NEWUSER, NEWNET, NEWNS, NEWPID = 0x10000000, 0x40000000, 0x00020000, 0x20000000


def way(function):
    ways.append(function)
    return function


def leak(what):
    os.write(1, ("LEAK %s\n" % what).encode())


def quiet(function, *arguments):
    try:
        return function(*arguments)
    except (OSError, OverflowError, ValueError, subprocess.SubprocessError):
        return None


def send(to, kind=socket.SOCK_STREAM, protocol=0, family=socket.AF_INET, prepare=None, data=b"exfil"):
    def run():
        with socket.socket(family, kind, protocol) as s:
            s.settimeout(1)
            if prepare:
                prepare(s)
            if kind == socket.SOCK_STREAM:
                s.connect(to)
                s.send(data)
            else:
                s.sendto(data, to)
            return s.recv(999)
    return quiet(run)


def option(level, name, value):
    return lambda s: s.setsockopt(level, name, value)


def question(name, kind=1, extra=b""):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", 7, 256, 1, 0, 0, 1 if extra else 0) + labels + b"\0" + struct.pack("!HH", kind, 1) + extra


def run(*command):
    return quiet(lambda: subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=3))


def others():
    """Processes of other users."""
    for name in os.listdir("/proc"):
        if name.isdigit() and quiet(lambda: os.stat("/proc/" + name).st_uid) not in (None, os.getuid()):
            yield int(name)


def main(first):
    """Tries all of them, the way with the number 1 for 198.51.100.FIRST."""
    running = {}
    deadline = time.time() + 600
    waiting = list(enumerate(ways, 1))
    while waiting or running:
        while waiting and len(running) < 6:
            number, function = waiting.pop(0)
            pid = os.fork()
            if pid == 0:
                try:
                    function("198.51.100.%d" % (first + number - 1))
                    os._exit(0)
                except BaseException as error:
                    os.write(1, ("BROKEN %s: %r\n" % (function.__name__, error)).encode())
                    os._exit(1)
            running[pid] = function.__name__
        pid, _ = os.waitpid(-1, os.WNOHANG)
        running.pop(pid, None)
        if time.time() > deadline:
            for pid in running:
                os.kill(pid, signal.SIGKILL)
            print("BROKEN not done in time: %s" % ", ".join(running.values()), flush=True)
            return
        time.sleep(0.02)
    print("tried %d ways" % len(ways), flush=True)
