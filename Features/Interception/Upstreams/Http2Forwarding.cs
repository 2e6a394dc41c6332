using System.Globalization;
using System.IO.Pipelines;
using System.Net;
using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>Forwards a request of an HTTP/2 client to a server that speaks it too.</summary>
internal sealed class Http2Forwarding(Upstream upstream, ICredentialGuard credentials, ForwardingLimits limits, StreamIdle streams)
{
    private const int PieceSize = 256 << 10;
    private const int Http11Required = 13;
    private readonly Http2Tunnel _tunnel = new(upstream, credentials, limits, streams);

    // The head with the mark of a request's trailers has to be one frame (RequestTrailers), which takes 16 KiB.
    private const int LongestPath = 8 << 10;

    /// <returns>False: it has to go by HTTP/1.1; nothing was sent.</returns>
    public async ValueTask<bool> TryForwardAsync(HttpContext context, FieldList fields)
    {
        var (request, proxied) = (context.Request, ProxiedRequest.Of(context));
        if (!upstream.MaySpeakHttp2(proxied.Scheme, proxied.Target, isOwnChoice: true))
            return false;
        if (context.Features.Get<IHttpExtendedConnectFeature>()?.IsExtendedConnect == true)
            return await _tunnel.TryForwardAsync(context, fields);
        // .NET writes some methods in capitals (RFC 9110, 9.1); identities belong to connections.
        if (HttpMethod.Parse(request.Method).Method != request.Method || !IsSendable(proxied.Sent) || proxied.Sent.Length > LongestPath || Identity.IsProved(context) || Identity.IsProved(fields[HeaderNames.Authorization]))
            return false;
        using var silence = new Silence(limits.Silence, context.RequestAborted);
        using var message = new HttpRequestMessage(HttpMethod.Parse(request.Method), proxied.SentUri) { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        using var trailers = upstream.Trailers.Reserve(message, ClientResets.Of(context));
        if (Http1Forwarding.HasBody(context))
            message.Content = new Body(request.BodyReader, silence, trailers, () => trailers.Fields = Http1Forwarding.TrailersOf(context) is { } fields ? credentials.JudgeTrailers(context, fields) : null);
        Fill(message, context, fields);
        HttpResponseMessage response;
        try
        {
            response = await upstream.SendHttp2Async(message, silence.Token);
        }
        catch (HttpRequestException e) when (WantsHttp1(e))
        {
            // Whether any of it has gone is known once nobody reads it any more.
            if (message.Content is Body body)
                await body.Completion;
            if (trailers.IsTaken)
                throw;
            return false;
        }
        finally
        {
            (message.Content as Body)?.Answered();
        }

        using (response)
        {
            await AnswerAsync(context, response, silence);
            if (message.Content is Body { Completion.IsCompleted: false } body)
                await FinishUploadAsync(context, body, silence);
        }

        return true;
    }

    // A server that has answered may still want the rest; where it does not, it says so (RFC 9113, 8.1). The client has its answer meanwhile.
    private static async Task FinishUploadAsync(HttpContext context, Body body, Silence silence)
    {
        await context.Response.CompleteAsync();
        if (!body.IsAwaited)
            silence.Begin();
        await body.Completion.WaitAsync(silence.Token);
    }

    /// <summary>Whether the server wants HTTP/1.1: in general, or for this request (RFC 9113, 7: HTTP_1_1_REQUIRED).</summary>
    public static bool WantsHttp1(HttpRequestException failure)
    {
        for (Exception? e = failure; e is not null; e = e.InnerException)
        {
            if (e is Http1ChosenException)
                return true;
        }

        return failure.HttpRequestError == HttpRequestError.VersionNegotiationError || UpstreamFailures.ResetCode(failure) == Http11Required;
    }

    // .NET sends ASCII alone, and nothing without a path (RFC 9112, 3.2.4: OPTIONS *).
    private static bool IsSendable(string target) => target != "*" && System.Text.Ascii.IsValid(target);

    /// <summary>Gives the message the fields of the request, which may go by HTTP/1.1 after all.</summary>
    public static void Fill(HttpRequestMessage message, HttpContext context, FieldList fields)
    {
        UpstreamRequests.SetFlow(message, context);
        if (context.Request.Headers.TE.ToString().Contains("trailers", StringComparison.OrdinalIgnoreCase))
            message.Headers.TryAddWithoutValidation(HeaderNames.TE, "trailers");
        foreach (var (name, value) in fields.Lines)
        {
            if (!message.Headers.TryAddWithoutValidation(name, value) && (message.Content ??= WithoutBody(name)) is { } content)
                content.Headers.TryAddWithoutValidation(name, value);
        }
    }

    // .NET keeps fields that describe a body with the body, also where there is none. A length of nothing needs no saying.
    private static ByteArrayContent? WithoutBody(string name) =>
        name.Equals(HeaderNames.ContentLength, StringComparison.OrdinalIgnoreCase) ? null : new ByteArrayContent([]);

    private async Task AnswerAsync(HttpContext context, HttpResponseMessage response, Silence silence)
    {
        Copy(response, context);
        if (StatusWithoutContent.Is(context.Response.StatusCode, context.Request))
            return;
        if (response.Content.Headers.NonValidated.TryGetValues(HeaderNames.ContentType, out var type)
            && LongAnswers.Contains(type.ToString()))
            silence.Allow(streams.Limit);
        var body = await response.Content.ReadAsStreamAsync(silence.Token);
        var writer = context.Response.BodyWriter;
        try
        {
            await CopyAsync(body, writer, silence, Methods.IsHead(context.Request.Method) || context.Response.StatusCode == StatusCodes.Status304NotModified ? null : context.Response.ContentLength);
        }
        catch when (writer.UnflushedBytes > 0)
        {
            // A server that breaks off has said what it has said: the client sees that, and that there is no more.
            await FlushAsync(writer);
            throw;
        }

        if (context.Features.Get<IHttpResponseTrailersFeature>()?.Trailers is not { IsReadOnly: false } trailers)
            return;
        foreach (var (name, values) in response.TrailingHeaders.NonValidated)
        {
            if (HopByHop.Contains(name))
                continue;
            foreach (var value in values)
                AnswerFields.Add(trailers, name, value);
        }
    }

    private static async Task CopyAsync(Stream body, PipeWriter writer, Silence silence, long? length)
    {
        var total = 0L;
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
            total += count;
            // Another length than it says is an error of the stream (RFC 9113, 8.1.1), and would be one of ours to the client.
            if (total > length)
                throw new MalformedMessageException("its body is longer than its Content-Length");
            if (count == 0)
            {
                if (total < length)
                    throw Http1Connection.Ended();
                return;
            }

            writer.Advance(count);
            if (writer.UnflushedBytes >= PieceSize)
                await FlushAsync(writer);
        }
    }

