using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Interception.Entries;

/// <summary>What is known about the tunnel a connection came through: a feature of the connection. Plain proxied HTTP has none.</summary>
internal sealed class Tunnel(ConnectTarget target)
{
    /// <summary>Where the tunnel leads. Replaced once, when an IP literal's TLS hello names a host: that name is then dialled and judged.</summary>
    public ConnectTarget Target { get; set; } = target;

    /// <summary>Who opened it, by name; null: nobody who has one.</summary>
    public string? Client { get; set; }

    /// <summary>What the client's TLS hello named, when it differs from <see cref="Target"/>; such requests get 421.</summary>
    public string? ForeignServerName { get; set; }

    /// <summary>Whether nobody asked for it: the connection was redirected here, and plain HTTP in it says with each request whom it is for.</summary>
    public bool IsTransparent { get; init; }

    /// <summary>The application protocols that the client's TLS hello offers (RFC 7301); null when there is no TLS, or its hello cannot be read.</summary>
    public IReadOnlyList<string>? Offered { get; set; }

    /// <summary>The server's side of TLS that is perhaps not HTTP, once it is there. Disposed by whoever let the connection in.</summary>
    public OpaqueServer? Server { get; set; }

    /// <summary>The address that the client itself dialled, where the target is the name found for it.</summary>
    public string? Dialled { get; init; }

    /// <summary>Whether TLS with the client has been agreed on.</summary>
    public bool IsSecured { get; set; }

    /// <summary>Whether a request or a relay in it tells of itself. One in which nobody asks anything is told of when it is over.</summary>
    public bool IsUsed { get; set; }

    /// <summary><c>https</c>, or <c>http</c> when plain HTTP was spoken inside the tunnel.</summary>
    public string Scheme { get; set; } = "https";
}
