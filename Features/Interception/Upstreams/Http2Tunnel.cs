using System.Buffers;
using System.Net;
using System.Security.Authentication;
using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>A WebSocket that a client opens over HTTP/2 (RFC 8441), to a server that takes it so. Each direction ends by itself: it is the body of the
/// request, or of the answer.</summary>
internal sealed class Http2Tunnel(Upstream upstream, ICredentialGuard credentials, ForwardingLimits limits, StreamIdle streams)
{
    private const int PieceSize = 16 << 10;

    // RFC 9113, 7.
    private const int Cancel = 8;

    /// <returns>False: it has to go by HTTP/1.1; nothing was sent.</returns>
    public async ValueTask<bool> TryForwardAsync(HttpContext context, FieldList fields)
    {
        try
        {
            await ForwardAsync(context, fields);
            return true;
        }
        catch (HttpRequestException e) when (Http2Forwarding.WantsHttp1(e))
        {
            return false;
        }
        catch (HttpRequestException e) when (e.HttpRequestError == HttpRequestError.ExtendedConnectNotSupported)
        {
            await ForwardByHttp1Async(context, fields);
            return true;
        }
    }

    private async Task ForwardByHttp1Async(HttpContext context, FieldList fields)
    {
        try
        {
            await new Http1Forwarding(upstream, credentials).ForwardAsync(context, fields);
        }
        catch (AuthenticationException e) when (e is not (UpstreamCertificateException or ClientCertificateException))
        {
            // TLS has just worked, with HTTP/2 in it.
            throw new HttpRequestException("it speaks HTTP/2 alone, and takes no WebSocket over that (it does not set ENABLE_CONNECT_PROTOCOL, RFC 8441)");
        }
    }

    private async Task ForwardAsync(HttpContext context, FieldList fields)
    {
        var proxied = ProxiedRequest.Of(context);
        var connect = context.Features.GetRequiredFeature<IHttpExtendedConnectFeature>();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(
            context.RequestAborted, context.Features.Get<IConnectionLifetimeNotificationFeature>()?.ConnectionClosedRequested ?? default);
        over.CancelAfter(limits.Silence);
        using var message = new HttpRequestMessage(HttpMethod.Connect, proxied.SentUri) { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        // Given up behind the response, whose end is the last that leaves.
        using var place = upstream.Trailers.Reserve(message, ClientResets.Of(context));
        message.Headers.Protocol = connect.Protocol;
        Http2Forwarding.Fill(message, context, fields);
        using var response = await upstream.SendHttp2Async(message, over.Token);
        Http2Forwarding.Copy(response, context);
        if (response.StatusCode != HttpStatusCode.OK)
        {
            // An answer like any other, as no tunnel was made.
            await response.Content.CopyToAsync(context.Response.Body, over.Token);
            return;
        }

        over.CancelAfter(Timeout.InfiniteTimeSpan);
        place.Tunnel = new TunnelEnd();
        context.Response.ContentLength = null;
        var server = await response.Content.ReadAsStreamAsync(over.Token);
        await RelayAsync(context, await connect.AcceptAsync(), server, place.Tunnel, over.Token);
    }

    private async Task RelayAsync(HttpContext context, Stream client, Stream server, TunnelEnd end, CancellationToken over)
    {
        var flow = Flow.Of(context);
        var up = new Direction(client, server, count => flow?.RequestBytes += count);
        var down = new Direction(server, client, count => flow?.ResponseBytes += count);
        await BothWays.RunAsync(
            cancellation => up.RunAsync(() => end.SayAsync(server, up.Moved, cancellation), cancellation),
            cancellation => down.RunAsync(() =>
            {
                end.IsAnswered = true;
                return context.Response.CompleteAsync();
            }, cancellation),
            () => up.Moved + down.Moved, streams, over);
        if (up.Failure is null && down.Failure is null)
            return;
        foreach (var failure in (Exception?[])[down.Failure, up.Failure])
        {
            if (failure is null || UpstreamFailures.ResetCode(failure) is null)
                continue;
            end.IsReset = true;
            throw failure;
        }

        // What broke off is not to look like an end in order (RFC 8441, 5).
        context.Features.Get<IHttpResetFeature>()?.Reset(Cancel);
    }

    private sealed class Direction(Stream from, Stream to, Action<int> passed)
    {
        private long _moved;

        public long Moved => Interlocked.Read(ref _moved);

        /// <summary>Why it ended early.</summary>
        public Exception? Failure { get; private set; }

        /// <param name="end">Tells the receiver that there is no more.</param>
        /// <param name="cancellation">Ends it.</param>
        /// <exception cref="IOException">One of the two is gone.</exception>
        public async Task RunAsync(Func<Task> end, CancellationToken cancellation)
        {
            try
            {
                while (await PassAsync(cancellation) is > 0 and var count)
                {
                    passed(count);
                    Interlocked.Add(ref _moved, count);
                }

                await end();
            }
            catch (Exception e)
            {
                Failure = e;
                throw new IOException("it broke off", e);
            }
        }

        private async ValueTask<int> PassAsync(CancellationToken cancellation)
        {
            // No buffer is held for somebody who is silent.
            _ = await from.ReadAsync(Memory<byte>.Empty, cancellation);
            using var piece = MemoryPool<byte>.Shared.Rent(PieceSize);
            var count = await from.ReadAsync(piece.Memory, cancellation);
            await to.WriteAsync(piece.Memory[..count], cancellation);
            await to.FlushAsync(cancellation);
            return count;
        }
    }
}

/// <summary>How the client's direction of a tunnel ends. .NET says an end in order when it is done with a stream, whatever has happened, and not before:
/// so what is sent is made of what it says, between the frames (<see cref="RequestTrailers"/>).</summary>
internal sealed class TunnelEnd
{
    private long _length = -1;
    private long _passed;
    private bool _isSaid;
    private volatile bool _isAnswered;

    /// <summary>Whether the server has ended its own direction.</summary>
    public bool IsAnswered { get => _isAnswered; set => _isAnswered = value; }

    /// <summary>Whether the server has reset the stream, so that nothing more is said of it.</summary>
    public bool IsReset { get; set; }

    /// <summary>Says that the client has ended its direction in order: by one byte behind all of them, which does not leave.</summary>
    public async Task SayAsync(Stream server, long length, CancellationToken cancellation)
    {
        Volatile.Write(ref _length, length);
        await server.WriteAsync(new byte[1], cancellation);
        await server.FlushAsync(cancellation);
    }

    /// <summary>A frame of data is about to leave.</summary>
    /// <returns>Whether it stands for the end.</returns>
    public bool Pass(int size)
    {
        if (_passed == Volatile.Read(ref _length) && size > 0)
            return _isSaid = true;
        _passed += size;
        return false;
    }

    /// <summary>Whether .NET, which is done with it, resets nothing by itself where a reset is what there is to say: the server has ended, the client has not.</summary>
    public bool IsBroken => !_isSaid && _isAnswered;
}
