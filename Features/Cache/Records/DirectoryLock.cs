using Discobot.Infrastructure.Native;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Records;

/// <summary>
/// One process at a time has a cache's directory: two would sweep and evict each other's files. The kernel keeps the lock (flock(2)) and lets go of it
/// however the process ends; the file beside it only says whose it is. A file system without locks keeps nobody away.
/// </summary>
internal sealed class DirectoryLock : IDisposable
{
    private const string Name = ".lock";
    private const string Owner = ".owner";

    // EWOULDBLOCK of Linux, which .NET hands on as it is.
    private const int WouldBlock = 11;

    private readonly SafeFileHandle _file;

    private DirectoryLock(SafeFileHandle file) => _file = file;

    /// <exception cref="IOException">Another process has it; the message names it.</exception>
    public static DirectoryLock Take(string directory)
    {
        var path = Path.Join(directory, Name);
        try
        {
            // FileShare.None is LOCK_EX | LOCK_NB.
            var file = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            try
            {
                // A FIFO that somebody else left there would be waited for.
                var owner = Path.Join(directory, Owner);
                if (!RegularFile.IsOrMissing(owner))
                    File.Delete(owner);
                File.WriteAllText(owner, $"process {Environment.ProcessId} on {Environment.MachineName}\n");
                return new DirectoryLock(file);
            }
            catch
            {
                file.Dispose();
                throw;
            }
        }
        catch (IOException e) when (e.HResult == WouldBlock)
        {
            throw new IOException($"{directory} is in use by {OwnerOf(directory)}; two caches need two directories (cache.dir)", e);
        }
    }

    public void Dispose() => _file.Dispose();

    private static string OwnerOf(string directory)
    {
        try
        {
            var owner = File.ReadAllText(Path.Join(directory, Owner)).Trim();
            return owner.Length is > 0 and < 200 && !owner.Any(char.IsControl) ? owner : "another process";
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            return "another process";
        }
    }
}
