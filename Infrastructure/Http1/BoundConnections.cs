using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.Primitives;

namespace Discobot.Infrastructure.Http1;

/// <summary>Upstream connections that belong to one client connection: NTLM, Negotiate, Kerberos and CredSSP prove who speaks once for a whole
/// connection (RFC 4559), so that a request of somebody else on it would be taken for theirs. Ended with the client's.</summary>
internal sealed class BoundConnections(Http1Pool pool) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<Http1Connection> _idle = [];
    private bool _isOver;

    /// <summary>Takes the client's own connection to an origin, if it has one and it is not in use.</summary>
    public Http1Connection? TryTake(Http1Origin origin)
    {
        while (true)
        {
            Http1Connection connection;
            lock (_lock)
            {
                var found = _idle.FindLastIndex(c => c.Origin == origin);
                if (found < 0)
                    return null;
                connection = _idle[found];
                _idle.RemoveAt(found);
            }

            if (connection.IsQuiet())
                return connection;
            pool.End(connection);
        }
    }

    /// <summary>Keeps a connection for this client.</summary>
    public void GiveBack(Http1Connection connection, bool reusable)
    {
        if (reusable && !connection.HasBuffered)
        {
            connection.Rest();
            connection.IsReused = true;
            lock (_lock)
            {
                if (!_isOver)
                {
                    _idle.Add(connection);
                    return;
                }
            }
        }

        pool.End(connection);
    }

    public void Dispose()
    {
        lock (_lock)
            _isOver = true;
        // Nobody adds to it any more.
        _idle.ForEach(pool.End);
    }
}

/// <summary>Schemes that prove an identity once for a connection (RFC 4559; NTLM): its requests and those that follow belong together.</summary>
internal static class Identity
{
    private static readonly string[] Schemes = ["NTLM", "Negotiate", "Kerberos", "CredSSP", "Nego2", "pku2u"];

    /// <summary>Whether credentials of such a scheme are among these.</summary>
    public static bool IsProved(StringValues authorization)
    {
        foreach (var one in authorization)
        {
            if (one is { Length: > 0 } && Array.Exists(Schemes, scheme => one.StartsWith(scheme, StringComparison.OrdinalIgnoreCase)
                && (one.Length == scheme.Length || one[scheme.Length] is ' ' or '\t' or ',')))
                return true;
        }

        return false;
    }

    /// <summary>Whether a request proves who its client is for a connection, or its client has done so before and does not say it again.</summary>
    public static bool IsProved(HttpContext context) =>
        IsProved(context.Request.Headers.Authorization) || ConnectionsOf(context, make: null) is not null;

    /// <summary>The connections that belong to the client's connection, which ends them.</summary>
    /// <param name="context">A request of that client.</param>
    /// <param name="make">Makes them, where there shall be some from now on.</param>
    public static BoundConnections? ConnectionsOf(HttpContext context, Func<BoundConnections>? make)
    {
        var items = context.Features.Get<IConnectionItemsFeature>()?.Items;
        if (items is null || (make is null && items.Count == 0))
            return null;
        lock (items)
        {
            if (items.TryGetValue(typeof(BoundConnections), out var there))
                return (BoundConnections)there!;
            if (make is null)
                return null;
            var bound = make();
            items[typeof(BoundConnections)] = bound;
            context.Features.Get<IConnectionLifetimeFeature>()?.ConnectionClosed.UnsafeRegister(static b => ((BoundConnections)b!).Dispose(), bound);
            return bound;
        }
    }
}
