using System.Collections.Concurrent;
using System.Net;
using Discobot.Infrastructure.Native;
using Microsoft.AspNetCore.Connections;

namespace Discobot.Infrastructure;

/// <summary>
/// Finds whose the connections of this machine are, beside their way: nobody waits for it. It is looked for when a connection is accepted, while its
/// socket is there, by one thread; what that may cost is limited, so that a flood of connections goes by unnamed instead of being held up.
/// </summary>
internal sealed class ClientPrograms : IClientPrograms, IDisposable
{
    private const int MaxWaiting = 256;

    /// <summary>The part of one core's time that may go into it, and how much of it is saved up, in milliseconds.</summary>
    private const double Share = 0.03;

    private const double MaxCredit = 300;

    private readonly BlockingCollection<FlowClient> _waiting = new(MaxWaiting);
    private readonly Func<IReadOnlyList<IPEndPoint>, IReadOnlyList<ConnectionOwner?>> _find;
    private readonly Thread _finder;
    private double _credit = MaxCredit;
    private long _last = Environment.TickCount64;

    /// <param name="find">Whose each of some connections is.</param>
    public ClientPrograms(Func<IReadOnlyList<IPEndPoint>, IReadOnlyList<ConnectionOwner?>> find)
    {
        _find = find;
        _finder = new Thread(FindAll) { IsBackground = true, Name = "owners" };
        _finder.Start();
    }

    /// <summary>Asks process 1 of the container, where it answers; else looks itself, and then sees only what its own user may see.</summary>
    public static IReadOnlyList<ConnectionOwner?> Find(IReadOnlyList<IPEndPoint> clients) => File.Exists(OwnerService.SeenSocket)
        ? OwnerService.AskAllAsync(clients, CancellationToken.None).GetAwaiter().GetResult()
        : ConnectionOwner.FindAll(clients);

    public void Look(ConnectionContext connection, FlowClient client)
    {
        if (client.Address is { } address && connection.LocalEndPoint is IPEndPoint local && (IPAddress.IsLoopback(address.Address) || address.Address.Equals(local.Address)))
            client.IsSought = _waiting.TryAdd(client);
    }

    public void Dispose()
    {
        if (!_waiting.IsAddingCompleted)
            _waiting.CompleteAdding();
    }

    // Those that came while others were looked for are looked for together: one search for many costs little more than for one.
    private void FindAll()
    {
        var together = new List<FlowClient>();
        foreach (var first in _waiting.GetConsumingEnumerable())
        {
            together.Add(first);
            while (_waiting.TryTake(out var next))
                together.Add(next);
            var now = Environment.TickCount64;
            _credit = Math.Min(MaxCredit, _credit + (now - _last) * Share);
            _last = now;
            if (_credit > 0)
                Find(together);
            foreach (var client in together)
                client.IsSought = false;
            together.Clear();
        }
    }

    private void Find(List<FlowClient> clients)
    {
        var started = TimeProvider.System.GetTimestamp();
        try
        {
            var owners = _find(clients.ConvertAll(c => c.Address!));
            for (var i = 0; i < clients.Count; i++)
            {
                if (owners[i] is { } owner)
                    clients[i].Program = new ClientProgram(owner.User, owner.Process, owner.Program, owner.Parents);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A process ended while it was looked at.
        }

        _credit -= TimeProvider.System.GetElapsedTime(started).TotalMilliseconds;
    }
}
