using System.Diagnostics;

namespace Discobot.Tests.Fixtures;

/// <summary>OpenStack Swift, Debian's, with its S3 interface and a bucket named <c>bucket</c> to be made: a store that nobody of this project wrote.</summary>
internal sealed class SwiftServer : IAsyncDisposable
{
    public const string Id = "test:tester";
    public const string Secret = "testing";

    /// <summary>May do nothing.</summary>
    public const string OtherId = "test:reader";
    public const string OtherSecret = "reading";

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;
    private Process _process = null!;

    public string Address { get; private set; } = "";

    public static async Task<SwiftServer> StartAsync()
    {
        var server = new SwiftServer();
        server._process = Process.Start(new ProcessStartInfo("/usr/bin/python3", ["-I", Path.Combine(Checkout.Top(), "tests.unit/Fixtures/swift_server.py"), server._directory])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var errors = server._process.StandardError.ReadToEndAsync();
        server.Address = await server._process.StandardOutput.ReadLineAsync().WaitAsync(Limit) ?? throw new InvalidOperationException(await errors);
        return server;
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}
