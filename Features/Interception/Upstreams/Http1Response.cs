using System.Net;
using System.Runtime.CompilerServices;
using System.Text;
using Discobot.Infrastructure.Http1;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>An answer by HTTP/1.1 as a message of .NET. Names that are no tokens, which such a message cannot hold, are left out.</summary>
internal static class Http1Response
{
    /// <param name="exchange">Disposed with the message, and when the body has been read.</param>
    /// <param name="request">What it answers.</param>
    public static HttpResponseMessage Of(UpstreamExchange exchange, HttpRequestMessage request)
    {
        var head = exchange.Http1.Head;
        var response = new HttpResponseMessage((HttpStatusCode)head.Status)
        {
            Version = head.MinorVersion == 1 ? HttpVersion.Version11 : HttpVersion.Version10,
            ReasonPhrase = head.Reason,
            RequestMessage = request,
            Content = new Body(exchange),
        };
        for (var i = 0; i < head.Fields.Count; i++)
        {
            var name = head.Fields.Name(i);
            // One place decides where the body ends: of two lengths, or one beside chunks, the message knows nothing.
            if (Ascii.EqualsIgnoreCase(name, "Content-Length"u8) && exchange.Http1.Framing.End != BodyEnd.None)
                continue;
            var (text, value) = (Encoding.Latin1.GetString(name), Encoding.Latin1.GetString(head.Fields.Value(i)));
            if (!response.Headers.TryAddWithoutValidation(text, value))
                response.Content.Headers.TryAddWithoutValidation(text, value);
        }

        if (exchange.Http1.Framing is { End: BodyEnd.Length, Length: var length })
            response.Content.Headers.ContentLength = length;
        return response;
    }

    private sealed class Body(UpstreamExchange exchange) : HttpContent
    {
        private readonly BodyStream _stream = new(exchange);

        protected override Task<Stream> CreateContentReadStreamAsync() => Task.FromResult<Stream>(_stream);

        protected override Stream CreateContentReadStream(CancellationToken cancellationToken) => _stream;

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => _stream.CopyToAsync(stream);

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                _stream.Dispose();
            base.Dispose(disposing);
        }
    }

    private sealed class BodyStream(UpstreamExchange exchange) : Stream
    {
        private bool _isDisposed;

        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            using var registration = cancellationToken.UnsafeRegister(
                static (connection, token) => ((Http1Connection)connection!).Abort(new OperationCanceledException(token)), exchange.Http1.Connection);
            try
            {
                if (!buffer.IsEmpty)
                    return await exchange.Http1.ReadAsync(buffer);
                await exchange.Http1.WaitAsync();
                return 0;
            }
            catch (Exception e) when (e is not (IOException or OperationCanceledException))
            {
                throw new IOException(e.Message, e);
            }
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing && !_isDisposed)
            {
                _isDisposed = true;
                // Requests without a body end at once.
                _ = exchange.DisposeAsync().AsTask();
            }

            base.Dispose(disposing);
        }
    }
}
