using Discobot.Infrastructure.Http1;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>An exchange that ends when the client, or whoever asks for it, goes away.</summary>
internal sealed class UpstreamExchange : IAsyncDisposable
{
    private CancellationTokenRegistration _cancellation;

    public UpstreamExchange(Http1Exchange http1, CancellationToken cancellation)
    {
        Http1 = http1;
        _cancellation = cancellation.UnsafeRegister(
            static (connection, token) => ((Http1Connection)connection!).Reset(new OperationCanceledException(token)), http1.Connection);
    }

    public Http1Exchange Http1 { get; }

    /// <summary>From now on it ends by what happens on it alone.</summary>
    public void Detach() => _cancellation.Dispose();

    public ValueTask DisposeAsync()
    {
        // Afterwards the connection may serve somebody else.
        _cancellation.Dispose();
        return Http1.DisposeAsync();
    }
}
