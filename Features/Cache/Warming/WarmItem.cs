using System.Text.Json.Serialization;

namespace Discobot.Features.Cache.Warming;

/// <summary>One thing to bring into the cache: an image, files of a package, or what a Python index lists of one version.</summary>
/// <param name="Name">What people call it.</param>
/// <param name="Image">An image's reference.</param>
/// <param name="Files">Addresses to fetch, in this order.</param>
/// <param name="Python">A version of a Python project.</param>
internal sealed record WarmItem(
    [property: JsonPropertyName("name")] string Name,
    [property: JsonPropertyName("image")] string? Image = null,
    [property: JsonPropertyName("files")] IReadOnlyList<WarmFile>? Files = null,
    [property: JsonPropertyName("python")] PythonVersion? Python = null);

/// <summary>An address, what the package manager says to it, as indexes answer by these fields, and what the lockfile says of its bytes (<see cref="Hashes.Integrity"/>).</summary>
internal sealed record WarmFile(
    [property: JsonPropertyName("url")] string Url,
    [property: JsonPropertyName("accept")] string? Accept = null,
    [property: JsonPropertyName("accept_encoding")] string? AcceptEncoding = null,
    [property: JsonPropertyName("user_agent")] string? UserAgent = null,
    [property: JsonPropertyName("integrity")] string? Integrity = null);

/// <param name="Index">The project's page of the simple index (PEP 503).</param>
/// <param name="Version">The one that is pinned.</param>
/// <param name="Hashes">SHA-256 digests of the files that are meant; none for all of the version.</param>
internal sealed record PythonVersion(
    [property: JsonPropertyName("index")] string Index,
    [property: JsonPropertyName("version")] string Version,
    [property: JsonPropertyName("hashes")] IReadOnlyList<string> Hashes);

/// <param name="Items">What to bring.</param>
/// <param name="Platform">As in <c>linux/arm64</c>; null for this machine's.</param>
internal sealed record WarmRequest(
    [property: JsonPropertyName("items")] IReadOnlyList<WarmItem>? Items,
    [property: JsonPropertyName("platform")] string? Platform);

/// <summary>How far one item is.</summary>
/// <param name="Item">Its place among those that were asked for, from 0.</param>
/// <param name="Name">As it was asked for.</param>
/// <param name="State"><c>running</c>, <c>stored</c>, <c>here</c> (nothing had to be fetched) or <c>failed</c>.</param>
/// <param name="Bytes">Received so far.</param>
/// <param name="Total">To be received, as far as is known; 0 for not yet.</param>
/// <param name="Reason">Why it failed.</param>
internal sealed record WarmProgress(
    [property: JsonPropertyName("item")] int Item,
    [property: JsonPropertyName("name")] string Name,
    [property: JsonPropertyName("state")] string State,
    [property: JsonPropertyName("bytes")] long Bytes,
    [property: JsonPropertyName("total")] long Total,
    [property: JsonPropertyName("reason")] string? Reason);

/// <summary>Why an item cannot be brought in, in a sentence.</summary>
internal sealed class WarmException(string reason) : Exception(reason);

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(WarmRequest))]
[JsonSerializable(typeof(WarmProgress))]
[JsonSerializable(typeof(WarmStanding))]
internal sealed partial class WarmJson : JsonSerializerContext;
