using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace Discobot.Infrastructure.Wire.Clients;

/// <summary>
/// What was found out about passwords and hashes, so that not each request costs what a hash is meant to cost. Kept by a digest under a key of this start, so
/// that nothing here is a password or helps to guess one elsewhere. One is computed at a time, and never by a thread that sockets wait for: clients that say
/// it wrongly keep one processor. Addresses that come with something new take turns, so that whoever guesses is in the way of his own
/// next guess and not of others. Names have no turns of their own: how long it takes would tell which there are.
/// </summary>
internal sealed class CheckedPasswords
{
    /// <summary>Of both kinds. Beyond, it begins anew: that costs a hash each.</summary>
    private const int MostKept = 4096;

    /// <summary>Different ones that one address says at a time; more are guesses.</summary>
    private const int MostWaiting = 16;

    private const int MostAddresses = 1024;

    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly Lock _gate = new();
    private readonly ConcurrentDictionary<string, bool> _right = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, bool> _wrong = new(StringComparer.Ordinal);

    // Each address that waits has one turn.
    private readonly Dictionary<IPAddress, List<Check>> _waiting = [];
    private readonly Queue<IPAddress> _turns = new();
    private bool _isComputing;

    /// <summary>How many hashes were computed.</summary>
    public int Computed { get; private set; }

    /// <param name="from">Where the client comes from.</param>
    /// <param name="name">Who says so: two names with one hash and password are kept apart, or the time would tell that they have it.</param>
    /// <param name="hash">What is compared.</param>
    /// <param name="password">What is said.</param>
    /// <param name="cancellation">Who has left costs nothing.</param>
    /// <returns>False also where too many wait that came from there.</returns>
    public async ValueTask<bool> VerifyAsync(IPAddress? from, byte[] name, string hash, byte[] password, CancellationToken cancellation)
    {
        var digest = Digest(name, hash, password);
        if (Find(digest) is { } known)
            return known;
        if (Enter(Network(from), digest, hash, password) is not { } check)
            return false;
        try
        {
            return await check.Result.Task.WaitAsync(cancellation);
        }
        finally
        {
            Interlocked.Decrement(ref check.Waiters);
        }
    }

    // Who has one address of IPv6 has all of its network.
    private static IPAddress Network(IPAddress? from)
    {
        if (from is null or { AddressFamily: AddressFamily.InterNetwork } or { IsIPv4MappedToIPv6: true })
            return from?.MapToIPv4() ?? IPAddress.None;
        var bytes = from.GetAddressBytes();
        bytes.AsSpan(8).Clear();
        return new IPAddress(bytes);
    }

    private Check? Enter(IPAddress client, string digest, string hash, byte[] password)
    {
        lock (_gate)
        {
            if (!_waiting.TryGetValue(client, out var checks))
            {
                if (_waiting.Count == MostAddresses)
                    return null;
                _waiting[client] = checks = [];
                _turns.Enqueue(client);
            }

            checks.RemoveAll(left => left.Waiters == 0);
            var check = checks.Find(same => same.Digest == digest);
            if (check is null && checks.Count == MostWaiting)
                return null;
            if (check is null)
                checks.Add(check = new Check(digest, hash, password));
            Interlocked.Increment(ref check.Waiters);
            if (!_isComputing)
            {
                _isComputing = true;
                _ = Task.Run(ComputeAll);
            }

            return check;
        }
    }

    private void ComputeAll()
    {
        while (Next() is { } check)
        {
            try
            {
                check.Result.SetResult(Compute(check));
            }
            catch (Exception e)
            {
                // For whoever waits: all others need this to go on.
                check.Result.SetException(e);
            }
        }
    }

    private Check? Next()
    {
        lock (_gate)
        {
            while (_turns.TryDequeue(out var client))
            {
                var checks = _waiting[client];
                checks.RemoveAll(left => left.Waiters == 0);
                var next = checks.FirstOrDefault();
                if (next is not null)
                    checks.RemoveAt(0);
                if (checks.Count > 0)
                    _turns.Enqueue(client);
                else
                    _waiting.Remove(client);
                if (next is not null)
                    return next;
            }

            _isComputing = false;
            return null;
        }
    }

    private bool Compute(Check check)
    {
        if (Find(check.Digest) is { } meanwhile)
            return meanwhile;
        Computed++;
        var isRight = PasswordHash.Verify(check.Hash, check.Password);
        // Those who guess do not make those forgotten who know.
        var kept = isRight ? _right : _wrong;
        if (kept.Count >= MostKept)
            kept.Clear();
        kept[check.Digest] = isRight;
        return isRight;
    }

    private bool? Find(string digest) => _right.ContainsKey(digest) ? true : _wrong.ContainsKey(digest) ? false : null;

    private string Digest(byte[] name, string hash, byte[] password) =>
        Convert.ToBase64String(HMACSHA256.HashData(_key, (byte[])[(byte)name.Length, .. name, .. Encoding.UTF8.GetBytes(hash), 0, .. password]));

    /// <summary>A hash that is to be computed, once for all who said the same.</summary>
    private sealed class Check(string digest, string hash, byte[] password)
    {
        /// <summary>How many wait for it. A field, since it is counted without the lock.</summary>
        public int Waiters;

        public string Digest => digest;

        public string Hash => hash;

        public byte[] Password => password;

        public TaskCompletionSource<bool> Result { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
