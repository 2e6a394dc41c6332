using System.Collections.Concurrent;
using Microsoft.AspNetCore.Connections;

namespace Discobot.Infrastructure.Http1;

/// <summary>HTTP/1.1 towards clients: serves the requests of a connection with the pipeline of the application. What arrives is kept as it came, so
/// that what nobody changes goes on as it came.</summary>
internal sealed class Http1Server : IDisposable
{
    private readonly ConcurrentDictionary<ClientConnection, byte> _open = new();
    private readonly ClientTimes _times;
    private readonly ITimer _sweep;
    private RequestDelegate? _pipeline;

    public Http1Server(ClientTimes times)
    {
        _times = times;
        // One sweep over all connections instead of a timer for each wait.
        var shortest = Math.Min((uint)times.Head, Math.Min((uint)times.Write, (uint)times.Idle));
        var period = TimeSpan.FromMilliseconds(Math.Clamp(shortest / 8, 20, 500));
        _sweep = TimeProvider.System.CreateTimer(_ => Sweep(), null, period, period);
    }

    /// <summary>Says what answers requests. Called once, before anything listens.</summary>
    public void Use(RequestDelegate pipeline) => _pipeline = pipeline;

    /// <summary>Serves a connection until it ends.</summary>
    public async Task OnConnectionAsync(ConnectionContext transport)
    {
        using var connection = new ClientConnection(transport, _pipeline!, _times);
        _open[connection] = 0;
        try
        {
            await connection.RunAsync();
        }
        finally
        {
            _open.TryRemove(connection, out _);
        }
    }

    public void Dispose() => _sweep.Dispose();

    private void Sweep()
    {
        var now = Environment.TickCount64;
        foreach (var (connection, _) in _open)
            connection.CheckDeadline(now);
    }
}
