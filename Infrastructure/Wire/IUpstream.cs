namespace Discobot.Infrastructure.Wire;

/// <summary>The way out: verified TLS, checked addresses, no redirects followed, no decompression, no cookies.</summary>
internal interface IUpstream
{
    /// <summary>Sends one request and returns when the response's head has arrived.</summary>
    /// <exception cref="HttpRequestException">Resolve, connect, TLS or protocol failure; see <see cref="UpstreamFailures"/>.</exception>
    Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation);
}
