using System.Collections.Concurrent;
using System.Net.Security;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Interception;

/// <summary>Servers that ask for a client certificate, go on without one, and then refuse what they are asked for (nginx: 400, "No required SSL certificate
/// was sent"): their answer is their client's, and the log says what helps.</summary>
internal sealed partial class CertificateHints(UpstreamTls tls, ILogger<CertificateHints> log)
{
    /// <summary>How long nothing more is said of a server, in milliseconds.</summary>
    private const long Again = 3600_000;

    private const int MaxRemembered = 10_000;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(15);

    private readonly ConcurrentDictionary<ConnectTarget, long> _asked = new();

    /// <summary>Looks, beside the request, whether the server's answer may be for want of a certificate.</summary>
    /// <param name="target">Asked over TLS.</param>
    /// <param name="status">Of its answer.</param>
    /// <param name="protocols">What was offered to it.</param>
    /// <param name="flow">The request's.</param>
    public void Note(ConnectTarget target, int status, List<SslApplicationProtocol> protocols, Flow? flow)
    {
        // 495 and 496 are nginx's own.
        if (status is not (400 or 403 or 495 or 496) || !log.IsEnabled(LogLevel.Warning))
            return;
        var now = Environment.TickCount64;
        if (_asked.TryGetValue(target, out var asked) && now - asked < Again)
            return;
        if (_asked.Count >= MaxRemembered)
            _asked.Clear();
        _asked[target] = now;
        _ = TellAsync(target, status, protocols, flow?.Id ?? "");
    }

    private async Task TellAsync(ConnectTarget target, int status, List<SslApplicationProtocol> protocols, string id)
    {
        using var limit = new CancellationTokenSource(Limit);
        if (await tls.AsksForCertificateAsync(target, protocols, limit.Token))
            LogMissing(target, $"{target.Host} answered {status}, and it asks for a client certificate, {ClientCertificateException.Advice(target.Host)}", id);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "client certificate {Target} {Reason} {Id}")]
    private partial void LogMissing(ConnectTarget target, string reason, string id);
}
