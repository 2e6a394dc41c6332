using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Discobot.Infrastructure.Native;

/// <summary>Whose a TCP connection of this network is (proc(5)).</summary>
/// <param name="User">The number of the user whose socket it is.</param>
/// <param name="Process">The first process found that holds it; 0 when none was.</param>
/// <param name="Program">The path of what that runs; empty when it is not known.</param>
internal sealed record ConnectionOwner(uint User, int Process, string Program)
{
    /// <summary>Looks for the socket that a connection comes from. Only root finds processes of others.</summary>
    /// <param name="client">Its own address.</param>
    /// <param name="proc">Where /proc is.</param>
    /// <returns>Null when there is no such socket: it belongs to another network, or is closed.</returns>
    public static ConnectionOwner? Find(IPEndPoint client, string proc = "/proc")
    {
        var address = client.Address.IsIPv4MappedToIPv6 ? client.Address.MapToIPv4() : client.Address;
        if (FindSocket(new IPEndPoint(address, client.Port), proc) is not var (user, socket))
            return null;
        var link = $"socket:[{socket}]";
        foreach (var directory in Directory.EnumerateDirectories(proc))
        {
            if (!int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out var process) || !Holds(directory, link))
                continue;
            return new ConnectionOwner(user, process, Target($"{directory}/exe") ?? "");
        }

        return new ConnectionOwner(user, 0, "");
    }

    // One line for each socket: number, local address, remote address, state, queues, timers, retransmissions, user, timeout, inode.
    private static (uint User, string Inode)? FindSocket(IPEndPoint client, string proc)
    {
        var plain = Spell(client.Address) + ":" + client.Port.ToString("X4", CultureInfo.InvariantCulture);
        var mapped = client.AddressFamily == AddressFamily.InterNetwork ? Spell(client.Address.MapToIPv6()) + plain[8..] : plain;
        foreach (var (file, local) in new[] { ("tcp", plain), ("tcp6", mapped) })
        {
            if (!File.Exists($"{proc}/net/{file}"))
                continue;
            foreach (var line in File.ReadLines($"{proc}/net/{file}"))
            {
                var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                // One that only waits for its end (TIME_WAIT) may have had the same address, and has no inode.
                if (words.Length > 9 && words[1] == local && words[9] != "0" && uint.TryParse(words[7], CultureInfo.InvariantCulture, out var user))
                    return (user, words[9]);
            }
        }

        return null;
    }

    // Each four bytes in the machine's own order.
    private static string Spell(IPAddress address)
    {
        var bytes = address.GetAddressBytes();
        return string.Concat(Enumerable.Range(0, bytes.Length / 4).Select(i => BitConverter.ToUInt32(bytes, i * 4).ToString("X8", CultureInfo.InvariantCulture)));
    }

    private static bool Holds(string process, string link)
    {
        try
        {
            return Directory.EnumerateFiles($"{process}/fd").Any(descriptor => Target(descriptor) == link);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
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
