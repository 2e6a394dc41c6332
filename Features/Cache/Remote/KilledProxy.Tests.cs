using System.Diagnostics;
using System.Net;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Remote;

/// <summary>The executable, ended by the kernel between a download and its upload.</summary>
public sealed class KilledProxyTests : IAsyncLifetime, IDisposable
{
    private readonly TestS3 _s3 = new();
    private readonly byte[] _body = TemporaryCache.Body(300_000);
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;
    private readonly int _port = RunningProxy.FreePort();
    private readonly TestAuthority _authority = new();
    private FaultProxy _store = null!;
    private TestOrigin _origin = null!;
    private Process? _process;

    public async Task InitializeAsync()
    {
        _store = await FaultProxy.StartAsync(_s3.AnswerAsync);
        _origin = await TestOrigin.StartAsync(_authority.Issue(["localhost"]), context => Results.Bytes(_body, "application/octet-stream").ExecuteAsync(context));
        await File.WriteAllTextAsync(Path.Combine(_directory, "config.yaml"), $$"""
            proxy: {port: {{_port}}, api_port: {{RunningProxy.FreePort()}}}
            tls: {cert_dir: {{_directory}}/certs}
            cache: {dir: {{_directory}}/cache, remote: {s3: {endpoint: "{{_store.Address}}", bucket: bucket, prefix: some/prefix, region: eu-test-1} } }
            api: {token_file: {{_directory}}/token}
            logging: {file: {{_directory}}/log}
            """);
    }

    public async Task DisposeAsync()
    {
        await KillAsync();
        await _origin.DisposeAsync();
        await _store.DisposeAsync();
    }

    public void Dispose()
    {
        _authority.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task What_waited_for_its_upload_is_uploaded_by_the_next()
    {
        (_store.Fault, _store.Methods) = (Fault.ServerError, "PUT");
        Begin();
        using var client = new HttpClient(new SocketsHttpHandler { Proxy = new WebProxy($"http://127.0.0.1:{_port}") });
        byte[]? got = null;
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                got = await client.GetByteArrayAsync($"{_origin.Http}/v2/a/blobs/sha256:{TemporaryCache.HexOf(_body)}");
                return true;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        });
        Assert.Equal(_body, got);
        var waiting = Path.Combine(_directory, "cache/upload", TemporaryCache.HexOf(_body));
        await Eventually.TrueAsync(() => Task.FromResult(File.Exists(waiting)));
        await KillAsync();
        Assert.Equal(_body, await File.ReadAllBytesAsync(waiting));

        _store.Fault = Fault.None;
        Begin();
        await Eventually.TrueAsync(() => Task.FromResult(_s3[_body] is not null && !File.Exists(waiting)));
        Assert.Equal(_body, _s3[_body]);
    }

    private void Begin()
    {
        var start = new ProcessStartInfo(Executable.Path, ["proxy", "--config", Path.Combine(_directory, "config.yaml")]);
        foreach (var (name, value) in TestS3.Variables)
            start.Environment[name] = value;
        _process = Process.Start(start)!;
    }

    private async Task KillAsync()
    {
        if (_process is null)
            return;
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        _process = null;
    }
}