    private static async ValueTask FlushAsync(PipeWriter writer)
    {
        if ((await writer.FlushAsync()).IsCompleted)
            throw new OperationCanceledException("The client reads no more.");
    }

    /// <summary>Takes over status and fields.</summary>
    public static void Copy(HttpResponseMessage response, HttpContext context)
    {
        var answer = context.Response;
        answer.StatusCode = (int)response.StatusCode;
        foreach (var (name, values) in response.Headers.NonValidated.Concat(response.Content.Headers.NonValidated))
        {
            // A length that is none says nothing: the body ends where the stream does (RFC 9113, 8.1).
            if ((HopByHop.Contains(name) && !name.Equals(HeaderNames.Trailer, StringComparison.OrdinalIgnoreCase)) || name.Equals(HeaderNames.ContentLength, StringComparison.OrdinalIgnoreCase))
                continue;
            foreach (var value in values)
                AnswerFields.Add(answer.Headers, name, value);
        }

        if (!StatusWithoutContent.Is(answer.StatusCode, context.Request))
            answer.ContentLength = LengthOf(response);
    }

    // Several that agree are one (RFC 9110, 8.6).
    private static long? LengthOf(HttpResponseMessage response) =>
        response.Content.Headers.NonValidated.TryGetValues(HeaderNames.ContentLength, out var values)
            && values.SelectMany(value => value.Split(',', StringSplitOptions.TrimEntries)).Distinct().ToArray() is [var one]
            && long.TryParse(one, NumberStyles.None, CultureInfo.InvariantCulture, out var length) ? length : null;

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
    private sealed class Body(PipeReader reader, Silence silence, RequestTrailers.Place place, Action ended) : HttpContent
    {
        private readonly TaskCompletionSource _answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private volatile bool _isAwaited;
        private int _attempts;

        /// <summary>Whether the client is waited for.</summary>
        public bool IsAwaited => _isAwaited;

        /// <summary>Complete when nobody reads it any more. Never fails.</summary>
        public Task Completion { get; private set; } = Task.CompletedTask;

        /// <summary>The head of the answer is there, or none comes.</summary>
        public void Answered() => _answered.TrySetResult();

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
            SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            var before = Completion;
            var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            Completion = over.Task;
            try
            {
                // Of a stream that the server has refused, which has done nothing with it (RFC 9113, 8.7). What was taken of the body has gone.
                await before;
                if (place.IsTaken)
                    throw new StreamRefusedException();
                await SendAsync(stream, ++_attempts, cancellationToken);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                // .NET tells of whichever ends first, and only the answer's end says what the server did.
                over.TrySetResult();
                await _answered.Task;
                throw;
            }
            finally
            {
                over.TrySetResult();
            }
        }

        private async Task SendAsync(Stream stream, int attempt, CancellationToken cancellationToken)
        {
            // The head leaves before the body is there.
            await stream.FlushAsync(cancellationToken);
            while (true)
            {
                if (!reader.TryRead(out var read))
                {
                    silence.Pause();
                    _isAwaited = true;
                    read = await reader.ReadAsync(cancellationToken);
                    _isAwaited = false;
                    silence.Begin();
                }

                if (!read.Buffer.IsEmpty)
                    place.Take(attempt);
                foreach (var piece in read.Buffer)
                    await stream.WriteAsync(piece, cancellationToken);
                reader.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted)
                    ended();
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
