using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Discobot.Integration.Init;

/// <summary>
/// The shipped executable as process 1 of a container made of namespaces alone, on a copy-on-write view of this machine: no image, no
/// engine, a start in milliseconds. Needs root. What is written stays in a temporary directory; the volume outlives a run.
/// </summary>
internal sealed class InitContainer : IDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(40);
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-init-").FullName;
    private readonly StringBuilder _output = new();
    private Process? _process;

    public InitContainer()
    {
        foreach (var name in new[] { "upper/opt/discobot/bin", "upper/home/discobot", "upper/workspace", "upper/etc", "work", "root", "data" })
            Directory.CreateDirectory(Path.Combine(_directory, name));
        File.AppendAllText(Copy("etc/passwd"), "discobot:x:4321:4321::/home/discobot:/bin/bash\n");
        File.AppendAllText(Copy("etc/group"), "discobot:x:4321:\n");
        File.Copy(Executable(), Upper("opt/discobot/bin/discobot"));
        File.CreateSymbolicLink(Upper("opt/discobot/bin/proxy"), "discobot");
        File.WriteAllText(Upper("home/discobot/.from-image"), "image");
        Agent("sleep 1000");
    }

    /// <summary>The variables of the container.</summary>
    public Dictionary<string, string> Environment { get; } = new()
    {
        // Without the directories in which a Docker daemon of this machine would be.
        ["PATH"] = "/usr/bin:/bin",
        ["SESSION_ID"] = "session-1",
    };

    /// <summary>Everything it wrote so far.</summary>
    public string Output
    {
        get
        {
            lock (_output)
                return _output.ToString();
        }
    }

    /// <summary>A file of the image, before the start.</summary>
    public string Upper(string path) => Path.Combine(_directory, "upper", path);

    /// <summary>A file of the volume.</summary>
    public string Data(string path) => Path.Combine(_directory, "data", path);

    /// <summary>Sets what the agent-api does, in bash.</summary>
    public void Agent(string script) => Program("opt/discobot/bin/discobot-agent-api", script);

    /// <summary>Puts a bash script into the image.</summary>
    public void Program(string path, string script)
    {
        File.Delete(Upper(path));
        File.WriteAllText(Upper(path), $"#!/bin/bash\n{script}\n");
        File.SetUnixFileMode(Upper(path), (UnixFileMode)0x1ED);
    }

    /// <summary>Starts it. May be called again after its end: the volume stays, as does what was written to the root.</summary>
    public void Start(params string[] arguments)
    {
        lock (_output)
            _output.Clear();
        var script = Path.Combine(Checkout(), "tests.integration", "Init", "container.sh");
        var info = new ProcessStartInfo("unshare", ["--mount", "--pid", "--fork", "--net", "--kill-child", "bash", script, _directory,
            "/usr/bin/env", "-i", .. Environment.Select(v => $"{v.Key}={v.Value}"), "/opt/discobot/bin/discobot", "init", .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        _process = Process.Start(info)!;
        _process.StandardInput.Close();
        _process.OutputDataReceived += (_, e) => Add(e.Data);
        _process.ErrorDataReceived += (_, e) => Add(e.Data);
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>Starts it and waits for its end.</summary>
    public async Task<int> RunAsync(params string[] arguments)
    {
        Start(arguments);
        return await EndAsync();
    }

    /// <summary>Waits for its end.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> EndAsync()
    {
        using var limit = new CancellationTokenSource(Patience);
        try
        {
            await _process!.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"it did not end\n{Output}");
        }

        return _process.ExitCode;
    }

    /// <summary>Waits until a text was written.</summary>
    public async Task SeeAsync(string text)
    {
        var watch = Stopwatch.StartNew();
        while (!Output.Contains(text, StringComparison.Ordinal))
        {
            Assert.False(_process!.HasExited && !Output.Contains(text, StringComparison.Ordinal), $"ended without: {text}\n{Output}");
            Assert.True(watch.Elapsed < Patience, $"never seen: {text}\n{Output}");
            await Task.Delay(5);
        }
    }

    /// <summary>Sends a signal to process 1.</summary>
    public void Send(string signal) => Kill(signal, Children(_process!.Id).First());

    /// <summary>Sends a signal to the process that process 1 called by this name in its log, as in <c>proxy started (pid=</c>.</summary>
    public void SendTo(string logged, string signal)
    {
        var inner = Output[(Output.LastIndexOf(logged, StringComparison.Ordinal) + logged.Length)..].Split(')')[0];
        var outer = Children(Children(_process!.Id).First())
            .First(id => File.ReadAllLines($"/proc/{id}/status").Any(l => l.StartsWith("NSpid:", StringComparison.Ordinal) && l.EndsWith("\t" + inner, StringComparison.Ordinal)));
        Kill(signal, outer);
    }

    /// <summary>The lines of the log that hold our prefix, without it.</summary>
    public List<string> Log() => [.. Output.Split('\n').Where(l => l.StartsWith("discobot-agent: ", StringComparison.Ordinal)).Select(l => l["discobot-agent: ".Length..])];

    public void Dispose()
    {
        if (_process is { HasExited: false })
        {
            _process.Kill();
            _process.WaitForExit();
        }

        _process?.Dispose();
        using var remove = Process.Start("rm", ["-rf", "--one-file-system", _directory]);
        remove.WaitForExit();
    }

    private static string Executable()
    {
        var path = Path.Combine(Checkout(), "artifacts", "discobot");
        return File.Exists(path) ? path : throw new FileNotFoundException($"{path} is missing; run: make binary");
    }

    private static string Checkout()
    {
        var top = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(top, "Discobot.sln")))
            top = Path.GetDirectoryName(top) ?? throw new DirectoryNotFoundException("The tests do not run inside a checkout.");
        return top;
    }

    private static IEnumerable<int> Children(int id)
        => File.ReadAllText($"/proc/{id}/task/{id}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Concat(Directory.GetDirectories($"/proc/{id}/task").Where(t => !t.EndsWith($"/{id}", StringComparison.Ordinal))
                .SelectMany(t => File.ReadAllText($"{t}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries)))
            .Select(c => int.Parse(c, CultureInfo.InvariantCulture));

    private static void Kill(string signal, int id)
    {
        using var kill = Process.Start("kill", [$"-{signal}", id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    private string Copy(string path)
    {
        File.Copy("/" + path, Upper(path));
        return Upper(path);
    }

    private void Add(string? line)
    {
        lock (_output)
            _output.Append(line).Append('\n');
    }
}
