using System.Net.Sockets;

namespace Discobot.Features.Telemetry;

/// <summary>
/// The way to the collector: from this process straight to it. No rule of what may leave is asked, as it is the operator's and no client can name it; no proxy
/// is used, as this is one; and nothing of it is a flow that would be told of in turn.
/// </summary>
internal sealed partial class CollectorClient(ILogger log) : DelegatingHandler(new SocketsHttpHandler
{
    UseProxy = false,
    UseCookies = false,
    AllowAutoRedirect = false,
    ActivityHeadersPropagator = null,
    ConnectTimeout = TimeSpan.FromSeconds(5),
    PooledConnectionLifetime = TimeSpan.FromMinutes(5),
})
{
    private bool _isTold;

    protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        try
        {
            return Judge(request, base.Send(request, cancellationToken));
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or IOException or SocketException)
        {
            Tell(request, e.Message);
            throw;
        }
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        try
        {
            return Judge(request, await base.SendAsync(request, cancellationToken));
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or IOException or SocketException)
        {
            Tell(request, e.Message);
            throw;
        }
    }

    private HttpResponseMessage Judge(HttpRequestMessage request, HttpResponseMessage answer)
    {
        if (answer.IsSuccessStatusCode)
            _isTold = false;
        else
            Tell(request, $"HTTP {(int)answer.StatusCode}");
        return answer;
    }

    // Once, until it goes on. Only where to: fields and queries may carry the operator's key.
    private void Tell(HttpRequestMessage request, string reason)
    {
        if (!_isTold)
            LogNotExported(request.RequestUri?.Authority ?? "-", reason);
        _isTold = true;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "telemetry not exported {Collector} {Reason}")]
    private partial void LogNotExported(string collector, string reason);
}
