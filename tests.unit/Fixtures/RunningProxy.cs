using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Discobot.Features.CommandLine;
using Discobot.Features.Configuration;
using Discobot.Infrastructure.Config;
using Microsoft.AspNetCore.Builder;

namespace Discobot.Tests.Fixtures;

/// <summary>The whole proxy in this process, on free ports, with a directory of its own, trusting one test CA upstream.</summary>
internal sealed class RunningProxy : IAsyncDisposable
{
    private static readonly ConcurrentDictionary<int, bool> GivenPorts = new();
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;
    private WebApplication? _app;
    private ProxySettings _settings = null!;
    private SettingsSources? _sources;

    public int Port { get; } = FreePort();

    public int ApiPort { get; } = FreePort();

    public TestAuthority Upstreams { get; } = new();

    public IServiceProvider Services => _app!.Services;

    public string LogFile => Path.Combine(_directory, "log");

    /// <summary>As whoever may change things has it.</summary>
    public string Token => File.ReadAllText(Path.Combine(_directory, "api.token")).Trim();

    /// <param name="yaml">Further sections, such as <c>allowlist: …</c>; proxy, tls and logging are the fixture's, and cache and api unless they
    /// are here.</param>
    /// <param name="variables">Of the environment, beyond those that name directories.</param>
    public static async Task<RunningProxy> StartAsync(string yaml = "", string tls = "", string proxySection = "", IReadOnlyDictionary<string, string>? variables = null)
    {
        var proxy = new RunningProxy();
        await File.WriteAllTextAsync(Path.Combine(proxy._directory, "extra.pem"), proxy.Upstreams.Pem);
        var text = $$"""
            proxy: { port: {{proxy.Port}}, api_port: {{proxy.ApiPort}}{{proxySection}} }
            tls: { cert_dir: {{proxy._directory}}/certs, extra_ca: [{{proxy._directory}}/extra.pem]{{tls}} }
            logging: { file: {{proxy.LogFile}} }
            {{(yaml.Contains("cache:", StringComparison.Ordinal) ? "" : $"cache: {{ dir: {proxy._directory}/cache }}")}}
            {{(yaml.Contains("api:", StringComparison.Ordinal) ? "" : $"api: {{ token_file: {proxy._directory}/api.token }}")}}
            {{yaml.Replace("{DIR}", proxy._directory, StringComparison.Ordinal)}}
            """;
        var environment = new Dictionary<string, string> { ["HOME"] = proxy._directory, ["XDG_DATA_HOME"] = proxy._directory };
        foreach (var (name, value) in variables ?? new Dictionary<string, string>())
            environment[name] = value;
        proxy._sources = variables is null ? null : SettingsSources.Of(null, environment);
        var settings = SettingsSources.Of(null, environment).Load(ConfigDocument.Parse(text, "test.yaml"));
        proxy._settings = settings.Value ?? throw new InvalidOperationException(settings.ErrorText());
        await proxy.BeginAsync();
        return proxy;
    }

    /// <summary>Starts it, anew after <see cref="EndAsync"/>: the same ports and files.</summary>
    public Task BeginAsync() => (_app = ProxyProgram.Build(_settings, _sources, executable: Executable.Path)).StartAsync();

    public async Task EndAsync()
    {
        using var hurry = new CancellationTokenSource(TimeSpan.FromMilliseconds(500));
        if (_app is null)
            return;
        await _app.StopAsync(hurry.Token);
        await _app.DisposeAsync();
        _app = null;
    }

    /// <summary>A client that goes through the proxy and trusts its CA and nothing else.</summary>
    public HttpClient Client(Version? version = null)
    {
        var handler = new SocketsHttpHandler
        {
            Proxy = new WebProxy($"http://127.0.0.1:{Port}"),
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            SslOptions = { CertificateChainPolicy = TrustOnlyOurCa() },
        };
        return new HttpClient(handler)
        {
            DefaultRequestVersion = version ?? HttpVersion.Version11,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Timeout = TimeSpan.FromSeconds(30),
        };
    }

    /// <summary>A client of the REST API.</summary>
    public HttpClient Api() => new() { BaseAddress = new Uri($"http://127.0.0.1:{ApiPort}") };

    public X509ChainPolicy TrustOnlyOurCa()
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.Add(X509CertificateLoader.LoadCertificateFromFile(Path.Combine(_directory, "certs", "ca.crt")));
        return policy;
    }

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        Upstreams.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    /// <summary>A port that is free, and given to nobody else of this run: one that was closed again is soon the kernel's next choice.</summary>
    public static int FreePort()
    {
        while (true)
        {
            using var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            if (GivenPorts.TryAdd(((IPEndPoint)listener.LocalEndpoint).Port, true))
                return ((IPEndPoint)listener.LocalEndpoint).Port;
        }
    }
}
