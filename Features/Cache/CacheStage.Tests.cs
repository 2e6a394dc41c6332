using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Cache;

/// <summary>The cache's stage between a real client and a real origin, all on loopback.</summary>
internal sealed class CacheStage : IAsyncDisposable
{
    private readonly TemporaryCache _cache = new();
    private WebApplication _origin = null!;
    private WebApplication? _proxy;
    private string _originAddress = null!;

    /// <summary>What the origin does.</summary>
    public RequestDelegate Origin { get; set; } = _ => Task.CompletedTask;

    /// <summary>The requests that reached the origin: method, path and query, in order.</summary>
    public ConcurrentQueue<string> Asked { get; } = new();

    public WebProxy ProxyAddress => new(AddressOf(_proxy!));

    public HttpClient Client { get; private set; } = null!;

    public TemporaryCache Files => _cache;

    /// <summary>How long an upstream may be silent.</summary>
    public TimeSpan Silence { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>How long a connection is waited for where something is stored.</summary>
    public TimeSpan Connecting { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>How long the remote store may be waited for in vain; a machine that stands still now and then is none that is away.</summary>
    public TimeSpan RemoteBudget { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>What the remote store's credentials are read from.</summary>
    public Dictionary<string, string> RemoteVariables { get; } = [];

    /// <summary>How long an answer is waited for there.</summary>
    public TimeSpan Answering { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>Ends when there is a connection to the origin: at once, unless a test holds it up.</summary>
    public Func<CancellationToken, Task> Connect { get; set; } = _ => Task.CompletedTask;

    /// <summary>Which of the origin's names refuse connections.</summary>
    public Func<Uri, bool> IsAway { get; set; } = _ => false;

    /// <summary>The proxy's clock.</summary>
    public StageTime Time { get; } = new();

    /// <summary>What may leave: everything, unless a test forbids a path.</summary>
    public PathPolicy Policy { get; } = new();

    public OpenTraffic Traffic => _proxy!.Services.GetRequiredService<OpenTraffic>();

    public CacheOptions Options { get => _cache.Options; set => _cache.Options = value; }

    public Registries.Invalidation Invalidation => _proxy!.Services.GetRequiredService<Registries.Invalidation>();

    public CacheStore Store => _proxy!.Services.GetRequiredService<CacheStore>();

    public CacheStatistics Stats => _proxy!.Services.GetRequiredService<ContentCache>().Statistics();

    public ContentCache Cache => _proxy!.Services.GetRequiredService<ContentCache>();

    public RemoteStatistics Remote => Stats.Remote!;

    public Live<CacheRules> Rules => _proxy!.Services.GetRequiredService<Live<CacheRules>>();

    public string Authority => new Uri(_originAddress).Authority;

    public static async Task<CacheStage> StartAsync(Func<CacheOptions, CacheOptions>? options = null, Action<CacheStage>? prepare = null)
    {
        var stage = new CacheStage();
        stage.Options = options?.Invoke(stage.Options) ?? stage.Options;
        prepare?.Invoke(stage);
        stage._origin = await ServeAsync(app => app.Run(context =>
        {
            stage.Asked.Enqueue($"{context.Request.Method} {context.Features.Get<IHttpRequestFeature>()!.RawTarget}");
            return stage.Origin(context);
        }), _ => { });
        stage._originAddress = AddressOf(stage._origin);
        await stage.RestartAsync();
        return stage;
    }

    /// <summary>Stops the proxy in order, if it runs, and starts one over the same directory.</summary>
    public async Task RestartAsync()
    {
        await StopProxyAsync();
        _proxy = await ServeAsync(
            app =>
            {
                app.Use(AsProxied);
                app.UseCache();
                app.Run(ForwardAsync);
            },
            services => services.AddCache(Options, Silence).AddRemoteCache(Options, RemoteVariables, _ => Task.FromResult(new System.Security.Cryptography.X509Certificates.X509Certificate2Collection()))
                .AddSingleton(new CircuitBreaker(Time, RemoteBudget)).AddSingleton<TimeProvider>(Time).AddSingleton(new Downloads.CacheLimits(Silence == TimeSpan.Zero ? Timeout.InfiniteTimeSpan : Silence) { Connecting = Connecting, Answering = Answering }).AddSingleton(StreamIdle.Unlimited)
                .AddSingleton<IUpstream>(_ => new DirectUpstream(this)).AddSingleton<UpstreamRequests>()
                .AddSingleton<IRequestRewriter>(new Rewriter(this)).AddSingleton<OpenTraffic>().AddSingleton<UpstreamBytes>().AddSingleton<IEgressPolicy>(Policy)
                .AddSingleton(Prometheus.Metrics.WithCustomRegistry(Prometheus.Metrics.NewCustomRegistry()))
                .AddSingleton<Prometheus.IMetricFactory>(s => s.GetRequiredService<Prometheus.MetricFactory>()));
        await Store.Loaded;
        Client = new HttpClient(new SocketsHttpHandler
        {
            Proxy = ProxyAddress,
            AllowAutoRedirect = false,
            UseCookies = false,
            MaxConnectionsPerServer = 300,
        });
    }

    /// <summary>Takes the origin off the network.</summary>
    public Task StopOriginAsync() => _origin.StopAsync();

    public Uri Url(string path) => new(_originAddress + path, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });

    /// <summary>The same server under another name: another origin.</summary>
    public Uri Elsewhere(string path) =>
        new($"http://localhost:{new Uri(_originAddress).Port}{path}", new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });

    /// <summary>Whether upstream requests fail before they are sent.</summary>
    public bool BreakRequests { get; set; }

    /// <summary>What the header rules would put on each upstream request.</summary>
    public string? Credential { get; set; }

    public Uri Blob(byte[] body) => Url($"/v2/a/blobs/sha256:{TemporaryCache.HexOf(body)}");

    /// <summary>Makes the origin a registry of blobs that supports ranges; answers carry the ETag of their digest.</summary>
    public void Serve(params byte[][] bodies) => Origin = context =>
    {
        var path = context.Request.Path.Value!;
        var body = bodies.FirstOrDefault(b => path.Contains(TemporaryCache.HexOf(b), StringComparison.Ordinal));
        return body is null
            ? Status(context, 404)
            : Results.Bytes(body, "application/octet-stream", entityTag: new($"\"{TemporaryCache.HexOf(body)}\""), enableRangeProcessing: true).ExecuteAsync(context);
    };

    public static Task Status(HttpContext context, int status)
    {
        context.Response.StatusCode = status;
        return Task.CompletedTask;
    }

    public async Task<HttpResponseMessage> GetAsync(Uri url, Action<HttpRequestMessage>? change = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, url);
        change?.Invoke(request);
        return await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    /// <summary>Gets a body and its X-Cache.</summary>
    public async Task<(byte[] Body, string? Cache)> FetchAsync(Uri url)
    {
        using var response = await GetAsync(url);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return (await response.Content.ReadAsByteArrayAsync(), XCache(response));
    }

    /// <summary>Gets a blob and checks its bytes and where they came from.</summary>
    public async Task ExpectAsync(string cache, byte[] body, Uri? url = null)
    {
        var (bytes, from) = await FetchAsync(url ?? Blob(body));
        Assert.Equal(body, bytes);
        Assert.Equal(cache, from);
    }

    public static string? XCache(HttpResponseMessage response) =>
        response.Headers.TryGetValues("X-Cache", out var values) ? string.Join(',', values) : null;

    /// <summary>Waits, for ten seconds at most, until something holds.</summary>
    public static async Task EventuallyAsync(Func<bool> holds)
    {
        for (var deadline = Environment.TickCount64 + 10_000; !holds(); await Task.Delay(5))
            Assert.True(Environment.TickCount64 < deadline, "it did not come to pass within 10 s");
    }

    public async ValueTask DisposeAsync()
    {
        await StopProxyAsync();
        await _origin.DisposeAsync();
        _cache.Dispose();
    }

    private async Task StopProxyAsync()
    {
        if (_proxy is null)
            return;
        Client.Dispose();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await _proxy.StopAsync(limit.Token);
        await _proxy.DisposeAsync();
    }

    private static async Task<WebApplication> ServeAsync(Action<WebApplication> configure, Action<IServiceCollection> services)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(k =>
        {
            k.Listen(IPAddress.Loopback, 0);
            k.AllowHostHeaderOverride = true;
        });
        builder.Services.AddLogging().AddRoutingCore();
        services(builder.Services);
        var app = builder.Build();
        configure(app);
        await app.StartAsync();
        return app;
    }

    private static string AddressOf(WebApplication app) => app.Services
        .GetRequiredService<Microsoft.AspNetCore.Hosting.Server.IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();

    // What the interception stage does for plain HTTP, as far as the cache can tell.
    private static Task AsProxied(HttpContext context, RequestDelegate next)
    {
        var uri = new Uri(context.Features.Get<IHttpRequestFeature>()!.RawTarget, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
        context.Features.Set(new ProxiedRequest
        {
            Id = "1",
            Scheme = "http",
            Target = new ConnectTarget(uri.Host, uri.Port),
            PathAndQuery = uri.PathAndQuery,
        });
        return next(context);
    }

    private static async Task ForwardAsync(HttpContext context)
    {
        var services = context.RequestServices;
        try
        {
            var message = services.GetRequiredService<UpstreamRequests>().Create(context);
            await UpstreamRelay.SendAsync(
                context, await services.GetRequiredService<IUpstream>().SendAsync(message, context.RequestAborted), missed: false);
        }
        catch (HttpRequestException e)
        {
            await ProxyErrors.WriteAsync(context, UpstreamFailures.ToError(e, "origin"));
        }
    }

    private sealed class DirectUpstream(CacheStage stage) : IUpstream, IDisposable
    {
        private readonly HttpMessageInvoker _invoker = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, UseCookies = false });

        public async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation)
        {
            UpstreamRequests.NewsOf(request)?.Begun(false);
            await stage.Connect(cancellation);
            if (stage.IsAway(request.RequestUri!))
                throw new HttpRequestException("away", new System.Net.Sockets.SocketException((int)System.Net.Sockets.SocketError.ConnectionRefused));
            UpstreamRequests.NewsOf(request)?.Connected();
            return await _invoker.SendAsync(request, cancellation);
        }

