using System.Security.Cryptography;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Wire;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.Cache;

/// <summary>A cache directory of one test, and stores over it: opening a second one is a restart.</summary>
internal sealed class TemporaryCache : IDisposable
{
    public TemporaryCache() => Options = new CacheOptions { Dir = Dir };

    private CacheStore? _store;

    public string Dir { get; } = Directory.CreateTempSubdirectory("discobot-cache-").FullName;

    public CacheOptions Options { get; set; }

    public CacheStats Stats { get; private set; } = new();

    public Live<CacheRules> Rules { get; private set; } = null!;

    /// <summary>A store over the directory, in place of the former one.</summary>
    public async Task<CacheStore> OpenAsync()
    {
        _store?.Release();
        Stats = new CacheStats();
        Rules = new Live<CacheRules>(new CacheRules(Options));
        var store = _store = new CacheStore(Rules, Stats, TimeProvider.System, NullLogger<CacheStore>.Instance);
        Assert.True(store.Start());
        await store.Loaded;
        return store;
    }

    /// <summary>Bytes that nobody else has.</summary>
    public static byte[] Body(int size) => RandomNumberGenerator.GetBytes(size);

    public static string HexOf(byte[] body) => Convert.ToHexStringLower(SHA256.HashData(body));

    public CacheTarget Target(string url)
    {
        var uri = new Uri(url);
        return Rules.Value.Classify(new ProxiedRequest
        {
            Id = "1",
            Scheme = uri.Scheme,
            Target = new ConnectTarget(uri.Host, uri.Port),
            PathAndQuery = uri.PathAndQuery,
        })!;
    }

    public CacheTarget Blob(byte[] body, string host = "registry.test") => Target($"https://{host}/v2/a/blobs/sha256:{HexOf(body)}");

    /// <summary>Stores a body as if it had been downloaded.</summary>
    public async Task<CacheTarget> StoreAsync(CacheStore store, byte[] body, string host = "registry.test")
    {
        var target = Blob(body, host);
        var temporary = store.CreateTemporary();
        RandomAccess.Write(temporary.File, body, 0);
        store.Add(temporary, new EntryMetadata
        {
            Key = target.Key.Text,
            Size = body.Length,
            Digest = target.Digest!.Value.Hash,
            StoredAt = 1_700_000_000_000,
            Kind = target.Kind,
            Headers = [new("Content-Type", "application/octet-stream"), new("X-Multi", "a"), new("X-Multi", "b")],
        }).Release();
        await store.CommittedAsync();
        return target;
    }

    public static async Task<byte[]?> ReadAsync(CacheStore store, CacheTarget target)
    {
        if (await store.FindAsync(target, CancellationToken.None) is not { } body)
            return null;
        try
        {
            if (body.InMemory)
                return body.Bytes.ToArray();
            var bytes = new byte[body.Length];
            Assert.Equal(bytes.Length, body.Read(bytes, 0));
            return await body.Intact ? bytes : null;
        }
        finally
        {
            body.Release();
        }
    }

    public string FileOf(CacheTarget target) => Path.Join(Dir, target.Key.Hash.ToString());

    /// <summary>Flips one bit of an entry's body.</summary>
    public void Damage(CacheTarget target, int at)
    {
        using var file = File.OpenHandle(FileOf(target), FileMode.Open, FileAccess.ReadWrite);
        var one = new byte[1];
        RandomAccess.Read(file, one, at);
        one[0] ^= 1;
        RandomAccess.Write(file, one, at);
    }

    /// <summary>The names of all files under the directory, the snapshot aside.</summary>
    public string[] Files() =>
        [.. Directory.EnumerateFiles(Dir, "*", SearchOption.AllDirectories).Select(f => Path.GetRelativePath(Dir, f)).Where(f => f is not (".index" or ".lock" or ".owner")).Order()];

    public void Dispose() => Directory.Delete(Dir, recursive: true);
}
