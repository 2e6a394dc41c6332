using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Infrastructure.Config;

/// <summary>Paths, addresses, hosts, and secrets kept elsewhere.</summary>
internal sealed partial class ConfigNode
{
    /// <summary>A path; a relative one is made absolute by the current directory.</summary>
    [return: NotNullIfNotNull(nameof(fallback))]
    public string? AsPath(string? fallback = null)
    {
        if (AsString() is not { } path)
            return fallback;
        if (!path.Any(char.IsControl))
            return System.IO.Path.GetFullPath(path);
        Error("must be a path, without control characters");
        return fallback;
    }

    /// <summary>A list of at least one IP address to listen on; <c>0.0.0.0</c> and <c>::</c> are all of a family.</summary>
    public ImmutableArray<IPAddress> AsAddresses(ImmutableArray<IPAddress> fallback)
    {
        var list = AsList(fallback, node =>
        {
            if (node.AsString() is not { } text)
                return null;
            // The parser skips a port behind brackets.
            if (IPAddress.TryParse(text, out var address) && (!text.Contains('[') || text.EndsWith(']')) && (text.Contains(':') || text.Count(c => c == '.') == 3))
                return address;
            node.Error($"must be an IP address{(text.Contains(':') && IPEndPoint.TryParse(text, out _) ? " without a port, which has a key of its own" : "")}, as in 127.0.0.1 or ::1, not {ConfigPath.Quote(text)}");
            return null;
        });
        if (_value is { Kind: ConfigKind.List, Items.Count: 0 })
            Error("must name at least one IP address");
        return list;
    }

    /// <summary>A list of IP addresses and CIDR ranges.</summary>
    public ImmutableArray<IpRange> AsRanges(ImmutableArray<IpRange> fallback)
    {
        if (IsAbsent)
            return fallback;
        var ranges = ImmutableArray.CreateBuilder<IpRange>();
        foreach (var node in Items())
        {
            var text = node.IsAbsent ? "" : node.AsString();
            if (text is not null && IpRange.TryParse(text, out var range))
            {
                if (range.NetworkIfHostBits() is { } network)
                    node.Error($"{ConfigPath.Quote(text)} has bits beyond its prefix; write {network} for the range, or the address alone for one address");
                ranges.Add(range);
            }
            else if (text is not null)
                node.Error($"must be an IP address or a range, as in 10.1.2.3, 10.0.0.0/8 or fd00::/8, not {ConfigPath.Quote(text)}");
        }

        return ranges.ToImmutable();
    }

    /// <summary>A host pattern.</summary>
    /// <returns>Null when absent or, told as an error, none.</returns>
    public HostPattern? AsHostPattern() => AsString() is { } text ? ToHostPattern(text) : null;

    /// <summary>A host pattern that is written as the key of this node, as in <c>headers</c>.</summary>
    public HostPattern? ToHostPattern(string text)
    {
        if (HostPattern.TryParse(text, out var pattern))
            return pattern;
        Error($"must be a host: {HostPattern.Allowed}, not {ConfigPath.Quote(text)}");
        return null;
    }

    /// <summary>A value that may be kept elsewhere: <c>env:NAME</c>, <c>file:/path</c>, or written out. Errors never repeat it.</summary>
    /// <returns>Null when absent or, told as an error, unusable.</returns>
    public SecretText? AsSecret()
    {
        if (AsString() is not { } text)
            return null;
        if (SecretText.Reference(text) is { } reference)
            return reference;
        if (text.StartsWith("env:", StringComparison.Ordinal))
        {
            Error("must name an environment variable after env:, as in env:API_TOKEN");
            return null;
        }

        if (!text.StartsWith("file:", StringComparison.Ordinal))
        {
            if (SecretText.ReferenceInside(text) is { } looksLike)
                Error($"is taken as it is written, \"{looksLike}\" and all; to keep it elsewhere, the whole value must be env:NAME or file:/path");
            return new SecretText(SecretSource.Literal, text);
        }

        Error("must name a file by its absolute path after file:, as in file:/run/secrets/token");
        return null;
    }
}
