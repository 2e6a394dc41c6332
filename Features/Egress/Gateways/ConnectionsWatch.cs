using Discobot.Features.Egress.Nftables;

namespace Discobot.Features.Egress.Gateways;

/// <summary>Tells in the log when the kernel's table of connections is full: a gateway's clients share it, and one of them can fill it for all.</summary>
/// <param name="read">Reads it.</param>
/// <param name="time">What the pauses are measured by.</param>
/// <param name="log">Gets the lines.</param>
internal sealed partial class ConnectionsWatch(Func<ConnectionTable?> read, TimeProvider time, ILogger<ConnectionsWatch> log) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => ConnectionTable.WatchAsync(read, LogConnections, time, stoppingToken);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Line}")]
    private partial void LogConnections(string line);
}
