using System.Net;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Wire;
using Prometheus;

namespace Discobot.Features.Interception;

/// <summary>What tried to go past the proxy to where no rule leads: counted, and told with the program that tried. Each is refused already.</summary>
internal sealed partial class BypassLog
{
    private readonly Counter _refused;
    private readonly ILogger<BypassLog> _log;

    public BypassLog(IMetricFactory metrics, ILogger<BypassLog> log)
    {
        _log = log;
        _refused = metrics.CreateCounter("discobot_bypass_refused_total", "Redirected connections and requests, of programs that do not use the proxy, that no rule allows.");
        _refused.Inc(0);
    }

    /// <summary>Tells of one, while its connection is still there to be looked for.</summary>
    /// <param name="target">Where it was to go.</param>
    /// <param name="client">Where it came from.</param>
    /// <param name="cancellation">Ends the search.</param>
    public async Task TellAsync(ConnectTarget target, EndPoint? client, CancellationToken cancellation)
    {
        _refused.Inc();
        if (!_log.IsEnabled(LogLevel.Warning) || client is not IPEndPoint address)
            return;
        var owner = await OwnerService.AskAsync(address, cancellation);
        LogBypass(target, "transparent", owner is { Program.Length: > 0 } ? owner.Program : "unknown", owner?.Process ?? 0, owner is null ? "unknown" : $"{owner.User}", address.Address);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "bypass refused {Target} {Entry} {Program} {Process} {User} {Client}")]
    private partial void LogBypass(ConnectTarget target, string entry, string program, int process, string user, IPAddress client);
}
