using System.Diagnostics;

namespace Discobot.Tests.Fixtures;

/// <summary>The machine at the other end of a <see cref="ScratchNamespace"/>'s uplink, 192.0.2.254, in a network of its own: Python, told line by line
/// what to do. It listens at <see cref="Port"/> as <c>l</c>.</summary>
internal sealed class Beyond : IDisposable
{
    public const string Address = "192.0.2.254";
    public const int Port = 5000;

    private const string Prelude = """
        import socket, sys, time
        print("here", flush=True); sys.stdin.readline()
        l = socket.socket(); l.setsockopt(1, 2, 1); l.bind(("192.0.2.254", 5000)); l.listen()
        print("listens", flush=True)
        for line in sys.stdin: exec(line)
        """;

    private readonly Process _process = Process.Start(new ProcessStartInfo("unshare", ["-n", "python3", "-c", Prelude]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;

    public Beyond()
    {
        Assert.Equal("here", Hear());
        ScratchNamespace.Shell($"ip link set beyond netns {_process.Id}");
        Shell("ip link set lo up; ip link set beyond address 02:00:00:00:00:01; ip addr add 192.0.2.254/24 dev beyond; ip link set beyond up");
        Say("");
        Assert.Equal("listens", Hear());
    }

    /// <summary>Has it run a line.</summary>
    public void Say(string python)
    {
        _process.StandardInput.WriteLine(python);
        _process.StandardInput.Flush();
    }

    /// <summary>The next line that it prints.</summary>
    public string? Hear() => _process.StandardOutput.ReadLine();

    /// <summary>What an expression is there.</summary>
    public string? Ask(string python)
    {
        Say($"print({python}, flush=True)");
        return Hear();
    }

    /// <summary>Runs a shell script there.</summary>
    public string Shell(string script) => ScratchNamespace.Shell($"nsenter -t {_process.Id} -n sh -c '{script}'");

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }
}
