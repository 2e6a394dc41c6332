using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init;

/// <summary>A container whose root is a directory: steps run in it one by one.</summary>
internal sealed class ContainerFixture : IDisposable
{
    private readonly StringWriter _log = new();

    public ContainerFixture(params (string Name, string Value)[] variables)
    {
        // Programs that run as the agent have to get here.
        File.SetUnixFileMode(Root, (UnixFileMode)0x1ED);
        foreach (var directory in new[] { ".data", "home/discobot", "etc/discobot", "opt/discobot/bin" })
            Directory.CreateDirectory(At(directory));
        File.WriteAllText(At("etc/passwd"), "root:x:0:0::/root:/bin/sh\n");
        File.WriteAllText(At("etc/group"), "root:x:0:\n");
        var environment = variables.Append(("SESSION_ID", "s1")).Append(("PATH", $"{At("bin")}:/usr/local/bin:/usr/bin:/bin")).DistinctBy(v => v.Item1).ToDictionary(v => v.Item1, v => v.Item2);
        var errors = new List<string>();
        var session = SessionOptions.Read(environment, errors);
        Assert.Empty(errors);
        Log = new InitLog(_log.WriteLine, _log.WriteLine, debug: true);
        Container = new Container(new ContainerPaths(Root), session!, Agent, environment, Services, Log, Spawner);
    }

    /// <summary>Somebody whom every machine has.</summary>
    public static UserRecord Agent { get; } = new UserDatabase("/etc").Find("nobody")!;

    public string Root { get; } = Directory.CreateTempSubdirectory("container-").FullName;

    public Spawner Spawner { get; } = new(Executable.Path);

    public InitLog Log { get; }

    public Container Container { get; }

    public string Output => _log.ToString();

    public string? ChosenFrom { get; private set; } = "never asked";

    /// <summary>What the configuration asks of the start.</summary>
    public ProxySummary Summary { get; set; } = new();

    private InitServices Services => new()
    {
        EnsureAuthority = (directory, cancellation) => File.WriteAllTextAsync(Path.Combine(directory, "ca.crt"), "a certificate", cancellation),
        InstallTrust = (_, _) => Task.FromResult(new TrustOutcome("/bundle.pem", "the CA is trusted", true)),
        FollowBundleForJava = static (_, _) => { },
        OperatorErrors = static () => [],
        ChooseConfig = text =>
        {
            ChosenFrom = text;
            return new ConfigChoice(text ?? "default", "somewhere", Summary, []);
        },
        IsMachinesNetwork = static () => true,
        OpenEgressTable = static () => throw new InvalidOperationException("the packet filter of the test's own machine"),
        WatchRuleset = static _ => _ => Task.CompletedTask,
        AddLoopbackAddress = static _ => throw new InvalidOperationException("the network of the test's own machine"),
        AddLoopbackRoutes = static _ => throw new InvalidOperationException("the network of the test's own machine"),
        WatchInterfaces = static _ => _ => Task.CompletedTask,
    };

    public string At(string path) => Path.Combine(Root, path.TrimStart('/'));

    public string Write(string path, string content, uint mode = 0x1A4)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(At(path))!);
        File.WriteAllText(At(path), content);
        File.SetUnixFileMode(At(path), (UnixFileMode)mode);
        return At(path);
    }

    /// <summary>A program of the container's, in sh. Written by another process: a file this one has open for writing could not be run
    /// if another test starts a program meanwhile.</summary>
    public string Program(string path, string script)
    {
        Sh("mkdir -p \"$(dirname \"$1\")\"; printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\"; chmod 755 \"$1\"", At(path), script);
        return At(path);
    }

    public static void Sh(string script, params string[] arguments)
    {
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("sh", ["-ec", script, "sh", .. arguments]))!;
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    public void Dispose()
    {
        Spawner.Dispose();
        Container.Running.Dispose();
        Directory.Delete(Root, true);
    }
}
