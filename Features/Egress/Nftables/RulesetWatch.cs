using Discobot.Infrastructure.Native;

namespace Discobot.Features.Egress.Nftables;

/// <summary>A table of the packet filter that somebody took away.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Program">The program's name, as it calls itself.</param>
internal sealed record TableLoss(string Name, string Program);

/// <summary>Hears at once when tables of this network's packet filter are taken away (NFNLGRP_NFTABLES).</summary>
internal static class RulesetWatch
{
    private const uint Changes = 7;
    private const ushort DeleteTable = 10 << 8 | 2;
    private const ushort NewGeneration = 10 << 8 | 15;

    /// <summary>Listens at once; what it returns tells of each loss until it is cancelled.</summary>
    /// <param name="tell">Called for each, on a thread of its own.</param>
    /// <exception cref="LibcException">It cannot be listened.</exception>
    public static Func<CancellationToken, Task> Listen(Action<TableLoss> tell)
    {
        var socket = new NetlinkSocket(NetlinkSocket.Netfilter);
        socket.Join(Changes);
        return cancellation => Task.Factory.StartNew(() => Hear(socket, tell, cancellation), cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default).WaitAsync(cancellation);
    }

    private static void Hear(NetlinkSocket socket, Action<TableLoss> tell, CancellationToken cancellation)
    {
        using (socket)
        {
            var lost = new List<string>();
            while (!cancellation.IsCancellationRequested)
            {
                foreach (var (type, payload) in socket.Receive() ?? [])
                {
                    // A transaction ends with who made it.
                    if (type == DeleteTable)
                        lost.AddRange(NftReader.OfMessage(payload).Where(a => a.Type == 1).Select(a => NftReader.Text(a.Value)));
                    if (type != NewGeneration)
                        continue;
                    var program = NftReader.OfMessage(payload).Where(a => a.Type == 3).Select(a => NftReader.Text(a.Value)).FirstOrDefault("unknown");
                    foreach (var name in lost)
                        tell(new TableLoss(name, program));
                    lost.Clear();
                }
            }
        }
    }
}
