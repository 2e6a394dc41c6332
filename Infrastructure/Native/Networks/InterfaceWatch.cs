namespace Discobot.Infrastructure.Native.Networks;

/// <summary>Hears at once when interfaces of this network come up (rtnetlink(7), RTNLGRP_LINK).</summary>
internal static class InterfaceWatch
{
    private const uint Links = 1;
    private const ushort NewLink = 16;

    // struct ifinfomsg: family, type, index, flags, what of them has changed.
    private const int FlagsAt = 8;
    private const uint IsUp = 1;

    /// <summary>Listens at once; what it returns tells of changes until it is cancelled.</summary>
    /// <param name="changed">Called when one or several that are up have changed or are new, or when more was told than could be heard, on a thread of its own.</param>
    /// <exception cref="LibcException">It cannot be listened.</exception>
    public static Func<CancellationToken, Task> Listen(Action changed)
    {
        var socket = new NetlinkSocket(NetlinkSocket.Route);
        socket.Join(Links);
        return cancellation => Task.Factory.StartNew(() => Hear(socket, changed, cancellation), cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default).WaitAsync(cancellation);
    }

    private static void Hear(NetlinkSocket socket, Action changed, CancellationToken cancellation)
    {
        using (socket)
        {
            while (!cancellation.IsCancellationRequested)
            {
                if (socket.Receive() is not { } messages || messages.Any(TellsOfOneThatIsUp))
                    changed();
            }
        }
    }

    private static bool TellsOfOneThatIsUp((ushort Type, ReadOnlyMemory<byte> Payload) message) => message.Type == NewLink
        && message.Payload.Length >= FlagsAt + sizeof(uint) && (BitConverter.ToUInt32(message.Payload.Span[FlagsAt..]) & IsUp) != 0;
}
