using System.Text;
using Discobot.Integration.Fixtures;
using Discobot.Tests.Fixtures;
using DotNet.Testcontainers.Containers;

namespace Discobot.Integration.Init;

/// <summary>
/// A distribution's shipped image as it is meant to be run: the executable as process 1, a volume at /.data, the right to mount. The
/// agent-api is a script of the test's.
/// </summary>
internal sealed partial class SessionContainer : Session, IAsyncDisposable
{
    private IContainer? _container;
    private Task<long>? _ended;
    private (int Output, int Errors) _earlier;

    public string Id => _container!.Id;

    public override async Task StartAsync()
    {
        if (_container is null)
            Create();
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

    /// <summary>What it wrote since its last start: first all of its output, then its errors.</summary>
    public override async Task<string> OutputAsync()
    {
        var (output, errors) = await LogsAsync();
        return output[_earlier.Output..] + errors[_earlier.Errors..];
    }

    /// <summary>Waits, at a container's first start, until it is up and the distribution's trust tool, if it has one, has followed.</summary>
    public async Task SeeTrustSettledAsync()
    {
        await SeeAsync("startup completed");
        if ((await TryAsync("sh", "-c", "command -v update-ca-certificates || command -v update-ca-trust")).Code == 0)
            await SeeAsync("the distribution's tool has followed: ");
    }

    public override Task<string> ShellAsync(string script) => _container!.RunAsync("sh", "-c", script);

    /// <summary>Runs a command in it as root.</summary>
    public Task<string> ExecAsync(params string[] command) => _container!.RunAsync(command);

    /// <summary>Runs a command in it, whatever becomes of it.</summary>
    public async Task<(long Code, string Output)> TryAsync(params string[] command)
    {
        var result = await _container!.ExecAsync(command);
        return (result.ExitCode ?? -1, result.Stdout + result.Stderr);
    }

    /// <summary>Its address in its network.</summary>
    public async Task<string> AddressAsync() => (await Engine.DockerAsync("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", Id)).Trim();

    public override Task SendAsync(string signal) => Engine.DockerAsync("kill", "--signal", signal, Id);

    /// <summary>A file, also of the stopped container and its volume.</summary>
    public async Task<string> ReadAsync(string path) => Encoding.UTF8.GetString(await _container!.ReadFileAsync(path));

    public ValueTask DisposeAsync() => _container?.DisposeAsync() ?? ValueTask.CompletedTask;

    protected override Task<long> Ended => _ended!;

    private async Task<(string Output, string Errors)> LogsAsync()
    {
        if (!Terminal)
            return await _container!.GetLogsAsync(timestampsEnabled: false);

        // One stream, in which lines end as terminals want it.
        return ((await Engine.DockerAsync("logs", Id)).Replace("\r\n", "\n", StringComparison.Ordinal), "");
    }
}
