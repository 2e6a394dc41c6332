using System.Diagnostics;
using System.Text;
using Discobot.Features.Init.Supervision;
using Discobot.Infrastructure.Native;

namespace Discobot.Tests.Fixtures;

/// <summary>
/// A container without an engine: the executable as process 1 in mount, process and network namespaces of its own. Its root is a directory
/// of the test's, with this machine's programs read-only in it; what it writes is there at the next start. Needs root.
/// </summary>
internal sealed class Enclosure : Session, IDisposable
{
    private const string Build = """
        set -e; cd "$1"
        mkdir -p usr proc dev etc run tmp root sys var/lib workspace home/discobot opt/dotnet opt/discobot/lib opt/discobot/bin local/bin local/sbin etc/profile.d etc/ssl/certs
        for d in bin sbin lib lib64; do if [ -L /$d ]; then cp -a /$d .; elif [ -d /$d ]; then mkdir $d; fi; done
        for f in alternatives ld.so.cache ld.so.conf ld.so.conf.d nsswitch.conf ssl/openssl.cnf; do [ ! -e /etc/$f ] || cp -a /etc/$f etc/$f; done
        cp -L /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/ || : > etc/ssl/certs/ca-certificates.crt
        chmod 1777 tmp; chmod 755 .; chown 1000:1000 home/discobot
        printf '127.0.0.1 localhost\n' > etc/hosts
        printf 'for f in /etc/profile.d/*.sh; do [ ! -r $f ] || . $f; done\n' > etc/profile
        printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\ndiscobot:x:1000:1000::/home/discobot:/bin/sh\n' > etc/passwd
        printf 'root:x:0:\nnogroup:x:65534:\ndiscobot:x:1000:\n' > etc/group
        printf '#!/bin/sh\nexec /opt/discobot/lib/discobot "$@"\n' > opt/discobot/bin/discobot
        printf '#!/bin/sh\nexec /opt/discobot/lib/discobot proxy "$@"\n' > opt/discobot/bin/proxy
        chmod 755 opt/discobot/bin/*
        """;

    // $1 root, $2 volume, $3 the program's files, $4 the runtime, $5 what the test does beforehand, and then what is run.
    private const string Enter = """
        set -e; cd "$1"; volume=$2; program=$3; runtime=$4; before=$5; shift 5
        show() { mount --bind "$1" "$2"; mount -o remount,bind,ro "$2"; }
        for d in usr bin sbin lib lib64; do [ -L /$d ] || [ ! -d /$d ] || show /$d $d; done
        show "$program" opt/discobot/lib; show "$runtime" opt/dotnet
        mount --bind local usr/local; mkdir -p .data; mount --bind "$volume" .data
        mount --rbind /dev dev; mount -t proc proc proc; ip link set lo up
        eval "$before"; exec chroot . "$@"
        """;

    /// <summary>In sh: mounts a FUSE at <c>$hung</c> whose server takes every question and answers none. Whoever looks there waits, as for an
    /// NFS whose server is gone. The first question is told, see <see cref="SeeHungAskedAsync"/>.</summary>
    public const string MountHung = """
        cat > tmp/hung.py << 'END'
        import ctypes, os, struct, sys
        f = os.open("/dev/fuse", 2)
        assert ctypes.CDLL(None).mount(b"hung", sys.argv[1].encode(), b"fuse", 0, b"fd=%d,rootmode=40000,user_id=0,group_id=0" % f) == 0
        begin = os.read(f, 1 << 20)
        os.write(f, struct.pack("=IiQ", 80, 0, struct.unpack_from("=Q", begin, 8)[0]) + struct.pack("=IIIIHHIIHHI7I", 7, 31, 0, 0, 12, 9, 4096, 1, 0, 0, 0, *[0] * 7))
        while os.read(f, 1 << 20):
            open("tmp/hung.asked", "w")
        END
        python3 tmp/hung.py "$hung" > /dev/null 2>&1 &
        while ! grep -q ' - fuse hung ' /proc/self/mountinfo; do kill -0 $! || exit 1; sleep 0.05; done
        """;

    private readonly string _volume;
    private readonly bool _sharesVolume;
    private readonly StringBuilder _output = new();
    private Process? _process;
    private Task<long>? _ended;

    /// <param name="volumeOf">Whose volume it has; one of its own when null.</param>
    public Enclosure(Enclosure? volumeOf = null)
    {
        _sharesVolume = volumeOf is not null;
        _volume = volumeOf?._volume ?? Directory.CreateDirectory(Path.Combine(VolumeDirectory(), Path.GetRandomFileName())).FullName;
        Assert.True(System.Environment.IsPrivilegedProcess, "this test makes namespaces and mounts: run it as root");
        Sh(Build, Root);
        Agent("exit 0");
    }

    public string Root { get; } = Directory.CreateTempSubdirectory("enclosure-").FullName;

    public override Dictionary<string, string> Environment { get; } = new()
    {
        ["SESSION_ID"] = "s1",
        ["PATH"] = "/usr/local/bin:/usr/bin:/bin",
        ["DOTNET_ROOT"] = "/opt/dotnet",
        ["DOTNET_EnableDiagnostics"] = "0",
        ["LANG"] = "C",
    };

    /// <summary>Done in sh before the start, inside the namespaces and in the root's directory, where it may mount.</summary>
    public string Before { get; set; } = ":";

