using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.CommandLine.Commands;

/// <summary>The executable's own start, where it cannot.</summary>
public sealed class ProxyCommandTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;
    private readonly TcpListener _taken = new(IPAddress.Loopback, 0);

    public ProxyCommandTests() => _taken.Start();

    public void Dispose()
    {
        _taken.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    [Theory]
    [InlineData("port: TAKEN, api_port: FREE", "127.0.0.1:TAKEN: Address already in use. Stop what listens there, or choose other ports with --port and --api-port.")]
    [InlineData("port: FREE, api_port: TAKEN", "127.0.0.1:TAKEN: Address already in use. Stop what listens there, or choose other ports with --port and --api-port.")]
    [InlineData("port: FREE, api_port: FREE2, listen: 203.0.113.7", "203.0.113.7:FREE: Cannot assign requested address. This machine has no such address: correct proxy.listen or api.listen.")]
    public async Task Where_it_cannot_listen_one_line_names_the_address_and_the_remedy(string section, string told)
    {
        var ports = new Dictionary<string, int>
        {
            ["FREE2"] = RunningProxy.FreePort(),
            ["TAKEN"] = ((IPEndPoint)_taken.LocalEndpoint).Port,
            ["FREE"] = RunningProxy.FreePort(),
        };
        foreach (var (name, port) in ports)
            (section, told) = (section.Replace(name, $"{port}", StringComparison.Ordinal), told.Replace(name, $"{port}", StringComparison.Ordinal));
        var file = Path.Combine(_directory, "config.yaml");
        await File.WriteAllTextAsync(file, $$"""
            proxy: { {{section}} }
            tls: {cert_dir: {{_directory}}/certs}
            cache: {dir: {{_directory}}/cache}
            api: {token_file: {{_directory}}/token, listen: 127.0.0.1}
            logging: {file: {{_directory}}/log}
            """);
        using var process = Process.Start(new ProcessStartInfo(Executable.Path, ["proxy", "--config", file])
        {
            RedirectStandardError = true,
        })!;
        var said = await process.StandardError.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(60));
        await process.WaitForExitAsync();
        Assert.Equal(1, process.ExitCode);
        Assert.StartsWith($"discobot: cannot listen on {told}", said, StringComparison.Ordinal);
        Assert.Single(said.Trim().Split('\n'));
    }

    /// <summary>Whoever writes that into a configuration believes that nothing gets past.</summary>
    [Fact]
    public async Task That_a_promise_about_what_goes_out_is_kept_by_nobody_here_is_told()
    {
        var file = Path.Combine(_directory, "config.yaml");
        await File.WriteAllTextAsync(file, $$"""
            proxy: {port: {{RunningProxy.FreePort()}}, api_port: {{RunningProxy.FreePort()}}}
            egress: {mode: enforce, port: {{RunningProxy.FreePort()}}, dns_port: {{RunningProxy.FreePort()}}}
            tls: {cert_dir: {{_directory}}/certs}
            cache: {dir: {{_directory}}/cache}
            api: {token_file: {{_directory}}/token}
            """);
        using var process = Process.Start(new ProcessStartInfo(Executable.Path, ["proxy", "--config", file])
        {
            RedirectStandardOutput = true,
        })!;
        try
        {
            var lines = new List<string>();
            while (!lines.Exists(line => line.Contains(" ready ", StringComparison.Ordinal)) && await process.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)) is { } line)
                lines.Add(line);
            Assert.Contains(lines, line => line.Contains("egress.mode is \"enforce\", and nothing leads programs here: ", StringComparison.Ordinal));
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
        }
    }
}
