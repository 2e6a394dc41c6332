using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Discobot.Infrastructure.Native;

/// <summary>Whose a TCP connection of this network is (proc(5)).</summary>
/// <param name="User">The number of the user whose socket it is.</param>
/// <param name="Process">The first process found that holds it; 0 when none was.</param>
/// <param name="Program">The path of what that runs; empty when it is not known.</param>
/// <param name="Parents">The same of its parent, that one's parent, and so on up to process 1.</param>
internal sealed record ConnectionOwner(uint User, int Process, string Program, IReadOnlyList<string> Parents)
{
    private const int MaxParents = 8;

    /// <summary>Looks for the sockets that connections come from: many cost little more than one. Only root finds processes of others.</summary>
    /// <param name="clients">Their own addresses.</param>
    /// <returns>Of each; null when there is no such socket: it belongs to another network, or is closed.</returns>
    public static ConnectionOwner?[] FindAll(IReadOnlyList<IPEndPoint> clients)
    {
        var sockets = FindSockets(clients);
        var holders = FindHolders(sockets);
        return [.. clients.Select(client => sockets.TryGetValue(Plain(client), out var socket) ? Of(socket.User, holders.GetValueOrDefault(socket.Link)) : null)];
    }

    private static ConnectionOwner Of(uint user, int process) =>
        process == 0 ? new ConnectionOwner(user, 0, "", []) : new ConnectionOwner(user, process, ProgramOf(process), ParentsOf(process));

    private static IPEndPoint Plain(IPEndPoint client) => client.Address.IsIPv4MappedToIPv6 ? new IPEndPoint(client.Address.MapToIPv4(), client.Port) : client;

    // The youngest first: mostly it is a program that was started for this, and may soon be gone. One that is still of the socket's user, first of all.
    private static Dictionary<string, int> FindHolders(Dictionary<IPEndPoint, (uint User, string Link)> sockets)
    {
        var holders = new Dictionary<string, int>();
        var users = sockets.Values.ToDictionary(s => s.Link, s => s.User);
        var processes = Processes().ConvertAll(p => (Process: p, User: Libc.StatusOf($"/proc/{p}")?.Owner.User));
        foreach (var isOwn in (bool[])[true, false])
        {
            foreach (var (process, user) in processes)
            {
                if (holders.Count == users.Count)
                    return holders;
                if (isOwn && !(user is { } known && users.ContainsValue(known)))
                    continue;
                foreach (var link in LinksOf(process))
                {
                    if (users.TryGetValue(link, out var of) && (!isOwn || of == user))
                        holders.TryAdd(link, process);
                }
            }
        }

        return holders;
    }

    private static List<int> Processes()
    {
        var processes = new List<int>();
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(directory.AsSpan()), NumberStyles.None, CultureInfo.InvariantCulture, out var process))
                processes.Add(process);
        }

        processes.Sort(static (a, b) => b.CompareTo(a));
        return processes;
    }

    private static string ProgramOf(int process) => Target($"/proc/{process}/exe") ?? "";

    private static List<string> ParentsOf(int process)
    {
        var parents = new List<string>();
        while (parents.Count < MaxParents && (process = ParentOf(process)) > 0)
            parents.Add(ProgramOf(process));
        return parents;
    }

    // number (name) state parent …: a name may hold anything, also parentheses.
    private static int ParentOf(int process)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{process}/stat");
            return text[(text.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, var parent, ..]
                && int.TryParse(parent, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }

    // One line for each socket: number, local address, remote address, state, queues, timers, retransmissions, user, timeout, inode.
    private static Dictionary<IPEndPoint, (uint User, string Link)> FindSockets(IReadOnlyList<IPEndPoint> clients)
    {
        var wanted = new Dictionary<string, IPEndPoint>();
        foreach (var client in clients.Select(Plain))
        {
            var port = client.Port.ToString("X4", CultureInfo.InvariantCulture);
            wanted[$"{Spell(client.Address)}:{port}"] = client;
            if (client.AddressFamily == AddressFamily.InterNetwork)
                wanted[$"{Spell(client.Address.MapToIPv6())}:{port}"] = client;
        }

        var byText = wanted.GetAlternateLookup<ReadOnlySpan<char>>();
        var sockets = new Dictionary<IPEndPoint, (uint, string)>();
        foreach (var file in (string[])["/proc/net/tcp", "/proc/net/tcp6"])
        {
            if (!File.Exists(file))
                continue;
            foreach (var line in File.ReadLines(file))
            {
                // Most lines are of others: nothing is made of those.
                if (!byText.TryGetValue(LocalAddress(line), out var client))
                    continue;
                var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                // One that only waits for its end (TIME_WAIT) may have had the same address, and has no inode.
                if (words.Length > 9 && words[9] != "0" && uint.TryParse(words[7], CultureInfo.InvariantCulture, out var user))
                    sockets.TryAdd(client, (user, $"socket:[{words[9]}]"));
            }
        }

        return sockets;
    }

    private static ReadOnlySpan<char> LocalAddress(ReadOnlySpan<char> line)
    {
        var rest = line[(line.IndexOf(": ") + 1)..].TrimStart(' ');
        return rest.IndexOf(' ') is var end and >= 0 ? rest[..end] : rest;
    }

    /// <summary>An address as /proc/net/tcp has it: each four bytes in the machine's own order.</summary>
    public static string Spell(IPAddress address)
    {
        var bytes = address.GetAddressBytes();
        return string.Concat(Enumerable.Range(0, bytes.Length / 4).Select(i => BitConverter.ToUInt32(bytes, i * 4).ToString("X8", CultureInfo.InvariantCulture)));
    }

    private static List<string> LinksOf(int process)
    {
        var links = new List<string>();
        try
        {
            foreach (var descriptor in Directory.EnumerateFiles($"/proc/{process}/fd"))
            {
                if (Target(descriptor) is { } link && link.StartsWith("socket:", StringComparison.Ordinal))
                    links.Add(link);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // It ended, or is not ours to look into.
        }

        return links;
    }

    private static string? Target(string link)
    {
        try
        {
            return new FileInfo(link).LinkTarget;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
