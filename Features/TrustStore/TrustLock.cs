namespace Discobot.Features.TrustStore;

/// <summary>
/// One at a time changes the trust store: a tool takes seconds, reads the anchors when it begins and writes the bundle when it ends, so
/// two at once undo each other. The start-up's tool runs in the background while <c>discobot trust</c> may be called.
/// </summary>
internal static class TrustLock
{
    // As long as a tool may take, and a little more.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(35);

    /// <summary>Waits for whoever changes the store.</summary>
    /// <returns>To be disposed after the change; null where there can be no lock, which is no reason to change nothing.</returns>
    /// <exception cref="IOException">Somebody else took longer than a tool may take.</exception>
    public static async Task<IDisposable?> TakeAsync(string root, CancellationToken cancellationToken)
    {
        var path = Path.Combine(root, "run", "discobot-trust.lock");
        var deadline = Environment.TickCount64 + (long)Limit.TotalMilliseconds;
        while (true)
        {
            try
            {
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                return new FileStream(path, new FileStreamOptions
                {
                    Mode = FileMode.OpenOrCreate,
                    Access = FileAccess.ReadWrite,
                    Share = FileShare.None, // flock(2): given back by the kernel when its holder dies
                    UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
                });
            }
            catch (IOException e) when (IsHeld(e))
            {
                if (Environment.TickCount64 >= deadline)
                    throw new IOException("another change of the trust store does not end", e);
                await Task.Delay(20, cancellationToken);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return null;
            }
        }
    }

    // EWOULDBLOCK of flock(2), as the runtime passes it on.
    private static bool IsHeld(IOException error) => error.HResult == 11;
}
