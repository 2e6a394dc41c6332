using System.Net;

namespace Discobot.Infrastructure.Hosts;

/// <summary>Ranges prebuilt for matching: one dictionary lookup per prefix length in use. Immutable once built.</summary>
internal sealed class IpRangeSet
{
    private readonly (int Length, Dictionary<UInt128, IpRange> Ranges)[] _byLength;

    public IpRangeSet(IEnumerable<IpRange> ranges)
    {
        // Longest first: the narrowest range is the one worth naming.
        _byLength = [.. ranges.GroupBy(r => r.PrefixLength).OrderByDescending(g => g.Key)
            .Select(g => (g.Key, g.DistinctBy(r => r.Bits).ToDictionary(r => r.Bits)))];
    }

    public bool IsEmpty => _byLength.Length == 0;

    /// <summary>The narrowest range that holds the address.</summary>
    public bool TryFind(IPAddress address, out IpRange range)
    {
        var bits = IpRange.ToBits(address);
        var mapped = IpRange.IsMapped(bits);
        foreach (var (length, ranges) in _byLength)
        {
            if (mapped && length < IpRange.MappedLength)
                break;
            if (ranges.TryGetValue(bits & IpRange.Mask(length), out range))
                return true;
        }

        range = default;
        return false;
    }

    public bool Contains(IPAddress address) => TryFind(address, out _);
}
