using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Discobot.Features.Cache.Warming;

/// <summary>Brings in what pip asks for of a pinned version: the project's page, and the files of the version that fit the platform.</summary>
internal sealed partial class PythonWarming(WarmDownload downloads, WarmPlatform platform)
{
    private const int MaxIndex = 64 << 20;

    // What pip says: the page is answered by that.
    private const string Accept = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01";

    public async Task WarmAsync(PythonVersion version, WarmMeter meter, CancellationToken cancel)
    {
        using var page = await downloads.ReadAsync(new WarmFile(version.Index, Accept, "gzip, deflate", "pip/?"), null, MaxIndex, meter, cancel);
        if (page.Status != HttpStatusCode.OK)
            throw page.Refused();
        var chosen = Choose([.. Files(page, new Uri(version.Index))], version, platform);
        if (chosen.Count == 0)
            throw new WarmException($"{version.Index} lists no file of {version.Version} for {platform}{(version.Hashes.Count > 0 ? " with one of the hashes" : "")}");
        foreach (var file in chosen)
        {
            await downloads.StoreAsync(new WarmFile(file.Url, "*/*", "identity", "pip/?", Integrity.OfHex("sha256", file.Sha256)), null, meter, cancel);
            if (file.HasMetadata)
                await downloads.StoreAsync(new WarmFile(file.Url.Split('#')[0] + ".metadata", "*/*", "identity", "pip/?"), null, meter, cancel);
        }
    }

    /// <summary>Wheels that fit, of whatever version of Python; where there is none, the source.</summary>
    public static IReadOnlyList<PythonFile> Choose(IReadOnlyList<PythonFile> files, PythonVersion version, WarmPlatform platform)
    {
        var meant = files.Where(f => VersionOf(f.Name) is { } v && Same(v, version.Version) && (version.Hashes.Count == 0 || version.Hashes.Contains(f.Sha256))).ToArray();
        var wheels = meant.Where(f => f.Name.EndsWith(".whl", StringComparison.Ordinal)).ToArray();
        var fitting = wheels.Where(f => Fits(f.Name, platform)).ToArray();
        return fitting.Length > 0 ? fitting : [.. meant.Except(wheels)];
    }

    private static IEnumerable<PythonFile> Files(WarmAnswer page, Uri index)
    {
        var text = Decoded(page);
        if (page.Response.Content.Headers.ContentType?.MediaType?.EndsWith("json", StringComparison.Ordinal) != true)
        {
            return Link().Matches(text).Select(m => (Href: WebUtility.HtmlDecode(m.Groups[1].Value), Tag: m.Value)).Select(a => new PythonFile(
                Uri.UnescapeDataString(a.Href.Split('#', '?')[0].Split('/')[^1]), new Uri(index, a.Href.Split('#')[0]).AbsoluteUri,
                Fragment().Match(a.Href).Groups[1].Value, Metadata().IsMatch(a.Tag)));
        }

        try
        {
            using var document = JsonDocument.Parse(text);
            return [.. document.RootElement.GetProperty("files").EnumerateArray().Select(f => new PythonFile(
                f.GetProperty("filename").GetString()!, new Uri(index, f.GetProperty("url").GetString()).AbsoluteUri,
                f.TryGetProperty("hashes", out var hashes) && hashes.TryGetProperty("sha256", out var hash) ? hash.GetString()! : "",
                IsTold(f, "core-metadata") || IsTold(f, "dist-info-metadata") || IsTold(f, "data-dist-info-metadata")))];
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or UriFormatException)
        {
            throw new WarmException($"{index} is no index of a project: {e.Message}");
        }
    }

    private static bool IsTold(JsonElement file, string name) => file.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.True or JsonValueKind.Object;

    private static string Decoded(WarmAnswer page)
    {
        page.Body.Position = 0;
        using var stream = ContentCodings.Decoding(page.Body, string.Concat(page.Response.Content.Headers.ContentEncoding)) ?? page.Body;
        using var reader = new StreamReader(stream, Encoding.UTF8);
        var text = new StringBuilder();
        var buffer = new char[16 << 10];
        while (reader.ReadBlock(buffer, 0, Math.Min(buffer.Length, MaxIndex - text.Length)) is var read and > 0)
            text.Append(buffer, 0, read);
        return text.ToString();
    }

    // Both forms have the version second; a source's name may have hyphens of its own, its version has none.
    private static string? VersionOf(string name) =>
        name.EndsWith(".whl", StringComparison.Ordinal) ? name.Split('-') is [_, var version, _, _, ..] ? version : null
        : Source().Match(name) is { Success: true } match ? match.Groups[1].Value : null;

    private static bool Same(string a, string b) => Plain(a) == Plain(b);

    // PEP 440: 1.0 and 1.0.0 are one version.
    private static string Plain(string version) => TrailingZeros().Replace(version.ToLowerInvariant().TrimStart('v'), "");

    private static bool Fits(string wheel, WarmPlatform platform)
    {
        var tags = wheel[..^".whl".Length].Split('-')[^1].Split('.');
        var machine = platform.Architecture switch { "amd64" => "x86_64", "arm64" => "aarch64", "386" => "i686", "arm" => "armv7l", var other => other };
        return tags.Any(t => t == "any" || (platform.System == "linux" && t.Contains("linux", StringComparison.Ordinal) && t.EndsWith(machine, StringComparison.Ordinal)));
    }

    [GeneratedRegex("""<a\s[^>]*?href\s*=\s*["']([^"']+)["'][^>]*>""", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Link();

    [GeneratedRegex(@"#(?:.*&)?sha256=([0-9a-f]{64})", RegexOptions.CultureInvariant)]
    private static partial Regex Fragment();

    [GeneratedRegex(@"data-(?:core|dist-info)-metadata\s*=\s*[""']?(?!false)", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Metadata();

    [GeneratedRegex(@"-([^-]+)\.(?:tar\.gz|zip|tar\.bz2|tgz)$", RegexOptions.CultureInvariant)]
    private static partial Regex Source();

    [GeneratedRegex(@"(?:\.0)+$", RegexOptions.CultureInvariant)]
    private static partial Regex TrailingZeros();
}

/// <summary>A file as an index lists it.</summary>
internal sealed record PythonFile(string Name, string Url, string Sha256, bool HasMetadata);
