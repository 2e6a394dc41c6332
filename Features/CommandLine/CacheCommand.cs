using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Discobot.Features.Cache;
using Discobot.Features.Configuration;

namespace Discobot.Features.CommandLine;

/// <summary><c>discobot cache stats|clear|verify</c>: the first two ask the running proxy, the last reads the disk.</summary>
internal static class CacheCommand
{
    public static Command Create()
    {
        var api = new Option<Uri>("--api")
        {
            Description = "Where the proxy's API listens.",
            DefaultValueFactory = _ => new Uri($"http://127.0.0.1:{Environment.GetEnvironmentVariable("API_PORT") ?? "17081"}"),
        };
        var tokenFile = new Option<string?>("--token-file")
        {
            Description = "Holds the API's bearer token; needed where api.protect is all.",
        };
        var dir = new Option<string?>("--dir") { Description = "The cache's directory. Default: cache.dir of the configuration.", HelpName = "DIR" };
        var json = new Option<bool>("--json") { Description = "Write JSON." };

        var stats = new Command("stats", "Show what the cache answered, stored and holds.") { api, tokenFile, json };
        stats.SetAction((parsed, cancellation) => RunAsync(async () =>
        {
            var statistics = await AskAsync(
                HttpMethod.Get, "/api/cache/stats", parsed.GetRequiredValue(api), parsed.GetValue(tokenFile), CacheJson.Default.CacheStatistics, cancellation);
            Print(parsed.GetValue(json), statistics, CacheJson.Default.CacheStatistics, Describe);
            return ExitCode.Fine;
        }));
        var clear = new Command("clear", "Empty the cache. Downloads under way are not disturbed.") { api, tokenFile, json };
        clear.SetAction((parsed, cancellation) => RunAsync(async () =>
        {
            var cleared = await AskAsync(
                HttpMethod.Delete, "/api/cache", parsed.GetRequiredValue(api), parsed.GetValue(tokenFile), CacheJson.Default.CacheCleared, cancellation);
            Print(parsed.GetValue(json), cleared, CacheJson.Default.CacheCleared, _ => "The cache is empty.");
            return ExitCode.Fine;
        }));
        var verify = new Command("verify", "Read every stored body and compare it with its digest. Changes nothing.") { dir, json };
        verify.SetAction((parsed, _) => RunAsync(() =>
        {
            var findings = CacheVerification.Run(parsed.GetValue(dir) ?? ConfiguredDirectory());
            Print(parsed.GetValue(json), findings, CacheJson.Default.CacheFindings, Describe);
            return Task.FromResult(findings.Damaged.Count == 0 ? ExitCode.Fine : ExitCode.Failed);
        }));
        return new Command("cache", "What is stored: counters, emptying, checking.") { stats, clear, verify };
    }

    private static string ConfiguredDirectory()
    {
        var settings = SettingsSources.OfProcess().Load();
        return settings.Value?.Cache.Dir ?? throw new IOException(settings.ErrorText());
    }

    private static string Describe(CacheStatistics s) => string.Create(CultureInfo.InvariantCulture, $"""
        hits        {s.Hits} ({s.HitRate:P1} of requests)
        misses      {s.Misses} ({s.Shared} of them shared another client's download)
        stores      {s.Stores}
        evictions   {s.Evictions}
        errors      {s.Errors}
        entries     {s.Entries}
        size        {Size(s.CurrentSize)} of {Size(s.MaxSize)}
        served      {Size(s.BytesServed)}
        """);

    private static string Describe(CacheFindings f) => string.Join('\n',
    [
        string.Create(CultureInfo.InvariantCulture, $"{f.Dir}: {f.Entries} entries, {Size(f.Bytes)}, {f.Damaged.Count} damaged"),
        .. f.Damaged.Select(d => $"  {d.File}  {d.Reason}{(d.Key.Length > 0 ? $"  ({d.Key})" : "")}"),
    ]);

    private static string Size(long bytes) => bytes switch
    {
        >= 1L << 30 => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 30):0.0} GiB"),
        >= 1L << 20 => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 20):0.0} MiB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes} bytes"),
    };

    private static void Print<T>(bool json, T value, JsonTypeInfo<T> type, Func<T, string> describe) =>
        Console.Out.WriteLine(json ? JsonSerializer.Serialize(value, type) : describe(value));

    private static async Task<int> RunAsync(Func<Task<int>> action)
    {
        try
        {
            return await action();
        }
        catch (HttpRequestException e)
        {
            await Console.Error.WriteLineAsync($"discobot: no answer from the proxy: {e.Message}; is it running, and is --api right?");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            await Console.Error.WriteLineAsync($"discobot: {e.Message}");
        }

        return ExitCode.Failed;
    }

    private static async Task<T> AskAsync<T>(
        HttpMethod method, string path, Uri api, string? tokenFile, JsonTypeInfo<T> type, CancellationToken cancellation)
    {
        // The API is beside us: the environment's proxy is the very thing we ask about.
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { Timeout = TimeSpan.FromSeconds(30) };
        using var request = new HttpRequestMessage(method, new Uri(api, path));
        if (tokenFile is not null)
            request.Headers.Authorization = new("Bearer", (await File.ReadAllTextAsync(tokenFile, cancellation)).Trim());
        using var response = await client.SendAsync(request, cancellation);
        var body = await response.Content.ReadAsByteArrayAsync(cancellation);
        if (!response.IsSuccessStatusCode)
            throw new IOException($"{api} answered {(int)response.StatusCode}: {System.Text.Encoding.UTF8.GetString(body).Trim()}");
        return JsonSerializer.Deserialize(body, type) ?? throw new JsonException("the answer is empty");
    }
}
