using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Wire;

/// <summary>A process that has no file descriptor left.</summary>
public sealed class DescriptorTests : IAsyncLifetime
{
    private readonly TestAuthority _authority = new();
    private ProxyProcess _proxy = null!;

    public async Task InitializeAsync() => _proxy = await ProxyProcess.StartAsync(_authority);

    public async Task DisposeAsync() => await _proxy.DisposeAsync();

    [Fact]
    public async Task It_waits_instead_of_spinning_says_so_once_and_serves_again_when_there_are_some()
    {
        // The kernel gives the lowest number that is free, and there may be gaps: five numbers stay free below the limit.
        var open = Directory.EnumerateFileSystemEntries($"/proc/{_proxy.Id}/fd").Select(f => int.Parse(Path.GetFileName(f), CultureInfo.InvariantCulture)).ToHashSet();
        var soft = Enumerable.Range(0, int.MaxValue).Where(number => !open.Contains(number)).ElementAt(5);
        using (var limit = Process.Start("prlimit", [$"--pid={_proxy.Id}", $"--nofile={soft}:"]))
        {
            await limit.WaitForExitAsync();
            Assert.Equal(0, limit.ExitCode);
        }

        var clients = new List<TcpClient>();
        for (var i = 0; i < 40; i++)
        {
            clients.Add(new TcpClient("127.0.0.1", _proxy.Proxy.Port));
            await clients[^1].GetStream().WriteAsync("CONNECT localhost:1 HTTP/1.1\r\n"u8.ToArray());
        }

        for (var watch = Stopwatch.StartNew(); !_proxy.Log.Contains("no file descriptors left", StringComparison.Ordinal); await Task.Delay(20))
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(30), _proxy.Log);
        var before = ProcessorTime();
        // By time: processor time within three seconds.
        await Task.Delay(3000);
        Assert.InRange((ProcessorTime() - before).TotalSeconds, 0, 0.75);
        Assert.Single(_proxy.Log.Split('\n'), line => line.Contains("no file descriptors left", StringComparison.Ordinal));

        clients.ForEach(c => c.Dispose());
        await using var origin = await Origin.StartAsync(_authority.Issue(["localhost"]), context => Microsoft.AspNetCore.Http.HttpResponseWritingExtensions.WriteAsync(context.Response, "ok"));
        using var patient = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!await ServesAsync(origin))
            await Task.Delay(200, patient.Token);
    }

    private async Task<bool> ServesAsync(Origin origin)
    {
        try
        {
            using var client = _proxy.CreateClient();
            return await client.GetStringAsync(new Uri(origin.Http, "/")) == "ok";
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private TimeSpan ProcessorTime()
    {
        using var process = Process.GetProcessById(_proxy.Id);
        return process.TotalProcessorTime;
    }
}