        public void Dispose() => _invoker.Dispose();
    }

    private sealed class Rewriter(CacheStage stage) : IRequestRewriter
    {
        public void Rewrite(HttpRequest request, string scheme, string host, FieldList fields)
        {
            if (stage.BreakRequests)
                throw new UriFormatException("The host is no host.");
            if (stage.Credential is { } credential)
                fields.Add("X-Credential", credential);
        }
    }

    /// <summary>The system's time, which a test may set to another, and who waits for somebody else's download.</summary>
    internal sealed class StageTime : TimeProvider
    {
        private static readonly TimeSpan RemotePause = TimeSpan.FromMinutes(6);
        private int _joined;

        /// <summary>How far the clock was set.</summary>
        public TimeSpan Ahead { get; set; }

        /// <summary>How often somebody has begun to wait for another's answer.</summary>
        public int Joined => Volatile.Read(ref _joined);

        /// <summary>Whether whoever waits for another's answer does so for as long as it takes.</summary>
        public bool IsPatient { get; set; }

        /// <summary>Whether pauses of seconds and more, before something is tried again, are over at once.</summary>
        public bool IsHurried { get; set; }

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Ahead;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            if (dueTime == JoinedReader.Patience)
            {
                Interlocked.Increment(ref _joined);
                if (IsPatient)
                    dueTime = Timeout.InfiniteTimeSpan;
            }

            if (IsHurried && period == Timeout.InfiniteTimeSpan && dueTime >= TimeSpan.FromSeconds(1) && dueTime < RemotePause)
                dueTime = TimeSpan.FromMilliseconds(1);
            return base.CreateTimer(callback, state, dueTime, period);
        }
    }

    internal sealed class PathPolicy : IEgressPolicy
    {
        /// <summary>The beginning of the paths that are forbidden from now on.</summary>
        public string? Forbidden { get; set; }

        public EgressVerdict JudgeTunnel(ConnectTarget target, string? client = null) => EgressVerdict.Allow("test");

        public EgressVerdict JudgeBlindTunnel(ConnectTarget target, string? client = null) => EgressVerdict.Allow("test");

        public EgressVerdict JudgeAddress(ConnectTarget target, IPAddress address) => EgressVerdict.Allow("test");

        public EgressVerdict JudgeRequest(ConnectTarget target, string method, string pathAndQuery, string? client = null) =>
            Forbidden is { } forbidden && pathAndQuery.StartsWith(forbidden, StringComparison.Ordinal)
                ? EgressVerdict.Refuse("test", "forbidden by the test")
                : EgressVerdict.Allow("test");
    }
}
