using System.Buffers;
using System.Net;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Connections;

namespace Discobot.Features.Socks5;

/// <summary>Everything up to the request.</summary>
internal sealed partial class SocksServer
{
    private delegate SocksRead Reading<T>(ref SequenceReader<byte> reader, out T message);

    /// <returns>The request, or null when the client was turned away or left.</returns>
    private async Task<SocksRequest?> NegotiateAsync(ConnectionContext connection, CancellationToken closing)
    {
        // For all of it together: a byte now and then does not buy more time.
        using var timer = new CancellationTokenSource(handshake.Time, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(closing, timer.Token);
        try
        {
            return await NegotiateWithinAsync(connection, limit.Token);
        }
        catch (OperationCanceledException) when (timer.IsCancellationRequested)
        {
            Refuse(connection, $"the handshake was not done within {handshake.Time.TotalSeconds} s");
            return null;
        }
    }

    private async Task<SocksRequest?> NegotiateWithinAsync(ConnectionContext connection, CancellationToken limit)
    {
        var output = new ClientOutput(connection);
        var (read, greeting) = await ReadAsync<SocksGreeting>(connection, SocksGreeting.TryRead, limit);
        if (read != SocksRead.Done || !await AuthenticateAsync(connection, output, greeting, limit))
            return null;

        (read, var request) = await ReadAsync<SocksRequest>(connection, SocksRequest.TryRead, limit);
        if (read is SocksRead.Malformed or SocksRead.UnknownAddressType)
        {
            Refuse(connection, read == SocksRead.Malformed ? "malformed request" : "unknown address type");
            var reply = read == SocksRead.Malformed ? SocksReply.GeneralFailure : SocksReply.AddressTypeNotSupported;
            await output.SendAsync(reply.Write(), limit);
        }

        return read == SocksRead.Done ? request : null;
    }

    //  +----+--------+                            +----+--------+
    //  |VER | METHOD |      RFC 1928, 3           |VER | STATUS |      RFC 1929, 2: 0 is welcome
    //  +----+--------+                            +----+--------+
    private async Task<bool> AuthenticateAsync(
        ConnectionContext connection, ClientOutput output, SocksGreeting greeting, CancellationToken cancellation)
    {
        if (users.AreRequired ? !greeting.OffersPassword : !greeting.OffersNothing)
        {
            Refuse(connection, users.AreRequired
                ? "a name and password are required (clients, socks.users)"
                : "the client insists on authentication, and neither clients nor socks.users are configured");
            await output.SendAsync(new[] { SocksGreeting.Version, SocksGreeting.NoAcceptableMethod }, cancellation);
            return false;
        }

        if (!users.AreRequired)
        {
            await output.SendAsync(new[] { SocksGreeting.Version, SocksGreeting.NoAuthentication }, cancellation);
            return true;
        }

        await output.SendAsync(new[] { SocksGreeting.Version, SocksGreeting.UserPassword }, cancellation);
        var (read, credentials) = await ReadAsync<SocksCredentials>(connection, SocksCredentials.TryRead, cancellation);
        if (read == SocksRead.Incomplete)
            return false;
        var (admitted, name) = read == SocksRead.Done ? await users.AdmitAsync(credentials.Name, credentials.Password, (connection.RemoteEndPoint as IPEndPoint)?.Address, cancellation) : default;
        if (connection.Features.Get<FlowClient>() is { } client)
            client.Name = name;
        if (!admitted)
            Refuse(connection, "wrong name or password");
        await output.SendAsync(new[] { SocksCredentials.Version, (byte)(admitted ? 0 : 1) }, cancellation);
        return admitted;
    }

    // Every message is bounded by its own length octets: at most 515 bytes are ever waited for.
    private static async Task<(SocksRead Read, T Message)> ReadAsync<T>(
        ConnectionContext connection, Reading<T> reading, CancellationToken cancellation)
    {
        var input = connection.Transport.Input;
        while (true)
        {
            var result = await input.ReadAsync(cancellation);
            var read = TryRead(result.Buffer, reading, out var message, out var consumed);
            input.AdvanceTo(consumed, read == SocksRead.Incomplete ? result.Buffer.End : consumed);
            if (read != SocksRead.Incomplete || result.IsCompleted)
                return (read, message);
        }
    }

    private static SocksRead TryRead<T>(
        in ReadOnlySequence<byte> buffer, Reading<T> reading, out T message, out SequencePosition consumed)
    {
        var reader = new SequenceReader<byte>(buffer);
        var read = reading(ref reader, out message);
        consumed = read == SocksRead.Done ? reader.Position : buffer.Start;
        return read;
    }
}
