using System.Collections.Concurrent;

namespace Discobot.Infrastructure.Config;

/// <summary>
/// What files of secrets (<c>file:/path</c>) hold. They may lie on a file system that hangs, or be a pipe that nobody writes to, so nobody reads
/// them on a thread that has other work: see <see cref="BlockingCalls{T}"/>. Only whoever needs the value waits for it.
/// </summary>
internal sealed class SecretFiles
{
    private const int MaxThreads = 64;

    /// <summary>Files are read again when used after this long: a rotated token is in force within a second, without a read per request.</summary>
    private static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(1);

    /// <summary>How long a value that was never there is waited for.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

    /// <summary>How long a newer value is waited for before the one at hand goes on being used.</summary>
    private static readonly TimeSpan RefreshLimit = TimeSpan.FromMilliseconds(500);

    private readonly ConcurrentDictionary<string, SecretReading> _known = new(StringComparer.Ordinal);
    private readonly BlockingCalls<SecretReading> _reads;
    private readonly TimeProvider _time;

    public SecretFiles(TimeProvider? time = null)
    {
        _time = time ?? TimeProvider.System;
        _reads = new BlockingCalls<SecretReading>("secrets", MaxThreads, Limit, Read, time);
    }

    /// <summary>Waits until <see cref="Get"/> has what the file holds now; at most 5 s, when it does not answer.</summary>
    public async ValueTask RefreshAsync(SecretText secret, CancellationToken cancellation)
    {
        if (secret.Source != SecretSource.File || IsFresh(secret.Text, out var known))
            return;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        if (known)
            limit.CancelAfter(RefreshLimit);
        try
        {
            await _reads.RunAsync(secret.Text, limit.Token);
        }
        catch (Exception e) when (e is TimeoutException || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            if (!known)
                _known.TryAdd(secret.Text, new SecretReading("", $"{secret.Text} cannot be read: it does not answer", 0));
        }
    }

    /// <summary>The value, or why there is none; of a file as it was when it was last read. Reads nothing itself.</summary>
    public SecretReading Get(SecretText secret)
    {
        if (secret.Source != SecretSource.File)
            return Resolve(secret);
        if (!IsFresh(secret.Text, out _))
            _ = RefreshAsync(secret, CancellationToken.None).AsTask();
        return _known.GetValueOrDefault(secret.Text) ?? new SecretReading("", $"{secret.Text} has not been read yet", 0);
    }

    /// <param name="path">The file.</param>
    /// <param name="known">Whether there is a value at all.</param>
    private bool IsFresh(string path, out bool known)
    {
        known = _known.TryGetValue(path, out var last) && last.Problem is null;
        return known && _time.GetElapsedTime(last!.At) < Lifetime;
    }

    // Kept here and not by whoever waits: what a pipe gives late comes only once.
    private SecretReading Read(string path) => _known[path] = Resolve(new SecretText(SecretSource.File, path));

    private SecretReading Resolve(SecretText secret) =>
        secret.TryResolve(out var text) ? new SecretReading(text, null, _time.GetTimestamp()) : new SecretReading("", text, 0);
}

/// <param name="Value">Empty when there is a problem.</param>
/// <param name="Problem">Why there is no value, fit for a log line; or null.</param>
/// <param name="At">When it was read.</param>
internal sealed record SecretReading(string Value, string? Problem, long At)
{
    // A record prints its members; this one holds a secret.
    public override string ToString() => Problem ?? "***";
}