    /// <summary>What is put before the executable, when it is not to be process 1.</summary>
    public IReadOnlyList<string> Under { get; set; } = [];

    /// <summary>Everything written since the last start.</summary>
    public string Output
    {
        get
        {
            lock (_output)
                return _output.ToString();
        }
    }

    /// <summary>The same without process 1's own lines, which may come between those that programs write.</summary>
    public string Said => "\n" + string.Join('\n', Output.Split('\n').Where(line => !line.StartsWith(InitLog.Prefix, StringComparison.Ordinal)));

    /// <summary>Where a path of the root or the volume is on this machine.</summary>
    public string At(string path) => path.StartsWith("/.data", StringComparison.Ordinal) ? _volume + path["/.data".Length..] : Root + path;

    public override void Program(string path, string script)
    {
        var at = path.StartsWith("/usr/local/", StringComparison.Ordinal) ? Path.Combine(Root, "local", path["/usr/local/".Length..]) : At(path);
        // By another process: a file this one has open for writing could not be run if another test starts a program meanwhile.
        Sh("mkdir -p \"$(dirname \"$1\")\"; printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\"; chmod 755 \"$1\"", at, script);
    }

    /// <summary>Runs sh here, on this machine, with <c>$1</c> the root and <c>$2</c> the volume.</summary>
    public void Prepare(string script) => Sh("set -e\n" + script, Root, _volume);

    /// <summary>Waits until somebody waits for what <see cref="MountHung"/> has mounted.</summary>
    public async Task SeeHungAskedAsync()
    {
        for (var clock = Stopwatch.StartNew(); !File.Exists(At("/tmp/hung.asked")); await Task.Delay(20))
            Assert.True(clock.Elapsed < Patience && !Ended.IsCompleted, Output);
    }

    public override Task StartAsync()
    {
        lock (_output)
            _output.Clear();
        // Errors into the same pipe as the rest, so that lines stay in the order in which they were written.
        string[] command =
        [
            "sh", "-c", "exec \"$@\" 2>&1", "sh", "unshare", "-m", "-p", "-f", "-n", "--kill-child", "sh", "-c", Enter, "sh", Root, _volume, Executable.Directory, Executable.Runtime, Before,
            "env", "-i", .. Environment.Select(v => $"{v.Key}={v.Value}"), .. Under, "/opt/discobot/lib/discobot", "init",
        ];
        var info = new ProcessStartInfo("env", Terminal ? ["script", "-qec", string.Join(' ', command.Select(Quote)), "/dev/null"] : command)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        _process = Process.Start(info)!;
        _process.StandardInput.Close();
        _process.OutputDataReceived += (_, line) => Note(line.Data);
        _process.BeginOutputReadLine();
        _ended = EndedAsync(_process);
        return Task.CompletedTask;
    }

    public override Task<string> OutputAsync() => Task.FromResult(Output);

    public override Task SendAsync(string signal)
    {
        Send(SignalNames.FromName(signal)!.Value);
        return Task.CompletedTask;
    }

    /// <summary>Sends a signal to process 1 of the namespace, or to whom it started first, counted from there.</summary>
    public void Send(Signal signal, int generation = 0) => Assert.Equal(0, Libc.Kill(Inner(generation), (int)signal));

    public override async Task<string> ShellAsync(string script)
    {
        var info = new ProcessStartInfo("nsenter",
            ["-t", $"{Inner(0)}", "-m", "-p", "-n", "-r", "-w", "env", "-i", .. Environment.Select(v => $"{v.Key}={v.Value}"), "sh", "-c", script])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(info)!;
        var said = Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        try
        {
            return string.Concat(await said.WaitAsync(Patience));
        }
        catch (TimeoutException)
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"it did not end: {script}\n{Output}");
            throw;
        }
    }

    public void Dispose()
    {
        if (_process is { HasExited: false })
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
        }

        _process?.Dispose();
        if (!_sharesVolume)
            Directory.Delete(_volume, true);
        Directory.Delete(Root, true);
    }

    // OverlayFS cannot write to another overlay, as which a container's own root is mounted.
    private static string VolumeDirectory()
        => new DriveInfo(Path.GetTempPath()).DriveFormat.StartsWith("overlay", StringComparison.Ordinal) ? "/dev/shm" : Path.GetTempPath();

    private static void Sh(string script, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("sh", ["-c", script, "sh", .. arguments]))!;
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    private static string Quote(string argument) => $"'{argument.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    protected override Task<long> Ended => _ended!;

    private static async Task<long> EndedAsync(Process process)
    {
        await process.WaitForExitAsync();
        return process.ExitCode;
    }

    // Above process 1 of the namespace there are more or fewer: a terminal's shell may stay, or become what it runs.
    private int Inner(int generation)
    {
        var id = _process!.Id;
        do
            id = ProcessTree.Read().ChildrenOf(id).First();
        while (!File.ReadLines($"/proc/{id}/status").Any(line => line.StartsWith("NSpid:", StringComparison.Ordinal) && line.EndsWith("\t1", StringComparison.Ordinal)));
        for (var i = 0; i < generation; i++)
            id = ProcessTree.Read().ChildrenOf(id).First();
        return id;
    }

    private void Note(string? line)
    {
        lock (_output)
            _output.Append(line?.TrimEnd('\r')).Append('\n');
    }
}
