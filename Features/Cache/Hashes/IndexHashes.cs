using System.Buffers;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.RegularExpressions;
using Discobot.Features.Cache.Revalidation;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Hashes;

/// <summary>
/// What the indexes that pass say of the hashes of files. They are read beside their answers, one at a time; what they name is in force before a client
/// that has an index to its end can ask for a file of it. An index speaks of files of its own origin, and the public ones of those that lie beside
/// them: nobody's index makes another's files look wrong.
/// </summary>
internal sealed partial class IndexHashes(TimeProvider time)
{
    private const int Remembered = 32_768;
    private const int MostWaiting = 64;
    private const int MaxDocument = 32 << 20;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly RecentTable<string?> _named = new(Remembered);
    private readonly RecentTable<bool> _compared = new(Remembered);
    private readonly Lock _lock = new();
    private Task _reading = Task.CompletedTask;
    private int _waiting;

    /// <summary>Reads an index that is on its way to a client, unless it is one that was read already.</summary>
    /// <param name="rule">The rule that names its address.</param>
    /// <param name="request">What it answers.</param>
    /// <param name="document">It; the caller keeps it open only for this call.</param>
    public void Read(CacheRule rule, ProxiedRequest request, StoredBody document)
    {
        if (rule.Mode != CacheMode.Revalidate || rule.IsRedirected || rule.Ecosystem is not ("npm" or "pypi" or "crates")
            || document.Record.Metadata.Status != 200 || document.Length is 0 or > MaxDocument)
            return;
        var marker = Hash256.Of($"{document.Entry.Key} {document.Digest}");
        lock (_lock)
        {
            if (_named.TryFind(marker, out _) || _waiting == MostWaiting || !document.TryAcquire())
                return;
            _waiting++;
            // Added before what it names, so that it is not remembered longer.
            _named.Add(marker, null);
            _reading = ReadAfterAsync(_reading, rule.Ecosystem, request, document);
        }
    }

