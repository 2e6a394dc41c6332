using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Cache.Remote;

internal enum Fault
{
    None,
    SlowDown,
    Denied,
    ServerError,
    Absent,
    Truncated,
    Wrong,
    SilentAtOnce,
    SilentInTheMiddle,
    Trickling,
    ResetAtOnce,
    ResetInTheMiddle,
    Refused,
    InPieces,
}

/// <summary>Stands before a store and does to its answers what networks and services do.</summary>
internal sealed class FaultProxy : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly HttpMessageInvoker _client = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, UseCookies = false });
    private readonly CancellationTokenSource _stopping = new();
    private int _asked;

    private FaultProxy(WebApplication app) => _app = app;

    public Fault Fault { get; set; }

    /// <summary>What is said where it is refused.</summary>
    public (int Status, string Code) Refusal { get; set; }

    /// <summary>To whose requests it is done.</summary>
    public string Methods { get; set; } = "GET";

    /// <summary>Requests that arrived.</summary>
    public int Asked => Volatile.Read(ref _asked);

    public string Address => _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();

    /// <param name="answer">The store, in this process.</param>
    public static Task<FaultProxy> StartAsync(RequestDelegate answer) => StartAsync((_, context) => answer(context));

    /// <param name="store">The address of a store elsewhere.</param>
    public static Task<FaultProxy> StartAsync(string store) => StartAsync((proxy, context) => proxy.PassOnAsync(store, context));

    private static async Task<FaultProxy> StartAsync(Func<FaultProxy, HttpContext, Task> answer)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Limits.MinResponseDataRate = null;
            kestrel.AddServerHeader = false;
            kestrel.Listen(IPAddress.Loopback, 0);
        });
        builder.Services.AddLogging().AddRoutingCore();
        var app = builder.Build();
        var proxy = new FaultProxy(app);
        app.Run(context => proxy.AnswerAsync(context, answer));
        await app.StartAsync();
        return proxy;
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        using var hurry = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
        await _app.StopAsync(hurry.Token);
        await _app.DisposeAsync();
        _client.Dispose();
        _stopping.Dispose();
    }

    private async Task AnswerAsync(HttpContext context, Func<FaultProxy, HttpContext, Task> answer)
    {
        Interlocked.Increment(ref _asked);
        var fault = Methods.Contains(context.Request.Method, StringComparison.Ordinal) ? Fault : Fault.None;
        switch (fault)
        {
            case Fault.SlowDown:
                await TestS3.ErrorAsync(context, 503, "SlowDown");
                return;
            case Fault.Denied:
                await TestS3.ErrorAsync(context, 403, "AccessDenied");
                return;
            case Fault.ServerError:
                await TestS3.ErrorAsync(context, 500, "InternalError");
                return;
            case Fault.Refused:
                await TestS3.ErrorAsync(context, Refusal.Status, Refusal.Code);
                return;
            case Fault.Absent:
                await TestS3.ErrorAsync(context, 404, "NoSuchKey");
                return;
            case Fault.SilentAtOnce:
                await SilenceAsync(context);
                return;
            case Fault.ResetAtOnce:
                context.Abort();
                return;
            case Fault.None:
                await answer(this, context);
                return;
        }

        var original = context.Features.Get<IHttpResponseBodyFeature>()!;
        using var held = new MemoryStream();
        context.Features.Set<IHttpResponseBodyFeature>(new StreamResponseBodyFeature(held));
        await answer(this, context);
        context.Features.Set(original);
        await SpoilAsync(context, fault, held.ToArray());
    }

    private async Task SpoilAsync(HttpContext context, Fault fault, byte[] body)
    {
        var response = context.Response.Body;
        var half = body.Length / 2;
        if (fault == Fault.Wrong)
        {
            body[half] ^= 1;
            await response.WriteAsync(body);
            return;
        }

        if (fault == Fault.Truncated)
        {
            context.Response.ContentLength = half;
            await response.WriteAsync(body.AsMemory(0, half));
            return;
        }

        if (fault is Fault.Trickling or Fault.InPieces)
        {
            // The pieces are large enough to be no trickle.
            var (piece, pause) = fault == Fault.Trickling ? (1, 20) : (70 << 10, 400);
            for (var at = 0; at < body.Length && !context.RequestAborted.IsCancellationRequested; at += piece)
            {
                await response.WriteAsync(body.AsMemory(at, Math.Min(piece, body.Length - at)));
                await response.FlushAsync();
                await Task.Delay(pause, _stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            return;
        }

        await response.WriteAsync(body.AsMemory(0, half));
        await response.FlushAsync();
        if (fault == Fault.SilentInTheMiddle)
            await SilenceAsync(context);
        // A body that is shorter than was said ends with its connection, in order or not.
        context.Abort();
    }

    private async Task SilenceAsync(HttpContext context)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, _stopping.Token);
        await Task.Delay(Timeout.InfiniteTimeSpan, either.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        context.Abort();
    }

    private async Task PassOnAsync(string store, HttpContext context)
    {
        var target = context.Features.Get<IHttpRequestFeature>()!.RawTarget;
        using var request = new HttpRequestMessage(new HttpMethod(context.Request.Method), new Uri(store + target, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        if (context.Request.ContentLength is not null)
            request.Content = new StreamContent(context.Request.Body);
        foreach (var (name, value) in context.Request.Headers)
        {
            if (!request.Headers.TryAddWithoutValidation(name, value.ToArray()))
                request.Content?.Headers.TryAddWithoutValidation(name, value.ToArray());
        }

        using var response = await _client.SendAsync(request, context.RequestAborted);
        context.Response.StatusCode = (int)response.StatusCode;
        foreach (var (name, values) in response.Headers.NonValidated.Concat(response.Content.Headers.NonValidated))
        {
            if (!name.Equals("Transfer-Encoding", StringComparison.OrdinalIgnoreCase))
                context.Response.Headers.Append(name, values.ToArray());
        }

        await response.Content.CopyToAsync(context.Response.Body);
    }
}
