using System.Diagnostics;
using System.Text;
using Discobot.Integration.Fixtures;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Configurations;
using DotNet.Testcontainers.Containers;
using DotNet.Testcontainers.Networks;

namespace Discobot.Integration.Init;

/// <summary>
/// A distribution's shipped image as it is meant to be run: the executable as process 1, a volume at /.data, the right to mount. The
/// agent-api is a script of the test's.
/// </summary>
internal sealed class SessionContainer : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private const UnixFileModes Executable = UnixFileModes.UserRead | UnixFileModes.UserWrite | UnixFileModes.UserExecute
        | UnixFileModes.GroupRead | UnixFileModes.GroupExecute | UnixFileModes.OtherRead | UnixFileModes.OtherExecute;

    private readonly Dictionary<string, (byte[] Content, UnixFileModes Mode)> _files = [];
    private readonly StringBuilder _prepare = new();
    private readonly string _image;
    private IContainer? _container;
    private Task<long>? _ended;
    private (int Output, int Errors) _earlier;

    /// <param name="image">Of the images of <c>make images</c>, or made from one.</param>
    public SessionContainer(string image)
    {
        _image = image;
        Agent("sleep 1000");
    }

    public SessionContainer(Distro distro)
        : this(distro.Image)
    {
    }

    /// <summary>The variables of the container.</summary>
    public Dictionary<string, string> Environment { get; } = new() { ["SESSION_ID"] = "session-1" };

    /// <summary>Beyond the loopback only when a test needs it.</summary>
    public INetwork? Network { get; init; }

    /// <summary>Whether the image's dockerd is there; most tests are quicker without.</summary>
    public bool Docker { get; init; }

    /// <summary>Whether a terminal is attached, as with <c>docker run -t</c>.</summary>
    public bool Terminal { get; init; }

    /// <summary>What it may do beyond a plain container.</summary>
    public IList<string> Capabilities { get; init; } = ["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "MKNOD"];

    /// <summary>More volumes than /.data.</summary>
    public IReadOnlyList<string> Volumes { get; init; } = [];

    public string Id => _container!.Id;

    /// <summary>Sets what the agent-api does, in sh; also between two starts.</summary>
    public void Agent(string script) => Program("/opt/discobot/bin/discobot-agent-api", script);

    /// <summary>Puts an sh script into the image.</summary>
    public void Program(string path, string script) => Put(path, $"#!/bin/sh\n{script}\n", Executable);

    /// <summary>Puts a file into the image; after the first start, into the container.</summary>
    public void Put(string path, string content, UnixFileModes mode = UnixFileModes.UserRead | UnixFileModes.GroupRead | UnixFileModes.OtherRead)
        => _files[path] = (Encoding.UTF8.GetBytes(content), mode);

    /// <summary>What is done in the image, as root in sh, before its first start.</summary>
    public void Prepare(string script) => _prepare.Append(script).Append('\n');

    /// <summary>Starts it. May be called again after its end: the volume stays, as does what was written to the root.</summary>
    public async Task StartAsync()
    {
        if (_container is null)
            await CreateAsync();
        else
            _earlier = await LogsAsync() is var (output, errors) ? (output.Length, errors.Length) : default;
        foreach (var (path, file) in _files)
            await _container!.CopyAsync(file.Content, path, fileMode: file.Mode);
        _files.Clear();
        try
        {
            await _container!.StartAsync();
        }
        catch (ContainerNotRunningException)
        {
            // Over already; the test looks at its exit code.
        }

        _ended = _container!.GetExitCodeAsync();
    }

    /// <summary>Starts it and waits for its end.</summary>
    /// <returns>The exit code.</returns>
    public async Task<long> RunAsync()
    {
        await StartAsync();
        return await EndAsync();
    }

    /// <summary>Waits for its end.</summary>
    public async Task<long> EndAsync()
    {
        try
        {
            return await _ended!.WaitAsync(Patience);
        }
        catch (TimeoutException)
        {
            Assert.Fail($"it did not end\n{await OutputAsync()}");
            throw;
        }
    }

    /// <summary>What it wrote since its last start: first all of its output, then its errors.</summary>
    public async Task<string> OutputAsync()
    {
        var (output, errors) = await LogsAsync();
        return output[_earlier.Output..] + errors[_earlier.Errors..];
    }

    /// <summary>Waits until a text was written, a number of times.</summary>
    /// <returns>Everything it wrote.</returns>
    public async Task<string> SeeAsync(string text, int times = 1)
    {
        var watch = Stopwatch.StartNew();
        for (; ; )
        {
            var ended = _ended!.IsCompleted;
            var output = await OutputAsync();
            if (output.Split(text).Length > times)
                return output;
            Assert.True(watch.Elapsed < Patience && !ended, $"never seen: {text}\n{output}");
            await Task.Delay(20);
        }
    }

    /// <summary>Runs an sh script in it as root, as <c>docker exec</c> does.</summary>
    public Task<string> ShellAsync(string script) => _container!.RunAsync("sh", "-c", script);

    /// <summary>Runs a command in it as root.</summary>
    public Task<string> ExecAsync(params string[] command) => _container!.RunAsync(command);

    /// <summary>Runs a command in it, whatever becomes of it.</summary>
    public async Task<(long Code, string Output)> TryAsync(params string[] command)
    {
        var result = await _container!.ExecAsync(command);
        return (result.ExitCode ?? -1, result.Stdout + result.Stderr);
    }

    /// <summary>Sends a signal to process 1.</summary>
    public Task SendAsync(string signal) => Engine.DockerAsync("kill", "--signal", signal, Id);

    /// <summary>A file, also of the stopped container and its volume.</summary>
    public async Task<string> ReadAsync(string path) => Encoding.UTF8.GetString(await _container!.ReadFileAsync(path));

    public ValueTask DisposeAsync() => _container?.DisposeAsync() ?? ValueTask.CompletedTask;

    private async Task CreateAsync()
    {
        if (!Docker)
            Prepare("rm -f /usr/sbin/dockerd /usr/bin/dockerd");
        Put("/prepare.sh", _prepare.ToString());
        var builder = Engine.Container(_image)
            .WithEntrypoint("/bin/sh", "-c", "set -e; [ -e /prepared ] || { . /prepare.sh; : > /prepared; }; exec /opt/discobot/bin/discobot init \"$@\"", "init")
            .WithWaitStrategy(Wait.ForUnixContainer())
            .WithBindMount("/sys/fs/cgroup", "/sys/fs/cgroup")
            .WithEnvironment(Environment)
            .WithCreateParameterModifier(parameters =>
            {
                parameters.HostConfig!.CapAdd = Capabilities;
                parameters.HostConfig.SecurityOpt = ["seccomp=unconfined", "apparmor=unconfined"];
                parameters.Volumes = Volumes.Append("/.data").ToDictionary(v => v, _ => default(global::Docker.DotNet.Models.EmptyStruct));
                parameters.Tty = parameters.OpenStdin = Terminal;
            });
        foreach (var (path, file) in _files)
            builder = builder.WithResourceMapping(file.Content, path, fileMode: file.Mode);
        _files.Clear();
        if (Network is { } network)
            builder = builder.WithNetwork(network);
        _container = builder.Build();
    }

    private async Task<(string Output, string Errors)> LogsAsync()
    {
        if (!Terminal)
            return await _container!.GetLogsAsync(timestampsEnabled: false);

        // One stream, in which lines end as terminals want it.
        return ((await Engine.DockerAsync("logs", Id)).Replace("\r\n", "\n", StringComparison.Ordinal), "");
    }
}