    /// <summary>What is said of a file; null where nothing is. Waits for indexes that have just passed.</summary>
    public async ValueTask<Integrity?> OfAsync(CacheRule rule, ProxiedRequest request, CancellationToken cancel)
    {
        if (!MayBeNamed(rule, request))
            return null;
        Task reading;
        lock (_lock)
            reading = _reading;
        if (!reading.IsCompleted)
            await reading.WaitAsync(Patience, time, cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
        cancel.ThrowIfCancellationRequested();
        return Find(rule, request);
    }

    /// <summary>What is said of a file by indexes that have been read; null where nothing is.</summary>
    public Integrity? Find(CacheRule rule, ProxiedRequest request)
    {
        if (!MayBeNamed(rule, request))
            return null;
        var name = rule.Ecosystem == "crates" ? CrateOf(request.Path) : Uri.UnescapeDataString(request.Path);
        return name is not null && _named.TryFind(KeyOf(CacheKey.OriginOf(request), name), out var integrity) ? Integrity.Parse(integrity) : null;
    }

    private bool MayBeNamed(CacheRule rule, ProxiedRequest request) =>
        rule is { Mode: CacheMode.Immutable, Ecosystem: "npm" or "pypi" or "crates" } && !_named.IsEmpty && request.Path.Length == request.PathAndQuery.Length;

    /// <summary>The same as <see cref="IsMetByAsync"/> without a use of the file; blocks for the disk.</summary>
    public bool IsMetBy(CacheStore store, CacheEntry entry, EntryMetadata record, Integrity integrity)
    {
        if (record.Header("Content-Encoding") is not null)
            return true;
        var key = KeyOf($"sha256:{entry.Digest}", integrity.ToString());
        if (_compared.TryFind(key, out var met))
            return met;
        if (store.DigestOf(entry, integrity.Algorithm) is not { } digest)
            return true;
        met = integrity.IsMetBy(digest);
        _compared.Add(key, met);
        return met;
    }

    /// <summary>Whether a stored file is what is said of it. Of one that is packed for the way that is not known, and it counts as right.</summary>
    public async ValueTask<bool> IsMetByAsync(StoredBody body, Integrity integrity, CancellationToken cancel)
    {
        if (body.Record.Metadata.Header("Content-Encoding") is not null)
            return true;
        var key = KeyOf(body.Digest, integrity.ToString());
        if (_compared.TryFind(key, out var met))
            return met;
        met = await Task.Run(() => integrity.IsMetBy(DigestOf(body, integrity.Algorithm)), cancel);
        _compared.Add(key, met);
        return met;
    }

    /// <summary>A file came in, and was compared on the way.</summary>
    public void Met(StoredBody body, Integrity integrity) => _compared.Add(KeyOf(body.Digest, integrity.ToString()), true);

    private async Task ReadAfterAsync(Task before, string ecosystem, ProxiedRequest request, StoredBody document)
    {
        await before.ConfigureAwait(ConfigureAwaitOptions.ForceYielding | ConfigureAwaitOptions.SuppressThrowing);
        try
        {
            await Task.Run(() => Remember(ecosystem, request, document));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or InvalidDataException || DiskFailure.Is(e))
        {
            // An index that cannot be read says nothing.
        }
        finally
        {
            document.Release();
            lock (_lock)
                _waiting--;
        }
    }

    private void Remember(string ecosystem, ProxiedRequest request, StoredBody document)
    {
        var origin = CacheKey.OriginOf(request);
        var address = new Uri($"{request.Scheme}://{request.Authority}{request.Path}");
        foreach (var (url, integrity) in IndexDocument.Read(ecosystem, Unpacked(document).Span).TakeLast(Remembered - 1))
        {
            foreach (var (owner, name) in Owners(ecosystem, origin, address, url))
                _named.Add(KeyOf(owner, name), integrity);
        }
    }

    private static IEnumerable<(string Origin, string Name)> Owners(string ecosystem, string origin, Uri address, string url)
    {
        if (ecosystem == "crates")
            return origin == "index.crates.io" ? [("static.crates.io", url), ("crates.io", url)] : [(origin, url)];
        if (!Uri.TryCreate(address, url, out var file) || file.Scheme is not ("http" or "https"))
            return [];
        var name = Uri.UnescapeDataString(file.AbsolutePath);
        // Clients of a mirror ask it for what the registry's own documents name (npm, replace-registry-host).
        if (ecosystem == "npm" || (file.Scheme == address.Scheme && file.Authority == address.Authority))
            return [(origin, name)];
        return origin == "pypi.org" && file is { Scheme: "https", Authority: "files.pythonhosted.org" } ? [("files.pythonhosted.org", name)] : [];
    }

    private static ReadOnlyMemory<byte> Unpacked(StoredBody document)
    {
        var packed = new byte[document.Length];
        for (var at = 0; at < packed.Length;)
        {
            if (document.Read(packed.AsSpan(at), at) is not (var read and > 0))
                throw new IOException("it was truncated");
            at += read;
        }

        if (document.Record.Metadata.Header("Content-Encoding") is not { } coding)
            return packed;
        using var sent = new MemoryStream(packed);
        using var unpacking = ContentCodings.Decoding(sent, coding) ?? sent;
        var text = new MemoryStream();
        var buffer = new byte[64 << 10];
        while (unpacking.Read(buffer) is var read and > 0)
        {
            if (text.Length + read > MaxDocument)
                throw new InvalidDataException("it is too large");
            text.Write(buffer, 0, read);
        }

        return text.GetBuffer().AsMemory(0, (int)text.Length);
    }

    private static byte[] DigestOf(StoredBody body, HashAlgorithmName algorithm)
    {
        using var hash = IncrementalHash.CreateHash(algorithm);
        var buffer = ArrayPool<byte>.Shared.Rent(256 << 10);
        try
        {
            for (long at = 0; at < body.Length && body.Read(buffer, at) is var read and > 0; at += read)
                hash.AppendData(buffer, 0, read);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return hash.GetHashAndReset();
    }

    private static Hash256 KeyOf(string owner, string name) => Hash256.Of($"{owner} {name}");

    private static string? CrateOf(string path)
    {
        var match = Crate().Match(path);
        if (!match.Success)
            return null;
        var (name, rest) = (match.Groups[1].Value, match.Groups[2].Value);
        return match.Groups[3].Length > 0 ? $"{name.ToLowerInvariant()}/{Uri.UnescapeDataString(match.Groups[3].Value)}"
            : rest.StartsWith(name + "-", StringComparison.OrdinalIgnoreCase) ? $"{name.ToLowerInvariant()}/{Uri.UnescapeDataString(rest[(name.Length + 1)..])}"
            : null;
    }

    [GeneratedRegex(@"/([A-Za-z0-9_-]{1,64})/(?:([^/]+)\.crate|([0-9][^/]*)/download)$", RegexOptions.CultureInvariant)]
    private static partial Regex Crate();
}
