using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Infrastructure.Native.Files;

/// <summary>
/// A lock on a file (flock(2)) that the kernel keeps: it ends with this process, however that ends, and no program started from here
/// inherits it. Also between containers, as they share the volume's file and not a namespace. The file says who holds it.
/// </summary>
internal sealed class FileLock : IDisposable
{
    private const int Exclusive = 2;
    private const int NonBlocking = 4;
    private const int LongestHolder = 1024;
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
        var handle = directory.OpenOrCreateFile(name, 0x180);
        if (Libc.Lock(handle, Exclusive | NonBlocking) != 0)
        {
            using (handle)
            {
                var error = LibcException.Last("flock", $"{directory}/{name}");
                var text = new byte[LongestHolder];
                holder = Encoding.UTF8.GetString(text, 0, RandomAccess.Read(handle, text, 0)).TrimEnd();
                return error.Number == LibcException.WouldBlock ? null : throw error;
            }
        }

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
