using System.Net;
using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Interception;

/// <summary>First HTTP stage of the proxy port: finds out where a request goes, makes sure that tunnel, TLS hello and Host agree on it
/// (421), asks the policy (403), and logs request and response.</summary>
internal sealed partial class RequestGate(
    RequestDelegate next, OpenTraffic traffic, IEgressPolicy policy, ProxyUsers users, RequestMetrics metrics, RequestFlows flows, BypassLog bypasses, ICredentialGuard credentials, ILogger<RequestGate> log)
{
    public async Task InvokeAsync(HttpContext context)
    {
        var flow = flows.Begin(context);
        var id = flow.Id;
        var method = context.Request.Method;
        IDisposable? watch = null;
        Approval approval = default;
        try
        {
            var (request, error) = users.AreRequired && TunnelOf(context) is null && !await IsAdmittedAsync(context, flow)
                ? (null, ProxyUsers.Unknown)
                : Resolve(context, id);
            if (request is not null)
            {
                request.Client = flow.ClientName;
                (request, var refusal) = await credentials.JudgeAsync(context, request);
                error = refusal ?? error;
            }

            if (request is null)
            {
                flow.Refuse(error!.Code);
                LogRefused(error.Reason, id);
            }
            else
            {
                error = Begin(context, request, error, out watch, out var verdict);
                if (verdict.Asks is not null)
                {
                    flow.Decide(verdict);
                    approval = await policy.AskAsync(verdict, new EgressQuestion(request.Target, flow.Client, method, request.Path, flow.ClientName), context.RequestAborted);
                    error = Conclude(context, request, approval.Verdict.Allowed ? traffic.Admit(request, context, out watch) : approval.Verdict);
                }
            }

            if (request is not null && error is { Status: StatusCodes.Status403Forbidden } && TunnelOf(context) is { IsTransparent: true })
                await bypasses.TellAsync(request.Target, ClientOf(context.Connection), context.RequestAborted);
            if (error is null)
                await next(context);
            else
                await ProxyErrors.WriteAsync(context, error);
            if (request is not null)
                LogEnd(context, method, request, flow);
        }
        catch (Exception e)
        {
            await FailAsync(context, flow, e);
        }
        finally
        {
            watch?.Dispose();
            approval.Dispose();
            flow.Status = AnsweredStatus(context);
            metrics.Count(method, flow.Status, flow.Elapsed);
        }
    }

    // Each request says it: whoever is in front of us may send those of several clients by one connection.
    private async ValueTask<bool> IsAdmittedAsync(HttpContext context, Flow flow)
    {
        (var isAdmitted, flow.ClientName) = await users.AdmitAsync(context.Request.Headers.ProxyAuthorization, context.Connection.RemoteIpAddress, context.RequestAborted);
        return isAdmitted;
    }

    /// <param name="verdict">Where it asks, nothing is decided yet.</param>
    private ProxyError? Begin(HttpContext context, ProxiedRequest request, ProxyError? error, out IDisposable? watch, out EgressVerdict verdict)
    {
        (watch, verdict) = (null, default);
        context.Features.Set(request);
        RequestFlows.Know(context, request, error);
        LogRequest(context.Request.Method, request.Target.Host, request.Path, request.Id);
        return error ?? Judge(context, request, out watch, out verdict);
    }

    private void LogEnd(HttpContext context, string method, ProxiedRequest request, Flow flow)
    {
        if (log.IsEnabled(LogLevel.Information))
            LogResponse(method, request.Target.Host, context.Response.StatusCode, $"{(long)flow.Elapsed.TotalMilliseconds}ms", request.Path, RequestFlows.Sent(context, flow), FlowWords.Of(flow.Cache), flow.Id);
    }

    /// <summary>The last resort: whatever was thrown becomes an answer that can be read, and one line that says where it came from.</summary>
    private async Task FailAsync(HttpContext context, Flow flow, Exception reason)
    {
        if (context.RequestAborted.IsCancellationRequested)
            return;
        ProxyError error;
        if (reason is BadHttpRequestException bad)
        {
            error = new ProxyError(bad.StatusCode, "bad_request", $"The request cannot be read: {bad.Message.TrimEnd('.')}.");
            flow.Refuse(error.Code);
            LogRefused(error.Reason, flow.Id);
        }
        else
        {
            error = new ProxyError(StatusCodes.Status500InternalServerError, "internal_error", "The proxy failed at this request; its log says how.");
            LogFailed(reason, context.Request.Method, context.Features.Get<ProxiedRequest>()?.Target.Host ?? "", flow.Id);
        }

        if (context.Response.HasStarted)
            context.Abort();
        else
            await ProxyErrors.WriteAsync(context, error);
    }

    private static int AnsweredStatus(HttpContext context) =>
        context.Response.HasStarted || !context.RequestAborted.IsCancellationRequested ? context.Response.StatusCode : 0;

    private ProxyError? Judge(HttpContext context, ProxiedRequest request, out IDisposable? watch, out EgressVerdict verdict)
    {
        (watch, verdict) = (null, default);
        if (Methods.IsConnect(context.Request.Method) && context.Features.Get<IHttpExtendedConnectFeature>()?.IsExtendedConnect != true)
            return new ProxyError(501, "nested_connect", "CONNECT inside a tunnel is not supported; open a connection of its own for it.");
        verdict = traffic.Admit(request, context, out watch);
        return verdict.Asks is null ? Conclude(context, request, verdict) : null;
    }

    private ProxyError? Conclude(HttpContext context, ProxiedRequest request, in EgressVerdict verdict)
    {
        Flow.Of(context)!.Decide(verdict);
        if (verdict.Allowed)
            return null;
        LogBlocked(request.Target, context.Request.Method, request.Path, verdict.Rule, verdict.Reason, request.Id);
        return ProxyError.Blocked(verdict);
    }

    private static (ProxiedRequest? Request, ProxyError? Error) Resolve(HttpContext context, string id)
    {
        var raw = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        if (TunnelOf(context) is { } used)
            used.IsUsed = true;
        // Found while it was read: by us for HTTP/1.1, by what Kestrel leaves to us for HTTP/2.
        if ((context.Features.Get<ProxyError>() ?? (HttpProtocol.IsHttp2(context.Request.Protocol) ? Http2Head.Check(context.Request, raw) : null)) is { } malformed)
            return (null, malformed);
        return TunnelOf(context) is { } tunnel
            ? ResolveTunnelled(context, tunnel, raw, id)
            : OfTheServer(context.Request.Method, raw, ResolvePlain(raw, id));
    }

    // RFC 9112, 3.2.4: an OPTIONS whose address has neither path nor query asks about the server.
    private static (ProxiedRequest? Request, ProxyError? Error) OfTheServer(string method, string raw, (ProxiedRequest? Request, ProxyError? Error) resolved) =>
        resolved.Request is { } request && Methods.IsOptions(method) && raw.AsSpan(raw.IndexOf("://", StringComparison.Ordinal) + 3).IndexOfAny('/', '?') < 0
            ? (new ProxiedRequest { Id = request.Id, Target = request.Target, Scheme = request.Scheme, PathAndQuery = "*" }, resolved.Error) : resolved;

    private static (ProxiedRequest?, ProxyError?) ResolveTunnelled(HttpContext context, Tunnel tunnel, string raw, string id)
    {
        if (tunnel is { IsTransparent: true, Scheme: "http" })
            return ResolveTransparent(context, tunnel, raw, id);
        var request = new ProxiedRequest { Id = id, Target = tunnel.Target, Scheme = tunnel.Scheme, PathAndQuery = OriginForm(raw) };
        if (tunnel.ForeignServerName is { } sni)
            return (request, Misdirected($"The tunnel was opened to {tunnel.Target.Host}, but TLS asked for {ProxyErrors.Shown(sni)}."));
        // The port may be absent when it is the scheme's own. Absolute-form counts before Host (RFC 9112, 3.2.2).
        var named = RequestHead.AuthorityOf(raw) is { IsEmpty: false } authority ? authority.ToString() : context.Request.Headers.Host.ToString();
        // HTTP/1.0 has no Host: the tunnel says it.
        var agrees = (named.Length == 0 && context.Request.Protocol == HttpProtocol.Http10) || (ConnectTarget.TryParse(named, tunnel.Target.Port, out var target) && (target == tunnel.Target || (target.Host == tunnel.Dialled && target.Port == tunnel.Target.Port)));
        return (request, agrees ? null : Misdirected($"The tunnel was opened to {tunnel.Target}, but the request names {ProxyErrors.Shown(named)}."));
    }

    // The name decides, not the address that the client chose for it: that name is resolved, judged and dialled by us. The port is the one it went to.
    private static (ProxiedRequest?, ProxyError?) ResolveTransparent(HttpContext context, Tunnel tunnel, string raw, string id)
    {
        var named = RequestHead.AuthorityOf(raw) is { IsEmpty: false } authority ? authority.ToString() : context.Request.Headers.Host.ToString();
        var target = tunnel.Target;
        if (!string.IsNullOrEmpty(named))
        {
            if (!ConnectTarget.TryParse(named, target.Port, out var byName))
                return (null, new ProxyError(400, "bad_request", "The request's Host is not host[:port]."));
            target = byName with { Port = target.Port };
        }

        return (new ProxiedRequest { Id = id, Target = target, Scheme = "http", PathAndQuery = OriginForm(raw) }, null);
    }

    /// <summary>Reads the target of a request in absolute-form (RFC 9112, 3.2.2).</summary>
    internal static (ProxiedRequest? Request, ProxyError? Error) ResolvePlain(string raw, string id)
    {
        var scheme = raw.StartsWith("http://", StringComparison.OrdinalIgnoreCase) ? "http"
            : raw.StartsWith("https://", StringComparison.OrdinalIgnoreCase) ? "https" : null;
        if (scheme is null)
        {
            return (null, new ProxyError(400, "not_a_proxy_request",
                "This is an HTTP proxy: set HTTP_PROXY and HTTPS_PROXY to its address instead of opening it directly."));
        }

        if (!ConnectTarget.TryParse(RequestHead.AuthorityOf(raw), scheme == "http" ? 80 : 443, out var target))
            return (null, new ProxyError(400, "bad_request", "The request's address is not http://host[:port]/path."));
        return (new ProxiedRequest { Id = id, Target = target, Scheme = scheme, PathAndQuery = OriginForm(raw) }, null);
    }

    // RFC 9112, 3.2: absolute-form is allowed everywhere; the path begins after the authority. Fragments do not belong on the wire.
    private static string OriginForm(string raw)
    {
        if (raw.StartsWith('/') || raw == "*")
            return raw;
        var authority = raw.IndexOf("://", StringComparison.Ordinal);
        if (authority < 0)
            return "/";
        var path = raw.AsSpan(authority + 3).IndexOfAny('/', '?');
        if (path < 0)
            return "/";
        var origin = raw[(authority + 3 + path)..];
        return origin[0] == '/' ? origin : "/" + origin;
    }

    private static IPEndPoint? ClientOf(ConnectionInfo connection) =>
        connection.RemoteIpAddress is { } address ? new IPEndPoint(address, connection.RemotePort) : null;

    private static Tunnel? TunnelOf(HttpContext context) => context.Features.Get<Tunnel>();

    private static ProxyError Misdirected(string what) =>
        new(421, "misdirected", what + " Open a connection of its own for each host.");

    [LoggerMessage(Level = LogLevel.Information, Message = "request {Method} {Host} {Path} {Id}")]
    private partial void LogRequest(string method, string host, string path, string id);

    [LoggerMessage(Level = LogLevel.Information, Message = "response {Method} {Host} {Status} {Duration} {Path} {Bytes} {Cache} {Id}", SkipEnabledCheck = true)]
    private partial void LogResponse(string method, string host, int status, string duration, string path, long bytes, string cache, string id);

    [LoggerMessage(Level = LogLevel.Warning, Message = "refused {Reason} {Id}")]
    private partial void LogRefused(string reason, string id);

    [LoggerMessage(Level = LogLevel.Error, Message = "failed {Method} {Host} {Id}")]
    private partial void LogFailed(Exception exception, string method, string host, string id);

    [LoggerMessage(Level = LogLevel.Warning, Message = "blocked {Target} {Method} {Path} {Rule} {Reason} {Id}")]
    private partial void LogBlocked(ConnectTarget target, string method, string path, string rule, string reason, string id);
}
