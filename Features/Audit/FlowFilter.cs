using System.Globalization;
using System.Text.Json;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Audit;

/// <summary>Which flows somebody wants to see. What is not set lets everything pass.</summary>
internal sealed record FlowFilter
{
    public HostPattern? Host { get; init; }

    /// <summary>By name; <see cref="ProxyUsers.Unnamed"/>: those who have none.</summary>
    public string? Client { get; init; }

    /// <summary>404, or 4xx for all of a class.</summary>
    public string? Status { get; init; }

    /// <summary>Only what was blocked or refused.</summary>
    public bool OnlyBlocked { get; init; }

    /// <summary>Nothing that began before.</summary>
    public DateTimeOffset? Since { get; init; }

    /// <summary>Whether <see cref="Status"/> can be one.</summary>
    public static bool IsStatus(string text) =>
        text.Length == 3 && text[0] is >= '1' and <= '9' && (text[1..].Equals("xx", StringComparison.OrdinalIgnoreCase) || text.All(char.IsAsciiDigit));

    public bool Matches(JsonElement flow)
    {
        if (Host is { } pattern && !(flow.TryGetProperty("host", out var host) && CanonicalHost.TryParse(host.GetString() ?? "", out var name) && pattern.Matches(name)))
            return false;
        if (Client is { } client && client != (flow.TryGetProperty("client", out var whose) && whose.TryGetProperty("name", out var told) ? told.GetString() : ProxyUsers.Unnamed))
            return false;
        if (OnlyBlocked && !(flow.TryGetProperty("verdict", out var verdict) && !verdict.ValueEquals("allowed")))
            return false;
        if (Status is { } status && !(flow.TryGetProperty("status", out var code) && IsOf(code.GetInt32(), status)))
            return false;
        return Since is not { } since
            || (flow.TryGetProperty("time", out var time) && DateTimeOffset.TryParse(time.GetString(), CultureInfo.InvariantCulture, out var began) && began >= since);
    }

    private static bool IsOf(int code, string status)
    {
        var text = code.ToString(CultureInfo.InvariantCulture);
        return text == status || (char.ToLowerInvariant(status[1]) == 'x' && text[0] == status[0]);
    }
}
