using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Infrastructure;

/// <summary>
/// Tells the proxy, which may not look into other users' processes, whose a connection is: a line <c>ADDRESS:PORT</c> is answered by a line
/// <c>USER PROCESS PROGRAM</c>, or an empty one. Process 1 answers, and the proxy's user alone may ask.
/// </summary>
internal static class OwnerService
{
    public const string SeenSocket = "/run/discobot/owners";
    private const int MaxLine = 4096;
    private static readonly TimeSpan Limit = TimeSpan.FromMilliseconds(300);

    /// <summary>Listens at once; what it returns answers until it is cancelled.</summary>
    /// <param name="path">Of the socket, in a directory that only root can change.</param>
    /// <param name="owner">Who may ask.</param>
    /// <exception cref="SocketException">It cannot be listened there.</exception>
    public static Func<CancellationToken, Task> Listen(string path, Owner owner)
    {
        File.Delete(path);
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        using (var directory = DirectoryHandle.OpenTrusted(Path.GetDirectoryName(path)!))
            directory.SetOwner(Path.GetFileName(path), owner);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        listener.Listen();
        return cancellation => ServeAsync(listener, cancellation);
    }

    /// <summary>Asks whose a connection is.</summary>
    /// <returns>Null when nobody knows, or nobody answers soon.</returns>
    public static async Task<ConnectionOwner?> AskAsync(IPEndPoint client, CancellationToken cancellation, string path = SeenSocket)
    {
        if (!File.Exists(path))
            return null;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Limit);
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), limit.Token);
            await socket.SendAsync(Encoding.UTF8.GetBytes($"{client}\n"), limit.Token);
            var words = (await ReadLineAsync(socket, limit.Token)).Split(' ', 3);
            return words.Length == 3 && uint.TryParse(words[0], CultureInfo.InvariantCulture, out var user) && int.TryParse(words[1], CultureInfo.InvariantCulture, out var process)
                ? new ConnectionOwner(user, process, words[2]) : null;
        }
        catch (Exception error) when (error is SocketException or OperationCanceledException)
        {
            return null;
        }
    }

    private static async Task ServeAsync(Socket listener, CancellationToken cancellation)
    {
        using (listener)
        {
            while (true)
            {
                using var socket = await listener.AcceptAsync(cancellation);
                try
                {
                    using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
                    limit.CancelAfter(Limit);
                    var owner = IPEndPoint.TryParse(await ReadLineAsync(socket, limit.Token), out var client) ? ConnectionOwner.Find(client) : null;
                    await socket.SendAsync(Encoding.UTF8.GetBytes(owner is null ? "\n" : $"{owner.User} {owner.Process} {owner.Program.ReplaceLineEndings(" ")}\n"), limit.Token);
                }
                catch (Exception error) when (error is SocketException or IOException || (error is OperationCanceledException && !cancellation.IsCancellationRequested))
                {
                    // Who asked is gone, or a process was.
                }
            }
        }
    }

    private static async Task<string> ReadLineAsync(Socket socket, CancellationToken cancellation)
    {
        var buffer = new byte[MaxLine];
        for (var length = 0; length < MaxLine;)
        {
            var read = await socket.ReceiveAsync(buffer.AsMemory(length), cancellation);
            length += read;
            if (buffer.AsSpan(0, length).IndexOf((byte)'\n') is var end and >= 0)
                return Encoding.UTF8.GetString(buffer, 0, end);
            if (read == 0)
                return "";
        }

        return "";
    }
}
