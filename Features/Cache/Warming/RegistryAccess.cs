using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Discobot.Features.Cache.Warming;

/// <summary>Asks a registry, with the anonymous token that it wants where it wants one (distribution's token authentication).</summary>
[SuppressMessage("Design", "CA1001", Justification = "Its semaphore holds no handle.")]
internal sealed partial class RegistryAccess(WarmDownload downloads, ImageReference image, WarmMeter meter)
{
    private const int MaxToken = 256 << 10;
    private readonly SemaphoreSlim _asking = new(1);
    private string? _authorization;

    /// <summary>Reads a manifest.</summary>
    public async Task<byte[]> ReadAsync(WarmFile file, int most, CancellationToken cancel)
    {
        var sent = _authorization;
        using var answer = await downloads.ReadAsync(file, sent, most, meter, cancel);
        if (answer.Status == HttpStatusCode.OK)
            return answer.Body.ToArray();
        if (answer.Status != HttpStatusCode.Unauthorized)
            throw answer.Refused();
        await AuthorizeAsync(answer, sent, cancel);
        using var again = await downloads.ReadAsync(file, _authorization, most, meter, cancel);
        return again.Status == HttpStatusCode.OK ? again.Body.ToArray() : throw again.Refused();
    }

    /// <summary>Brings in a blob.</summary>
    public Task StoreAsync(WarmFile file, CancellationToken cancel) => downloads.StoreAsync(file, _authorization, meter, cancel);

    private async Task AuthorizeAsync(WarmAnswer refusal, string? sent, CancellationToken cancel)
    {
        await _asking.WaitAsync(cancel);
        try
        {
            // Another has got one meanwhile.
            if (_authorization == sent)
                _authorization = $"Bearer {await TokenAsync(refusal.Field("WWW-Authenticate"), cancel)}";
        }
        finally
        {
            _asking.Release();
        }
    }

    private async Task<string> TokenAsync(string challenge, CancellationToken cancel)
    {
        var parts = Parameters().Matches(challenge).DistinctBy(m => m.Groups[1].Value).ToDictionary(m => m.Groups[1].Value.ToLowerInvariant(), m => m.Groups[2].Value);
        if (!challenge.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) || !parts.TryGetValue("realm", out var realm))
            throw new WarmException($"{image.Host} wants a login; \"headers\" in the configuration can give it one");
        var scope = parts.GetValueOrDefault("scope") ?? $"repository:{image.Repository}:pull";
        var query = $"scope={Uri.EscapeDataString(scope)}" + (parts.TryGetValue("service", out var service) ? $"&service={Uri.EscapeDataString(service)}" : "");
        using var answer = await downloads.ReadAsync(
            new WarmFile($"{realm}{(realm.Contains('?', StringComparison.Ordinal) ? '&' : '?')}{query}", "application/json"), null, MaxToken, meter, cancel);
        if (answer.Status != HttpStatusCode.OK)
            throw answer.Refused();
        try
        {
            using var document = JsonDocument.Parse(answer.Body.ToArray());
            foreach (var name in (string[])["token", "access_token"])
            {
                if (document.RootElement.TryGetProperty(name, out var token) && token.GetString() is { Length: > 0 } text)
                    return text;
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // Told below.
        }

        throw new WarmException($"{answer.Address} gave no token");
    }

    [GeneratedRegex("""([A-Za-z_]+)="([^"]*)"?""", RegexOptions.CultureInvariant)]
    private static partial Regex Parameters();
}
