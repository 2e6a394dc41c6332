using System.Buffers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Discobot.Infrastructure.Http1;

namespace Discobot.Features.DockerGuard;

/// <summary>
/// One client's connection: one request, judged, and its answer as it comes. dockerd is told to close after it, and says so to the client, so that no
/// answer has to be understood; only where a request may turn the connection into a stream of bytes is the answer's head looked at.
/// </summary>
internal sealed class GuardedConnection(Socket client, Func<CancellationToken, Task<Socket>> connect, EndpointRules? rules, Action<string> refused)
{
    private const int BufferSize = 64 * 1024;
    private const string NotRunning = "the Docker daemon does not run; the container's log tells why";

    /// <summary>Of a body that is looked at: no container needs more, and it is held in memory.</summary>
    public const int MaxBody = 4 << 20;

    private static readonly TimeSpan HeadLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan BodyLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan DrainLimit = TimeSpan.FromSeconds(2);
    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
    private int _start;
    private int _end;

    /// <summary>Serves it to its end.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (await ReadHeadAsync(client, HeadLimit, cancellationToken) is { } head)
                await ServeAsync(GuardedRequest.Parse(head), cancellationToken);
        }
        catch (MalformedMessageException error)
        {
            await RefuseAsync(400, $"the request cannot be passed on: {error.Message}", cancellationToken);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(_buffer);
        }
    }

    private async Task ServeAsync(GuardedRequest request, CancellationToken cancellationToken)
    {
        if (rules is null)
        {
            await RefuseAsync(503, NotRunning, cancellationToken);
            return;
        }

        var (passage, refusal) = rules.Judge(request.Method, request.Path);
        var mayHijack = passage == Passage.Hijack;
        if (mayHijack && !request.UpgradesAsKnown)
            refusal = "an upgrade to a protocol that nobody looks into";
        ReadOnlyMemory<byte>? body = null;
        if (refusal is null && passage == Passage.Body)
        {
            body = await ReadBodyAsync(request, cancellationToken);
            refusal = rules.Judge(request.Path, body.Value);
        }

        if (refusal is not null)
        {
            refused(refusal);
            await RefuseAsync(403, $"{refusal}: refused, since it can lead out of the container or past its proxy (docker.guard). "
                + "Who runs this container can allow it, in /etc/discobot/policy.yaml", cancellationToken);
            return;
        }

        Socket daemon;
        try
        {
            daemon = await connect(cancellationToken);
        }
        catch (SocketException)
        {
            await RefuseAsync(503, NotRunning, cancellationToken);
            return;
        }

        using (daemon)
        {
            await SendAsync(daemon, request.HeadForDaemon(mayHijack, body?.Length), cancellationToken);
            if (body is { } bytes)
                await SendAsync(daemon, bytes, cancellationToken);
            if (mayHijack)
                await HijackAsync(request, daemon, cancellationToken);
            else
                await StreamAsync(body is null ? request.Framing : default, daemon, cancellationToken);
        }
    }

    // The answer goes back while the body is still on its way; the end of the answer ends it all, and so does a client that leaves.
    private async Task StreamAsync(BodyFraming framing, Socket daemon, CancellationToken cancellationToken)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var up = Quietly(async () =>
        {
            await UploadAsync(framing, daemon, over.Token);
            // Whatever else comes is no part of this request, and goes nowhere.
            _start = _end = 0;
            while (await FillAsync(over.Token))
                _start = _end = 0;
            daemon.Shutdown(SocketShutdown.Send);
        });
        var down = Quietly(() => CopyAsync(daemon, client, over.Token));
        await Task.WhenAny(down, Failure(up));
        await over.CancelAsync();
        await Task.WhenAll(up, down);
    }

    private async Task HijackAsync(GuardedRequest request, Socket daemon, CancellationToken cancellationToken)
    {
        await UploadAsync(request.Framing, daemon, cancellationToken);
        var answer = new DaemonAnswer();
        if (!await answer.ReadAsync(daemon, cancellationToken))
            return;
        await SendAsync(client, answer.IsStream ? answer.Bytes : answer.Closing(), cancellationToken);
        if (!answer.IsStream)
        {
            // An ordinary answer. Its end is where dockerd closes, which it does when nothing can follow.
            daemon.Shutdown(SocketShutdown.Send);
            await CopyAsync(daemon, client, cancellationToken);
            return;
        }

        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var up = Quietly(async () =>
        {
            await SendAsync(daemon, _buffer.AsMemory(_start, _end - _start), over.Token);
            await CopyAsync(client, daemon, over.Token);
            // `docker exec -i` ends its input and waits for the output.
            daemon.Shutdown(SocketShutdown.Send);
        });
        var down = Quietly(async () =>
        {
            await CopyAsync(daemon, client, over.Token);
            client.Shutdown(SocketShutdown.Send);
        });
        // Where dockerd has said all, the client's input has nowhere to go; where the client fails, nobody reads the output.
        await Task.WhenAny(down, Failure(up));
        await over.CancelAsync();
        await Task.WhenAll(up, down);
    }

    private async Task UploadAsync(BodyFraming framing, Socket daemon, CancellationToken cancellationToken)
    {
        var end = new BodyPosition(framing);
        while (!end.IsOver)
        {
            if (_start == _end && !await FillAsync(cancellationToken))
                throw new IOException("the client left within its body");
            var taken = end.Take(_buffer.AsSpan(_start, _end - _start), static _ => { });
            await SendAsync(daemon, _buffer.AsMemory(_start, taken), cancellationToken);
            _start += taken;
        }
    }

    private async Task<ReadOnlyMemory<byte>> ReadBodyAsync(GuardedRequest request, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(BodyLimit);
        if (request.WaitsForContinue)
            await SendAsync(client, "HTTP/1.1 100 Continue\r\n\r\n"u8.ToArray(), limit.Token);
        var body = new ArrayBufferWriter<byte>();
        var end = new BodyPosition(request.Framing);
        while (!end.IsOver)
        {
            if (_start == _end && !await FillAsync(limit.Token))
                throw new IOException("the client left within its body");
            _start += end.Take(_buffer.AsSpan(_start, _end - _start), data => body.Write(data));
            if (body.WrittenCount > MaxBody)
                throw new MalformedMessageException($"its body is longer than {MaxBody >> 20} MiB");
        }

        return body.WrittenMemory;
    }

    // Null when the client leaves without having asked.
    private async Task<byte[]?> ReadHeadAsync(Socket socket, TimeSpan patience, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(patience);
        while (true)
        {
            var length = _buffer.AsSpan(0, _end).IndexOf("\r\n\r\n"u8);
            if (length >= 0)
            {
                _start = length + 4;
                return _buffer[..(length + 4)];
            }

            if (_end >= Math.Min(_buffer.Length, GuardedRequest.MaxHead))
                throw new MalformedMessageException("its head is too long");
            var read = await socket.ReceiveAsync(_buffer.AsMemory(_end), limit.Token);
            if (read == 0)
                return null;
            _end += read;
            // So that what is no HTTP/1 is told, and not waited for.
            if (_buffer.AsSpan(0, _end).IndexOf((byte)'\n') is > 0 and var line && _buffer[line - 1] != '\r')
                throw new MalformedMessageException("a line of it ends with LF alone");
        }
    }

    private async Task<bool> FillAsync(CancellationToken cancellationToken)
    {
        (_start, _end) = (0, 0);
        _end = await client.ReceiveAsync(_buffer, cancellationToken);
        return _end > 0;
    }

    private async Task RefuseAsync(int status, string reason, CancellationToken cancellationToken)
    {
        var json = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(json))
        {
            writer.WriteStartObject();
            writer.WriteString("message", reason);
            writer.WriteEndObject();
        }

        var phrase = status switch { 400 => "Bad Request", 403 => "Forbidden", _ => "Service Unavailable" };
        await SendAsync(client, Encoding.ASCII.GetBytes(
            $"HTTP/1.1 {status} {phrase}\r\nContent-Type: application/json\r\nContent-Length: {json.WrittenCount}\r\nConnection: close\r\n\r\n"), cancellationToken);
        await SendAsync(client, json.WrittenMemory, cancellationToken);
        client.Shutdown(SocketShutdown.Send);
        // Whoever still sends a body reads the answer only when that was taken.
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(DrainLimit);
        while (await FillAsync(limit.Token))
            _start = _end;
    }

    private static async Task CopyAsync(Socket from, Socket to, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            while (await from.ReceiveAsync(buffer, cancellationToken) is > 0 and var read)
                await SendAsync(to, buffer.AsMemory(0, read), cancellationToken);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static async Task SendAsync(Socket socket, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (!bytes.IsEmpty)
            bytes = bytes[await socket.SendAsync(bytes, cancellationToken)..];
    }

    // Ends only when the direction failed.
    private static async Task Failure(Task<bool> direction)
    {
        if (await direction)
            await Task.Delay(Timeout.Infinite);
    }

    private static async Task<bool> Quietly(Func<Task> direction)
    {
        try
        {
            await direction();
            return true;
        }
        catch (Exception error) when (error is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            return false;
        }
    }
}
