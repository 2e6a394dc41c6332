using System.Net.Security;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Certificates;

/// <summary>
/// The certificates shown to intercepted clients: one per host, minted when it is first asked for, kept ready for handshakes (with
/// the session tickets of its context), the least recently used dropped when there are too many.
/// </summary>
internal sealed class LeafCertificates : ILeafSource, IDisposable
{
    /// <summary>How many hosts are kept unless told otherwise: each takes about 17 KB in OpenSSL, minting it again a millisecond.</summary>
    public const int DefaultCapacity = 1_000;

    // A certificate is renewed this long before it expires: no handshake may show one that a client then finds expired.
    private static readonly TimeSpan RenewBefore = TimeSpan.FromDays(1);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, LinkedListNode<Entry>> _entries = new(StringComparer.OrdinalIgnoreCase);
    private readonly LinkedList<Entry> _byUse = new(); // most recent first
    private readonly LeafMint _mint;
    private readonly TimeProvider _clock;
    private readonly int _capacity;
    private long _minted;

    public LeafCertificates(CertificateAuthority authority, TimeProvider clock, int capacity = DefaultCapacity, Uri? revocationList = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        _mint = new LeafMint(authority, revocationList);
        _clock = clock;
        _capacity = capacity;
    }

    /// <summary>How many certificates were minted since the start.</summary>
    public long Minted => Interlocked.Read(ref _minted);

    /// <summary>How many hosts are held now.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
                return _entries.Count;
        }
    }

    /// <summary>
    /// The certificate of <paramref name="host"/>, ready for <see cref="SslServerAuthenticationOptions.ServerCertificateContext"/>.
    /// Completes synchronously for hosts that are held, and for the caller that mints (about a millisecond); callers that ask for the
    /// same host meanwhile wait for that one.
    /// </summary>
    /// <param name="host">A name, also in Unicode, or an address; the case and a trailing dot do not matter.</param>
    /// <param name="cancellationToken">Ends the wait, not the minting.</param>
    /// <exception cref="ArgumentException">No certificate can name the host.</exception>
    public ValueTask<SslStreamCertificateContext> GetAsync(string host, CancellationToken cancellationToken)
    {
        Entry entry;
        bool ours;
        lock (_lock)
            (entry, ours) = FindOrAdd(host);
        if (ours)
            Mint(entry);
        return entry.Context.IsCompletedSuccessfully
            ? new ValueTask<SslStreamCertificateContext>(entry.Context.Result)
            : new ValueTask<SslStreamCertificateContext>(entry.Context.WaitAsync(cancellationToken));
    }

    public void Dispose() => _mint.Dispose();

    private (Entry Entry, bool Ours) FindOrAdd(string host)
    {
        var now = _clock.GetUtcNow();
        if (_entries.TryGetValue(host, out var node))
        {
            if (now < node.Value.RenewAt)
            {
                _byUse.Remove(node);
                _byUse.AddFirst(node);
                return (node.Value, false);
            }

            Remove(node);
        }

        var end = _mint.Expiry(now);
        var entry = new Entry(host, now, end - now > 2 * RenewBefore ? end - RenewBefore : end);
        _entries.Add(host, _byUse.AddFirst(entry));
        if (_entries.Count > _capacity)
            Remove(_byUse.Last!); // not disposed: a handshake may be using it
        return (entry, true);
    }

    private void Mint(Entry entry)
    {
        try
        {
            entry.Complete(_mint.Mint(LeafName.Canonical(entry.Host), entry.Created));
            Interlocked.Increment(ref _minted);
        }
        catch (Exception e)
        {
            // Whatever it was: those who wait get it, and the next one tries again.
            lock (_lock)
            {
                if (_entries.TryGetValue(entry.Host, out var node) && node.Value == entry)
                    Remove(node);
            }

            entry.Fail(e);
        }
    }

    private void Remove(LinkedListNode<Entry> node)
    {
        _entries.Remove(node.Value.Host);
        _byUse.Remove(node);
    }

    private sealed class Entry(string host, DateTimeOffset created, DateTimeOffset renewAt)
    {
        private readonly TaskCompletionSource<SslStreamCertificateContext> _context =
            new(TaskCreationOptions.RunContinuationsAsynchronously);

        public string Host => host;

        public DateTimeOffset Created => created;

        public DateTimeOffset RenewAt => renewAt;

        public Task<SslStreamCertificateContext> Context => _context.Task;

        public void Complete(SslStreamCertificateContext context) => _context.SetResult(context);

        public void Fail(Exception reason)
        {
            _context.SetException(reason);
            _ = _context.Task.Exception; // observed, though nobody else may wait
        }
    }
}
