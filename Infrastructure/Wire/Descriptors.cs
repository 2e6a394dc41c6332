using System.Net.Sockets;
using Discobot.Infrastructure.Native;

namespace Discobot.Infrastructure.Wire;

/// <summary>File descriptors: how many there may be (RLIMIT_NOFILE, getrlimit(2)), and how many clients that is enough for.</summary>
internal static class Descriptors
{
    /// <summary>What the process needs besides connections: listeners, logs, the cache's directory, files being read.</summary>
    private const int Reserved = 128;

    /// <summary>A client's socket, the one to its upstream, and while a tunnel is busy a pipe between the two.</summary>
    private const int PerClient = 4;

    /// <summary>More than anybody needs; some engines allow a thousand million.</summary>
    private const ulong Enough = 1 << 20;

    /// <summary>
    /// Raises the soft limit of this process to the hard one: 1,024, the usual soft limit, is for programs that use select(2). Not for a
    /// process that starts programs of others, which would inherit it.
    /// </summary>
    public static void Raise()
    {
        if (Libc.GetLimit(Libc.FileDescriptors, out var limit) == 0 && limit.Soft < Math.Min(limit.Hard, Enough))
            _ = Libc.SetLimit(Libc.FileDescriptors, limit with { Soft = Math.Min(limit.Hard, Enough) });
    }

    /// <summary>How many clients the descriptors of this process are enough for.</summary>
    public static int MostClients() => Libc.GetLimit(Libc.FileDescriptors, out var limit) == 0 ? MostClients(limit.Soft) : int.MaxValue;

    public static int MostClients(ulong limit) => (int)Math.Clamp(((double)limit - Reserved) / PerClient, 16, Enough);

    /// <summary>Whether a call failed because none is left, of this process or of the machine, or no memory for one.</summary>
    public static bool AreExhausted(SocketException e) =>
        e.SocketErrorCode is SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable;
}
