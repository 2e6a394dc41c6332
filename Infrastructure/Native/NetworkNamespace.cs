using System.Globalization;

namespace Discobot.Infrastructure.Native;

/// <summary>The network that this process lives in.</summary>
internal static class NetworkNamespace
{
    // Since Linux 6.18 the machine's own network has this number (linux/nsfs.h).
    private const string Machine = "net:[4026531833]";

    // 127.0.0.11, as /proc/net/tcp writes it: Docker's own resolver, which it puts into each container's network.
    private static readonly string[] Dockers = ["0B00007F", "0000000000000000FFFF00000B00007F"];

    private static readonly string[] Tables = ["tcp", "tcp6", "udp", "udp6"];

    /// <summary>
    /// Whether others use it too: the machine itself (<c>docker run --network host</c>), or the other containers of a pod. To be asked before we
    /// open a socket of our own.
    /// </summary>
    /// <param name="proc">Where /proc is.</param>
    public static bool IsShared(string proc = "/proc") =>
        File.ResolveLinkTarget($"{proc}/self/ns/net", returnFinalTarget: false)?.Name == Machine
        || Tables.Any(table => HasForeignSocket($"{proc}/net/{table}"));

    // proc_net_tcp(5): a heading, then "sl local_address rem_address ..." with addresses in hexadecimal.
    private static bool HasForeignSocket(string path)
    {
        if (!File.Exists(path))
            return false;
        foreach (var line in File.ReadLines(path).Skip(1))
        {
            var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length > 1 && fields[1].Split(':') is [var address, var port] && !Dockers.Contains(address)
                && ushort.TryParse(port, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out _))
                return true;
        }

        return false;
    }
}
