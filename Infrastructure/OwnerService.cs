using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Infrastructure;

/// <summary>
/// Tells the proxy, which may not look into other users' processes, whose a connection is: a line <c>ADDRESS:PORT …</c> is answered by a
/// line for each, <c>USER PROCESS PROGRAM</c> and behind tabs the programs of its parents, or an empty one; the line <c>refused</c> by what the packet
/// filter has counted, <c>KIND=NUMBER</c> each. Process 1 answers, and the proxy's user alone may ask.
/// </summary>
internal static class OwnerService
{
    public const string SeenSocket = "/run/discobot/owners";
    private const string Refused = "refused";
    private const int MaxLine = 4096;

    /// <summary>How many connections may be asked about at once: as many addresses are no longer than a line.</summary>
    private const int MaxClients = 64;
    private static readonly TimeSpan Limit = TimeSpan.FromMilliseconds(300);

    /// <summary>Listens at once; what it returns answers until it is cancelled.</summary>
    /// <param name="path">Of the socket, in a directory that only root can change.</param>
    /// <param name="owner">Who may ask.</param>
    /// <param name="refused">What the packet filter has counted, by kind.</param>
    /// <exception cref="SocketException">It cannot be listened there.</exception>
    public static Func<CancellationToken, Task> Listen(string path, Owner owner, Func<IReadOnlyDictionary<string, long>> refused)
    {
        File.Delete(path);
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        using (var directory = DirectoryHandle.OpenTrusted(Path.GetDirectoryName(path)!))
            directory.SetOwner(Path.GetFileName(path), owner);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        listener.Listen();
        return cancellation => ServeAsync(listener, refused, cancellation);
    }

    /// <summary>Asks whose a connection is.</summary>
    /// <returns>Null when nobody knows, or nobody answers soon.</returns>
    public static async Task<ConnectionOwner?> AskAsync(IPEndPoint client, CancellationToken cancellation, string path = SeenSocket) =>
        (await AskAllAsync([client], cancellation, path))[0];

    /// <summary>Asks the same of many.</summary>
    public static async Task<ConnectionOwner?[]> AskAllAsync(IReadOnlyList<IPEndPoint> clients, CancellationToken cancellation, string path = SeenSocket)
    {
        var owners = new List<ConnectionOwner?>(clients.Count);
        foreach (var some in clients.Chunk(MaxClients))
        {
            var lines = (await AskAsync(string.Join(' ', some.AsEnumerable()), path, cancellation)).Split('\n');
            owners.AddRange(some.Select((_, i) => i < lines.Length ? Read(lines[i]) : null));
        }

        return [.. owners];
    }

    /// <summary>Asks what the packet filter has counted.</summary>
    /// <returns>By kind; empty when nobody knows, or nobody answers soon.</returns>
    public static async Task<IReadOnlyDictionary<string, long>> AskRefusedAsync(CancellationToken cancellation, string path = SeenSocket)
    {
        var counted = new Dictionary<string, long>();
        foreach (var pair in (await AskAsync(Refused, path, cancellation)).Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries))
        {
            if (pair.Split('=') is [var kind, var number] && long.TryParse(number, CultureInfo.InvariantCulture, out var value))
                counted[kind] = value;
        }

        return counted;
    }

    private static ConnectionOwner? Read(string line)
    {
        var words = line.Split(' ', 3);
        return words.Length == 3 && uint.TryParse(words[0], CultureInfo.InvariantCulture, out var user) && int.TryParse(words[1], CultureInfo.InvariantCulture, out var process)
            && words[2].Split('\t') is [var program, .. var parents] ? new ConnectionOwner(user, process, program, parents) : null;
    }

    // All that is answered, until whoever answers closes.
    private static async Task<string> AskAsync(string question, string path, CancellationToken cancellation)
    {
        if (!File.Exists(path))
            return "";
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Limit);
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), limit.Token);
            await socket.SendAsync(Encoding.UTF8.GetBytes($"{question}\n"), limit.Token);
            await using var answer = new NetworkStream(socket);
            using var reader = new StreamReader(answer);
            return await reader.ReadToEndAsync(limit.Token);
        }
        catch (Exception error) when (error is SocketException or IOException or OperationCanceledException)
        {
            return "";
        }
    }

    private static string Answer(string question, Func<IReadOnlyDictionary<string, long>> refused)
    {
        if (question == Refused)
            return string.Join(' ', refused().Select(r => $"{r.Key}={r.Value}")) + "\n";
        var clients = question.Split(' ').Select(q => IPEndPoint.TryParse(q, out var client) ? client : null).ToList();
        return clients.Contains(null) ? "\n" : string.Concat(ConnectionOwner.FindAll(clients!).Select(Line));
    }

    private static async Task ServeAsync(Socket listener, Func<IReadOnlyDictionary<string, long>> refused, CancellationToken cancellation)
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
                    await socket.SendAsync(Encoding.UTF8.GetBytes(Answer(await ReadLineAsync(socket, limit.Token), refused)), limit.Token);
                }
                catch (Exception error) when (error is SocketException or IOException || (error is OperationCanceledException && !cancellation.IsCancellationRequested))
                {
                    // Who asked is gone, or a process was.
                }
            }
        }
    }

    private static string Line(ConnectionOwner? owner)
    {
        if (owner is null)
            return "\n";
        var line = $"{owner.User} {owner.Process} {string.Join('\t', owner.Parents.Prepend(owner.Program).Select(p => p.Replace('\t', ' ').ReplaceLineEndings(" ")))}";
        return line[..Math.Min(line.Length, MaxLine / 4)] + "\n";
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
