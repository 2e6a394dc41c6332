using System.IO.Pipelines;
using System.Net;
using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>Forwards a request of an HTTP/2 client to a server that speaks it too.</summary>
internal sealed class Http2Forwarding(Upstream upstream, ForwardingLimits limits, StreamIdle streams)
{
    private const int PieceSize = 256 << 10;

    /// <returns>False: it has to go by HTTP/1.1; nothing was sent.</returns>
    public async ValueTask<bool> TryForwardAsync(HttpContext context, FieldList fields)
    {
        var (request, proxied) = (context.Request, ProxiedRequest.Of(context));
        // .NET writes some methods in capitals (RFC 9110, 9.1); identities belong to connections.
        if (!upstream.MaySpeakHttp2(proxied.Scheme, proxied.Target) || context.Features.Get<IHttpExtendedConnectFeature>()?.IsExtendedConnect == true
            || HttpMethod.Parse(request.Method).Method != request.Method || Identity.IsProved(request.Headers.Authorization))
            return false;
        using var silence = new Silence(limits.Silence, context.RequestAborted);
        using var message = Message(context, fields, silence);
        HttpResponseMessage response;
        try
        {
            response = await upstream.SendHttp2Async(message, silence.Token);
        }
        catch (HttpRequestException e) when (WantsHttp1(e) && message.Content is null or ByteArrayContent or Body { IsUntouched: true })
        {
            return false;
        }

        using (response)
            await AnswerAsync(context, response, silence);
        return true;
    }

    // In general, or for this request (RFC 9113, 7: HTTP_1_1_REQUIRED).
    private static bool WantsHttp1(HttpRequestException failure)
    {
        for (Exception? e = failure; e is not null; e = e.InnerException)
        {
            if (e is Http1ChosenException)
                return true;
        }

        return failure.HttpRequestError == HttpRequestError.VersionNegotiationError;
    }

    private static HttpRequestMessage Message(HttpContext context, FieldList fields, Silence silence)
    {
        var message = new HttpRequestMessage(HttpMethod.Parse(context.Request.Method), ProxiedRequest.Of(context).Uri)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = context.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody == true ? new Body(context.Request.BodyReader, silence) : null,
        };
        if (context.Request.Headers.TE.ToString().Contains("trailers", StringComparison.OrdinalIgnoreCase))
            fields.Add(HeaderNames.TE, "trailers");
        foreach (var (name, value) in fields.Lines)
        {
            if (!message.Headers.TryAddWithoutValidation(name, value) && (message.Content ??= WithoutBody(name)) is { } content)
                content.Headers.TryAddWithoutValidation(name, value);
        }

        return message;
    }

    // .NET keeps fields that describe a body with the body, also where there is none. A length of nothing needs no saying.
    private static ByteArrayContent? WithoutBody(string name) =>
        name.Equals(HeaderNames.ContentLength, StringComparison.OrdinalIgnoreCase) ? null : new ByteArrayContent([]);

    private async Task AnswerAsync(HttpContext context, HttpResponseMessage response, Silence silence)
    {
        Copy(response, context);
        if (StatusWithoutContent.Is(context.Response.StatusCode))
            return;
        if (response.Content.Headers.NonValidated.TryGetValues(HeaderNames.ContentType, out var type)
            && LongAnswers.Contains(type.ToString()))
            silence.Allow(streams.Limit);
        var body = await response.Content.ReadAsStreamAsync(silence.Token);
        var writer = context.Response.BodyWriter;
        while (true)
        {
            var wait = body.ReadAsync(Memory<byte>.Empty, silence.Token);
            if (!wait.IsCompleted)
            {
                silence.Pause();
                await FlushAsync(writer);
                silence.Begin();
            }

            _ = await wait;
            var count = await body.ReadAsync(writer.GetMemory(PieceSize)[..PieceSize], silence.Token);
            silence.Pause();
            if (count == 0)
                break;
            writer.Advance(count);
            if (writer.UnflushedBytes >= PieceSize)
                await FlushAsync(writer);
        }

        if (context.Features.Get<IHttpResponseTrailersFeature>()?.Trailers is not { IsReadOnly: false } trailers)
            return;
        foreach (var (name, values) in response.TrailingHeaders.NonValidated)
        {
            if (!HopByHop.Contains(name))
                trailers.Append(name, values.ToArray());
        }
    }

    private static async ValueTask FlushAsync(PipeWriter writer)
    {
        if ((await writer.FlushAsync()).IsCompleted)
            throw new OperationCanceledException("The client reads no more.");
    }

    private static void Copy(HttpResponseMessage response, HttpContext context)
    {
        var answer = context.Response;
        answer.StatusCode = (int)response.StatusCode;
        foreach (var (name, values) in response.Headers.NonValidated.Concat(response.Content.Headers.NonValidated))
        {
            if (!HopByHop.Contains(name))
                answer.Headers.Append(name, values.ToArray());
        }

        if (StatusWithoutContent.Is(answer.StatusCode))
            answer.ContentLength = null;
    }

    /// <summary>The limit on a server's silence, which begins anew with everything it does.</summary>
    private sealed class Silence : IDisposable
    {
        private readonly CancellationTokenSource _limit;
        private TimeSpan _duration;

        public Silence(TimeSpan duration, CancellationToken cancellation)
        {
            (_limit, _duration) = (CancellationTokenSource.CreateLinkedTokenSource(cancellation), duration);
            Begin();
        }

        public CancellationToken Token => _limit.Token;

        public void Begin() => _limit.CancelAfter(_duration);

        public void Pause() => _limit.CancelAfter(Timeout.InfiniteTimeSpan);

        /// <summary>Another limit from now on.</summary>
        public void Allow(TimeSpan duration)
        {
            _duration = duration;
            Begin();
        }

        public void Dispose() => _limit.Dispose();
    }

    /// <summary>The client's body, passed on as it comes.</summary>
    private sealed class Body(PipeReader reader, Silence silence) : HttpContent
    {
        public bool IsUntouched { get; private set; } = true;

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
            SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            IsUntouched = false;
            // The head leaves before the body is there.
            await stream.FlushAsync(cancellationToken);
            while (true)
            {
                if (!reader.TryRead(out var read))
                {
                    silence.Pause();
                    read = await reader.ReadAsync(cancellationToken);
                    silence.Begin();
                }

                foreach (var piece in read.Buffer)
                    await stream.WriteAsync(piece, cancellationToken);
                reader.AdvanceTo(read.Buffer.End);
                await stream.FlushAsync(cancellationToken);
                silence.Begin();
                if (read.IsCompleted || read.IsCanceled)
                    return;
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
