using System.Diagnostics;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Infrastructure.Native.Files;

/// <summary>
/// A lock on a file (flock(2)) that the kernel keeps: it ends with this process, however that ends, and no program started from here
/// inherits it. Also between containers, as they share the volume's file and not a namespace. The file says who holds it.
/// </summary>
internal sealed class FileLock : IDisposable
{
    /// <summary>For flock(2): nobody else has it, and nobody is waited for.</summary>
    public const int Exclusive = 2;

    /// <inheritdoc cref="Exclusive"/>
    public const int NonBlocking = 4;

    private const int LongestHolder = 1024;

    // Of a thousand that replace each other's one is left.
    private const int MaxTries = 1000;
    private static readonly TimeSpan TurnLimit = TimeSpan.FromSeconds(5);
    private readonly SafeFileHandle _handle;

    private FileLock(SafeFileHandle handle) => _handle = handle;

    /// <summary>Takes a lock at once or not at all.</summary>
    /// <param name="directory">Nobody else may write there.</param>
    /// <param name="name">The file; made when it is missing.</param>
    /// <param name="holder">Who we are, for whoever comes second; after a refusal, who holds it.</param>
    /// <returns>Null when somebody else holds it.</returns>
    /// <exception cref="LibcException">The file cannot be made, or its file system knows no locks.</exception>
    public static FileLock? TryTake(DirectoryHandle directory, string name, ref string holder)
    {
        // On a volume that was somebody else's anything may stand there, and a FIFO would be read for ever.
        for (var tries = 0; tries < MaxTries; tries++)
        {
            ClearWay(directory, name);
            var handle = directory.OpenOrCreateFile(name, 0x180);
            if (Libc.Lock(handle, Exclusive | NonBlocking) != 0)
            {
                using (handle)
                    return Refused(handle, $"{directory}/{name}", out holder);
            }

            // A lock on a file that has lost its name meanwhile keeps nobody out: the next one makes another.
            if (directory.IsNameOf(name, handle))
                return Held(handle, holder);
            handle.Dispose();
        }

        // A file system that calls one file by two numbers.
        throw new LibcException("flock", $"{directory}/{name}", LibcException.WouldBlock);
    }

    /// <summary>
    /// Waits for the lock of a directory itself. Who looks what stands somewhere, removes it and puts something in its place could take away
    /// what another has put there meanwhile, so that is done by one at a time.
    /// </summary>
    /// <returns>To be disposed when it is done, which is soon.</returns>
    /// <exception cref="LibcException">Somebody else has it for longer than it can take, or the file system knows no locks.</exception>
    public static IDisposable TakeTurn(DirectoryHandle directory)
    {
        var turn = directory.OpenChild(".")!;
        try
        {
            for (var clock = Stopwatch.StartNew(); !turn.TryLock(); Thread.Sleep(1))
            {
                if (clock.Elapsed > TurnLimit)
                    throw new LibcException("flock", $"{directory}", LibcException.WouldBlock);
            }

            return turn;
        }
        catch
        {
            turn.Dispose();
            throw;
        }
    }

    private static void ClearWay(DirectoryHandle directory, string name)
    {
        if (directory.Status(name) is not { Kind: not FileKind.Regular })
            return;
        using var turn = TakeTurn(directory);
        if (directory.Status(name) is { Kind: not FileKind.Regular })
            directory.RemoveTree(name, CancellationToken.None);
    }

    private static FileLock? Refused(SafeFileHandle handle, string subject, out string holder)
    {
        var error = LibcException.Last("flock", subject);
        var text = new byte[LongestHolder];
        holder = Encoding.UTF8.GetString(text, 0, RandomAccess.Read(handle, text, 0)).TrimEnd();
        return error.Number == LibcException.WouldBlock ? null : throw error;
    }

    private static FileLock Held(SafeFileHandle handle, string holder)
    {
        try
        {
            RandomAccess.SetLength(handle, 0);
            RandomAccess.Write(handle, Encoding.UTF8.GetBytes(holder + "\n"), 0);
        }
        catch (IOException)
        {
            // On a full volume it is held all the same; whoever comes second is told less.
        }

        return new FileLock(handle);
    }

    /// <summary>Keeps it until this process ends, though nothing refers to it any more.</summary>
    public void KeepForLife()
    {
        // One reference that is never given back: neither disposing nor the finalizer closes the descriptor then.
        var kept = false;
        _handle.DangerousAddRef(ref kept);
    }

    public void Dispose() => _handle.Dispose();
}
