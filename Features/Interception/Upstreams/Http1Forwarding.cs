using System.IO.Pipelines;
using System.Text;
using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>Forwards a request, of whatever client, to a server by HTTP/1.1.</summary>
internal sealed class Http1Forwarding(Upstream upstream, ICredentialGuard credentials)
{
    public async Task ForwardAsync(HttpContext context, FieldList fields)
    {
        var proxied = ProxiedRequest.Of(context);
        var client = context.Features.Get<ClientExchange>();
        var socket = WebSocketUpgrade.Of(context, fields);
        var request = new Http1Request
        {
            Method = socket is null ? context.Request.Method : HttpMethods.Get,
            Target = proxied.Sent,
            Fields = fields,
            Body = socket is null ? BodyOf(context, fields) : null,
            Interim = client is null ? null : context.Features.Get<IAnswerFilter>() is { } filter ? head => Shows(head, filter) ? ValueTask.CompletedTask : client.SendInterimAsync(head) : client.SendInterimAsync,
            Client = client,
        };
        Frame(context, request, socket);
        var binds = Identity.IsProved(context.Request.Headers.Authorization);
        var bound = Identity.ConnectionsOf(context, binds ? upstream.NewBound : null);
        await using var exchange = await upstream.SendAsync(proxied.Scheme, proxied.Target, request, bound, binds, Flow.Of(context), news: null, context.RequestAborted);
        var answer = exchange.Http1;
        if (answer.Head.Status == StatusCodes.Status101SwitchingProtocols)
            await UpgradeAsync(context, exchange, socket);
        else
            await AnswerAsync(context, client, answer);
    }

    // An interim answer is advice, which a client can do without.
    private static bool Shows(ResponseHead head, IAnswerFilter filter)
    {
        var shows = filter.Filter(head.Reason) != head.Reason;
        for (var line = 0; line < head.Fields.Count && !shows; line++)
            shows = Encoding.Latin1.GetString(head.Fields.Value(line)) is var value && filter.Filter(value) != value;
        return shows;
    }

    private Http1RequestBody? BodyOf(HttpContext context, FieldList fields)
    {
        var request = context.Request;
        var chunked = request.Headers.TransferEncoding.Count > 0;
        if (HttpProtocol.IsHttp2(request.Protocol)
            && (request.Headers.ContainsKey(HeaderNames.Trailer) || TrailersOf(context) is not null))
        {
            // HTTP/1.1 has fields behind the body with chunks alone. Behind one that has a length and announces none nobody waits for them.
            chunked = true;
            fields.Remove(HeaderNames.ContentLength);
        }

        if (request.ContentLength is null or 0 && !chunked
            && (HttpProtocol.IsHttp11(request.Protocol) || HttpProtocol.IsHttp10(request.Protocol)
                || !HasBody(context)))
            return null;
        return new Http1RequestBody
        {
            Reader = request.BodyReader,
            Length = chunked ? null : request.ContentLength,
            // By HTTP/1.1 it is passed on as it comes, which is when the client has been told to go on, or has lost its patience.
            IsAwaited = HttpProtocol.IsHttp2(request.Protocol) && fields.Contains(HeaderNames.Expect) && request.Headers.Expect.ToString().Equals("100-continue", StringComparison.OrdinalIgnoreCase),
            Trailers = () => TrailersOf(context) is { } trailers ? credentials.JudgeTrailers(context, trailers) : null,
        };
    }

    /// <summary>Whether anything follows the head of a request by HTTP/2. Trailers alone may be here already, with no body before them.</summary>
    public static bool HasBody(HttpContext context) => context.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody == true || TrailersOf(context) is not null;

    /// <summary>The fields behind the body of a request that has been read.</summary>
    public static List<KeyValuePair<string, string>>? TrailersOf(HttpContext context)
    {
        if (context.Features.Get<IHttpRequestTrailersFeature>() is not { Available: true, Trailers: { Count: > 0 } sent })
            return null;
        var lines = sent is FieldList list
            ? list.Lines
            : sent.SelectMany(field => field.Value.Select(value => new KeyValuePair<string, string>(field.Key, value ?? "")));
        // Those would frame, route or authenticate the message (RFC 9110, 6.5.1).
        return [.. lines.Where(line => !HopByHop.Contains(line.Key) && !line.Key.Equals(HeaderNames.ContentLength, StringComparison.OrdinalIgnoreCase))];
    }

