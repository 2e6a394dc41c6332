using Discobot.Features.Packages.Documents;

namespace Discobot.Features.Packages.Crates;

/// <summary>A crate's file in a sparse index: a line of JSON for each version, with <c>pubtime</c> when it was published.</summary>
internal sealed class IndexFile
{
    private readonly List<(string Version, DateTimeOffset? Published, ReadOnlyMemory<byte> Line)> _lines = [];

    private IndexFile()
    {
    }

    /// <summary>Reads a file. A line that cannot be read is none; a file without any other is another file.</summary>
    public static IndexFile? Read(ReadOnlyMemory<byte> text)
    {
        var file = new IndexFile();
        while (!text.IsEmpty)
        {
            var end = text.Span.IndexOf((byte)'\n');
            var line = end < 0 ? text : text[..(end + 1)];
            text = text[line.Length..];
            if (JsonMembers.TryRead(line, out var members) && members.Text("vers") is { Length: > 0 } version && members["cksum"] is not null)
                file._lines.Add((version, members.Time("pubtime"), line));
        }

        return file._lines.Count > 0 ? file : null;
    }

    public Dictionary<string, DateTimeOffset?> Times()
    {
        var times = new Dictionary<string, DateTimeOffset?>();
        foreach (var (version, published, _) in _lines)
            times[version] = published;
        return times;
    }

    /// <summary>The lines of the versions that are shown, as they came.</summary>
    public byte[] Without(Func<DateTimeOffset?, bool> shows)
    {
        using var left = new MemoryStream();
        var times = Times();
        foreach (var (version, _, line) in _lines)
        {
            if (shows(times[version]))
                left.Write(line.Span);
        }

        return left.ToArray();
    }
}
