using System.Security.Cryptography;
using System.Text;

namespace Discobot.Features.Api.Page;

/// <summary>
/// Codes that log the page in, for whoever has the token and would rather not paste it: each is good once, and for a short time. Kept as digests, so that how long it
/// takes to look one up says nothing about it.
/// </summary>
internal sealed class LoginCodes(TimeProvider time)
{
    /// <summary>From the command to the browser.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(1);

    /// <summary>The oldest makes room: one that nobody used in time was not meant to be.</summary>
    private const int Most = 16;

    private readonly Lock _gate = new();
    private readonly List<(byte[] Digest, DateTimeOffset Expires)> _open = [];

    /// <summary>Makes one.</summary>
    public string Make()
    {
        var code = RandomNumberGenerator.GetHexString(32, lowercase: true);
        lock (_gate)
        {
            if (_open.Count == Most)
                _open.RemoveAt(0);
            _open.Add((DigestOf(code), time.GetUtcNow() + Lifetime));
        }

        return code;
    }

    /// <summary>Whether it is one that counts, which it does then no more.</summary>
    public bool Take(string code)
    {
        var digest = DigestOf(code);
        lock (_gate)
        {
            var now = time.GetUtcNow();
            _open.RemoveAll(open => open.Expires <= now);
            return _open.RemoveAll(open => CryptographicOperations.FixedTimeEquals(open.Digest, digest)) > 0;
        }
    }

    private static byte[] DigestOf(string code) => SHA256.HashData(Encoding.UTF8.GetBytes(code));
}
