using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Socks5;

/// <summary>One datagram in each direction.</summary>
//
//  +----+------+------+----------+----------+----------+
//  |RSV | FRAG | ATYP | DST.ADDR | DST.PORT |   DATA   |      RFC 1928, 7
//  +----+------+------+----------+----------+----------+
//  | 2  |  1   |  1   | Variable |    2     | Variable |
//  +----+------+------+----------+----------+----------+
internal sealed partial class UdpRelay
{
    /// <summary>How long a resolved name is used: as short as the shortest usual DNS lifetimes.</summary>
    private const long ResolvedMilliseconds = 30_000;

    /// <summary>Datagrams that wait for their names; further ones are lost.</summary>
    private const int MaxUnresolved = 64;

    private async ValueTask PassOutAsync(IPEndPoint from, Memory<byte> buffer, int length, CancellationToken cancellation)
    {
        if (!from.Address.Equals(_clientAddress) || (_client is { } known && !known.Equals(from)))
            return;
        _client ??= from;
        var datagram = buffer.Slice(MaxHeader, length);
        if (!TryReadHeader(datagram, out var destination, out var headerLength) || destination is not { Host: { } host, Port: > 0 })
            return;
        var target = new ConnectTarget(host.Name, destination.Port);
        if (!IsAllowed(target, _policy.JudgeBlindTunnel(target, _name)))
            return;
        if (Known(host) is { } address)
            await SendAsync(target, address, datagram[headerLength..], cancellation);
        else if (Interlocked.Increment(ref _unresolved) <= MaxUnresolved)
            _ = SendLaterAsync(target, host, datagram[headerLength..].ToArray(), cancellation);
        else
            Interlocked.Decrement(ref _unresolved);
    }

    private async ValueTask SendAsync(ConnectTarget target, IPAddress address, ReadOnlyMemory<byte> payload, CancellationToken cancellation)
    {
        if (!IsAllowed(target, _policy.JudgeAddress(target, address)))
            return;
        Remember(new IPEndPoint(address, target.Port));
        await _outside.SendToAsync(payload, SocketFlags.None, Outward(address, target.Port), cancellation);
        Interlocked.Add(ref _up, payload.Length);
    }

    // A name that gets no answer must not hold up datagrams to others.
    private async Task SendLaterAsync(ConnectTarget target, CanonicalHost host, byte[] payload, CancellationToken cancellation)
    {
        try
        {
            var addresses = await _names.ResolveAsync(host.Name, cancellation);
            if (addresses.Length == 0)
                return;
            if (_resolved.Count >= MaxPeers)
                _resolved.Clear();
            _resolved[host] = (addresses[0], Environment.TickCount64 + ResolvedMilliseconds);
            await SendAsync(target, addresses[0], payload, cancellation);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // UDP loses some.
        }
        finally
        {
            Interlocked.Decrement(ref _unresolved);
        }
    }

    private async ValueTask PassInAsync(IPEndPoint from, Memory<byte> buffer, int length, CancellationToken cancellation)
    {
        if (_client is not { } client || !_peers.Contains(from))
            return;
        var start = WriteHeader(from, buffer.Span);
        await _inside.SendToAsync(buffer[start..(MaxHeader + length)], SocketFlags.None, client, cancellation);
        Down += length;
    }

    // Fragments are dropped, as RFC 1928 lets those do who do not reassemble them.
    internal static bool TryReadHeader(ReadOnlyMemory<byte> datagram, out SocksAddress destination, out int length)
    {
        (destination, length) = (default, 0);
        var reader = new SequenceReader<byte>(new ReadOnlySequence<byte>(datagram));
        if (!reader.TryReadBigEndian(out short _) || !reader.TryRead(out var fragment) || fragment != 0
            || SocksAddress.TryRead(ref reader, out destination) != SocksRead.Done)
            return false;
        length = (int)reader.Consumed;
        return true;
    }

    /// <returns>Where in the buffer the header begins; it ends where the payload begins.</returns>
    internal static int WriteHeader(IPEndPoint from, Span<byte> buffer)
    {
        Span<byte> header = stackalloc byte[MaxHeader];
        header[..3].Clear();
        var length = 3 + SocksAddress.Write(from, header[3..]);
        header[..length].CopyTo(buffer[(MaxHeader - length)..]);
        return MaxHeader - length;
    }

    private IPAddress? Known(CanonicalHost host) =>
        host.Address ?? (_resolved.TryGetValue(host, out var known) && known.Until > Environment.TickCount64 ? known.Address : null);

    private void Remember(IPEndPoint peer)
    {
        // Replaced whole: the other loop reads it.
        lock (_told)
        {
            if (!_peers.Contains(peer))
                _peers = _peers.Count < MaxPeers ? [.. _peers, peer] : [peer];
        }
    }

    private bool IsAllowed(ConnectTarget target, EgressVerdict verdict)
    {
        if (verdict.Allowed)
            return true;
        bool isNews;
        lock (_told)
            isNews = _told.Count < MaxPeers && _told.Add(target);
        if (isNews)
            LogBlocked(target, verdict.Rule, verdict.Reason);
        return false;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "blocked udp {Target} {Rule} {Reason}")]
    private partial void LogBlocked(ConnectTarget target, string rule, string reason);
}
