using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;

namespace Discobot.Infrastructure.Wire.Clients;

/// <summary>
/// What was found out about passwords and hashes, so that not each request costs what a hash is meant to cost. Kept by a digest under a key of this start, so
/// that nothing here is a password or helps to guess one elsewhere. One is computed at a time, and never by a thread that sockets wait for: clients that say
/// it wrongly keep one processor, and only those wait for it who come with something new.
/// </summary>
internal sealed class CheckedPasswords
{
    /// <summary>Of both kinds. Beyond, it begins anew: that costs a hash each.</summary>
    private const int MostKept = 4096;

    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly Lock _gate = new();
    private readonly ConcurrentDictionary<string, bool> _right = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, bool> _wrong = new(StringComparer.Ordinal);
    private Task _last = Task.CompletedTask;

    /// <summary>How many hashes were computed.</summary>
    public int Computed { get; private set; }

    /// <param name="name">Who says so: two names with one hash and password are kept apart, or the time would tell that they have it.</param>
    public async ValueTask<bool> VerifyAsync(byte[] name, string hash, byte[] password, CancellationToken cancellation)
    {
        var digest = Digest(name, hash, password);
        if (Find(digest) is { } known)
            return known;
        Task<bool> mine;
        lock (_gate)
            _last = mine = ComputeAsync(_last, digest, hash, password, cancellation);
        return await mine.WaitAsync(cancellation);
    }

    private async Task<bool> ComputeAsync(Task before, string digest, string hash, byte[] password, CancellationToken cancellation)
    {
        // Not on the thread that holds the lock, nor on one that sockets wait for.
        await before.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
        if (Find(digest) is { } meanwhile)
            return meanwhile;
        // Who has left costs nothing.
        if (cancellation.IsCancellationRequested)
            return false;
        Computed++;
        var isRight = PasswordHash.Verify(hash, password);
        // Those who guess do not make those forgotten who know.
        var kept = isRight ? _right : _wrong;
        if (kept.Count >= MostKept)
            kept.Clear();
        kept[digest] = isRight;
        return isRight;
    }

    private bool? Find(string digest) => _right.ContainsKey(digest) ? true : _wrong.ContainsKey(digest) ? false : null;

    private string Digest(byte[] name, string hash, byte[] password) =>
        Convert.ToBase64String(HMACSHA256.HashData(_key, (byte[])[(byte)name.Length, .. name, .. Encoding.UTF8.GetBytes(hash), 0, .. password]));
}
