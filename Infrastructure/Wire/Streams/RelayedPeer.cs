using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace Discobot.Infrastructure.Wire.Streams;

/// <summary>One of the two between whom bytes are relayed: whether it has reset its connection. The kernel tells that to one caller alone, which may be
/// the one who writes; whoever reads finds an end then, which looks like one in order.</summary>
/// <param name="socket">Null: nobody knows.</param>
internal sealed class RelayedPeer(Socket? socket)
{
    private volatile Task _writing = Task.CompletedTask;
    private volatile bool _isReset;

    /// <summary>Whether it has, without having ended anything before.</summary>
    public bool IsReset => _isReset;

    /// <summary>Reads from it.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<T> ReadAsync<T>(ValueTask<T> read)
    {
        try
        {
            return await read;
        }
        catch (Exception e)
        {
            Note(e);
            throw;
        }
    }

    /// <summary>Waits for it to send something.</summary>
    public async ValueTask WaitAsync(ValueTask wait)
    {
        try
        {
            await wait;
        }
        catch (Exception e)
        {
            Note(e);
            throw;
        }
    }

    /// <summary>Writes to it. One at a time.</summary>
    public ValueTask WriteAsync(ValueTask write)
    {
        if (write.IsCompletedSuccessfully)
            return write;
        var writing = WaitAsync(write).AsTask();
        _writing = writing;
        return new(writing);
    }

    /// <summary>The same, where some of it may be left.</summary>
    /// <returns>Bytes.</returns>
    public ValueTask<int> WriteAsync(ValueTask<int> write)
    {
        if (write.IsCompletedSuccessfully)
            return write;
        var writing = ReadAsync(write).AsTask();
        _writing = writing;
        return new(writing);
    }

    /// <summary>It has ended its direction, as it seems.</summary>
    /// <exception cref="IOException">By a reset.</exception>
    public async ValueTask EndAsync()
    {
        // Where the connection is gone altogether, a write does not wait.
        if (socket is not null && !HalfOpen.Is(socket))
            await _writing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_isReset)
            throw new IOException("the connection was reset", new SocketException((int)SocketError.ConnectionReset));
    }

    /// <summary>An operation on its connection has failed.</summary>
    public void Note(Exception failure) => _isReset |= BothWays.IsReset(failure);
}