    // The fields of this connection: how the body is framed, and what is asked of the server beyond the next hop.
    private static void Frame(HttpContext context, Http1Request request, WebSocketUpgrade? socket)
    {
        var (sent, fields) = (context.Request.Headers, request.Fields);
        if (request.Body is { Length: null })
        {
            fields.Set(HeaderNames.TransferEncoding, "chunked");
            foreach (var announced in sent.Trailer)
                fields.Add(HeaderNames.Trailer, announced ?? "");
        }
        else if (request.Body is null && HttpProtocol.IsHttp2(context.Request.Protocol) && socket is null && request.Method is "POST" or "PUT" or "PATCH")
        {
            // HTTP/2 says by a flag that there is none (RFC 9110, 8.6).
            fields.Set(HeaderNames.ContentLength, "0");
        }

        var upgrade = socket is not null ? "websocket" : Upgrade(context);
        var trailers = sent.TE.ToString().Contains("trailers", StringComparison.OrdinalIgnoreCase);
        if (trailers)
            fields.Add(HeaderNames.TE, "trailers");
        if (upgrade is not null)
            fields.Add(HeaderNames.Upgrade, upgrade);
        if (trailers || upgrade is not null)
            fields.Add(HeaderNames.Connection, (trailers, upgrade) is (true, not null) ? "TE, Upgrade" : trailers ? "TE" : "Upgrade");
    }

    private static string? Upgrade(HttpContext context) => context.Features.Get<IHttpUpgradeFeature>()?.IsUpgradableRequest == true
        ? HopByHop.Offers("upgrade", context.Request.Headers.Upgrade.ToString()) : null;

    private static async Task UpgradeAsync(HttpContext context, UpstreamExchange exchange, WebSocketUpgrade? socket)
    {
        var answer = exchange.Http1;
        if (socket is null && context.Features.Get<IHttpUpgradeFeature>()?.IsUpgradableRequest != true)
            throw new MalformedMessageException("it switches protocols, which was not asked for");
        await answer.FinishUploadAsync();
        var idle = answer.ExpectNothing();
        Stream client;
        if (socket is not null)
        {
            socket.Check(answer.Head);
            AnswerFields.Copy(answer.Head, answer.Framing, context);
            client = await socket.AcceptAsync(context);
        }
        else
        {
            AnswerFields.Copy(answer.Head, answer.Framing, context);
            context.Response.Headers.Upgrade = AnswerFields.Text(answer.Head, "Upgrade"u8);
            client = await context.Features.GetRequiredFeature<IHttpUpgradeFeature>().UpgradeAsync();
        }

        // From now on each side ends it by ending its own direction.
        exchange.Detach();
        await UpgradedRelay.RunAsync(client, answer.Connection, idle, Flow.Of(context), context.Features.Get<IConnectionLifetimeNotificationFeature>()?.ConnectionClosedRequested ?? default);
    }

    private static async Task AnswerAsync(HttpContext context, ClientExchange? client, Http1Exchange answer)
    {
        AnswerFields.Copy(answer.Head, answer.Framing, context);
        if (AnswerFields.IsEventStream(answer.Head))
            answer.ExpectStream();
        if (!StatusWithoutContent.Is(answer.Head.Status, context.Request))
            await AnswerBody.CopyAsync(context.Response.BodyWriter, answer);
        AnswerFields.CopyTrailers(answer.Trailers, context);
        if (!answer.IsUploading)
            return;
        // A server that has answered may still want the rest, unless it says that it does not. The client has its answer meanwhile.
        await context.Response.CompleteAsync();
        if (client?.IsBodyWithheld != true && answer.Head.Status < 400 && answer.Head.KeepsConnection && answer.Framing.End != BodyEnd.Close)
            await answer.FinishUploadAsync();
    }
}

/// <summary>The body of an answer on its way to the client.</summary>
internal static class AnswerBody
{
    /// <summary>Bytes read in one piece, and held for a client that is slower than the server.</summary>
    private const int PieceSize = 64 << 10;

    public static async ValueTask CopyAsync(PipeWriter writer, Http1Exchange answer)
    {
        var (unsent, begun) = (0, false);
        try
        {
            while (!answer.IsOver)
            {
                if (!answer.IsAvailable)
                {
                    var wait = answer.WaitAsync();
                    if (!wait.IsCompleted)
                    {
                        // What is here must not wait for more.
                        await FlushAsync(writer);
                        (unsent, begun) = (0, true);
                        answer.Expect();
                    }

                    await wait;
                }

                var count = await answer.ReadAsync(writer.GetMemory(PieceSize)[..PieceSize]);
                writer.Advance(count);
                unsent += count;
                if (unsent < PieceSize)
                    continue;
                await FlushAsync(writer);
                (unsent, begun) = (0, true);
            }
        }
        catch when (unsent > 0)
        {
            // A server that breaks off has said what it has said: the client sees that, and that there is no more.
            await FlushAsync(writer);
            throw;
        }

        // A whole answer leaves in one piece, at its end. Once its head has been sent, that end sends nothing of what a length announced.
        if (begun && unsent > 0)
            await FlushAsync(writer);
    }

    private static async ValueTask FlushAsync(PipeWriter writer)
    {
        if ((await writer.FlushAsync()).IsCompleted)
            throw new OperationCanceledException("The client reads no more.");
    }
}
