using System.Security.Cryptography;
using System.Text;

namespace Discobot.Features.Cache.Records;

/// <summary>
/// Names a credential without giving it away: records that are one credential's stand under such a name, on the disk and in memory. The
/// key is drawn for the directory and kept in it, for its owner alone: without it nobody can try passwords on a name.
/// </summary>
internal sealed class CredentialDigest(CacheStore store)
{
    private readonly Lazy<Task<byte[]>> _key = new(() => Task.Run(store.CredentialKeyAsync));

    public async ValueTask<string> OfAsync(string credential) =>
        Convert.ToHexStringLower(HMACSHA256.HashData(await _key.Value, Encoding.UTF8.GetBytes(credential)));
}
