using System.Text.Json.Serialization;

namespace Discobot.Features.Allowlist.Learning;

/// <summary>What <c>GET /api/allowlist/learned</c> answers.</summary>
/// <param name="Hosts">Sorted by name.</param>
/// <param name="Addresses">Non-public addresses that names resolved to.</param>
/// <param name="Incomplete">More passed than is remembered.</param>
/// <param name="Learning">Whether the proxy is in learn mode now.</param>
internal sealed record LearnedReport(
    IReadOnlyList<LearnedHost> Hosts, IReadOnlyList<string> Addresses, bool Incomplete, bool Learning = false);

/// <param name="Host">Canonical name or address.</param>
/// <param name="Literal">Whether it is an address.</param>
/// <param name="Blind">Whether a tunnel went there that nobody looked into.</param>
/// <param name="Methods">What was asked inside; empty when only tunnels were seen.</param>
internal sealed record LearnedHost(string Host, bool Literal, bool Blind, IReadOnlyList<LearnedMethod> Methods)
{
    /// <summary>Ports at which something else than HTTP and TLS was spoken; null when there are none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? Ports { get; init; }
}

/// <param name="Method">As sent.</param>
/// <param name="Paths">As sent, without query, sorted.</param>
/// <param name="More">There were more paths than are remembered.</param>
internal sealed record LearnedMethod(string Method, IReadOnlyList<string> Paths, bool More);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(LearnedReport))]
internal sealed partial class LearnedJson : JsonSerializerContext;
