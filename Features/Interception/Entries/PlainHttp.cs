using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Discobot.Features.Interception.Entries;

/// <summary>Lets HTTP without TLS pass the TLS stage of the same listener: that stage steps aside when a connection already has a TLS
/// feature. The mark is taken off behind it, else Kestrel would call the request https.</summary>
internal static class PlainHttp
{
    public static void Mark(ConnectionContext connection) => connection.Features.Set<ITlsConnectionFeature>(PlainMark.Instance);

    /// <summary>Kestrel chooses HTTP/2 by the ALPN result, which plain text does not have: give it one. Kept through <see cref="Unmark"/>.</summary>
    public static void MarkHttp2(ConnectionContext connection) =>
        connection.Features.Set<ITlsApplicationProtocolFeature>(PlainHttp2Mark.Instance);

    public static void Unmark(ConnectionContext connection)
    {
        // HTTP/2 needs the mark to be chosen; its scheme is then corrected by the tunnel, which knows better.
        if (connection.Features.Get<ITlsConnectionFeature>() is PlainMark && connection.Features.Get<ITlsApplicationProtocolFeature>() is not PlainHttp2Mark)
            connection.Features.Set<ITlsConnectionFeature>(null);
    }

    private sealed class PlainMark : ITlsConnectionFeature
    {
        public static readonly PlainMark Instance = new();

        public X509Certificate2? ClientCertificate { get => null; set => throw new NotSupportedException(); }

        public Task<X509Certificate2?> GetClientCertificateAsync(CancellationToken cancellationToken) => Task.FromResult<X509Certificate2?>(null);
    }

    private sealed class PlainHttp2Mark : ITlsApplicationProtocolFeature
    {
        public static readonly PlainHttp2Mark Instance = new();

        public ReadOnlyMemory<byte> ApplicationProtocol { get; } = "h2"u8.ToArray();
    }
}
