using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;

namespace Discobot.Features.Cache.Warming;

/// <summary>An image's name as Docker reads it: <c>[host[:port]/]path[:tag][@digest]</c> (distribution/reference).</summary>
/// <param name="Host">Host and port of the registry's API; Docker Hub's is not its name.</param>
/// <param name="Repository">Path of the repository there.</param>
/// <param name="Reference">A digest where one is named, else a tag.</param>
internal sealed partial record ImageReference(string Host, string Repository, string Reference)
{
    private const int MaxLength = 1024;

    /// <summary>Docker asks registries of this machine without TLS.</summary>
    public string Scheme => Loopback().IsMatch(Host) ? "http" : "https";

    public bool IsByDigest => Reference.Contains(':', StringComparison.Ordinal);

    public string Address(string kind, string reference) => $"{Scheme}://{Host}/v2/{Repository}/{kind}/{reference}";

    public static bool TryParse(string text, [NotNullWhen(true)] out ImageReference? image)
    {
        image = null;
        if (text.Length > MaxLength || Shape().Match(text) is not { Success: true } parts)
            return false;
        var (name, tag, digest) = (parts.Groups["name"].Value, parts.Groups["tag"].Value, parts.Groups["digest"].Value);
        var slash = name.IndexOf('/', StringComparison.Ordinal);
        var first = slash < 0 ? "" : name[..slash];
        // The first part is a host when it could be nothing else: it has a dot or a port, or is localhost, or has capitals.
        var isHost = first.Contains('.', StringComparison.Ordinal) || first.Contains(':', StringComparison.Ordinal) || first == "localhost" || first.Any(char.IsAsciiLetterUpper);
        var (host, path) = isHost ? (first.ToLowerInvariant(), name[(slash + 1)..]) : ("docker.io", name);
        if (host is "docker.io" or "index.docker.io")
            (host, path) = ("registry-1.docker.io", path.Contains('/', StringComparison.Ordinal) ? path : "library/" + path);
        if (!Repositories().IsMatch(path))
            return false;
        image = new ImageReference(host, path, digest.Length > 0 ? digest : tag.Length > 0 ? tag : "latest");
        return true;
    }

    [GeneratedRegex(@"\A(?<name>(?:[A-Za-z0-9.\-]+(?::[0-9]{1,5})?/|\[[0-9A-Fa-f:]+\](?::[0-9]{1,5})?/)?[a-z0-9._/\-]+)(?::(?<tag>[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}))?(?:@(?<digest>sha256:[0-9a-f]{64}))?\z", RegexOptions.CultureInvariant)]
    private static partial Regex Shape();

    [GeneratedRegex(@"\A[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*\z", RegexOptions.CultureInvariant)]
    private static partial Regex Repositories();

    [GeneratedRegex(@"\A(?:localhost|127(?:\.[0-9]+){3}|\[::1\])(?::[0-9]+)?\z", RegexOptions.CultureInvariant)]
    private static partial Regex Loopback();
}
