using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Discobot.Features.Cache;
using Discobot.Features.Cache.Shared;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot cache stats|clear|verify</c>: the first two ask the running proxy, the last reads the disk.</summary>
internal static class CacheCommand
{
    public static Command Create()
    {
        var api = new RunningApi();
        var dir = new Option<string?>("--dir") { Description = "The cache's directory (cache.dir). Without it: that of the proxy that runs here.", HelpName = "DIR" };
        var json = new Option<bool>("--json") { Description = "Print JSON." };

        var stats = new Command("stats", "Show what the cache answered, stored and holds.") { json };
        api.AddTo(stats);
        stats.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            var statistics = await api.AskAsync(parsed, HttpMethod.Get, "/api/cache/stats", CacheJson.Default.CacheStatistics, cancellation);
            Print(parsed, json, statistics, CacheJson.Default.CacheStatistics, Describe);
            return ExitCode.Fine;
        }));
        var clear = new Command("clear", "Empty the cache. Downloads under way are not disturbed.") { json };
        api.AddTo(clear);
        clear.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            var cleared = await api.AskAsync(parsed, HttpMethod.Delete, "/api/cache", CacheJson.Default.CacheCleared, cancellation);
            Print(parsed, json, cleared, CacheJson.Default.CacheCleared, _ => "The cache is empty.");
            return ExitCode.Fine;
        }));
        var verify = new Command("verify", "Read every stored body and compare it with its digest. Changes nothing.") { dir, json };
        api.AddTo(verify);
        verify.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            var path = parsed.GetValue(dir) ?? await FindAsync(api, parsed, cancellation);
            var findings = Path.Exists(path) || parsed.GetValue(dir) is not null ? CacheVerification.Run(path) : new CacheFindings(path, 0, 0, []);
            Print(parsed, json, findings, CacheJson.Default.CacheFindings, Describe);
            return findings.Damaged.Count == 0 ? ExitCode.Fine : ExitCode.Failed;
        }));
        var command = new Command("cache", "What is stored: listing, counters, emptying, checking.") { stats, clear, verify };
        command.Subcommands.Add(CacheWarmCommand.Create(json));
        foreach (var further in CacheContentsCommand.Create(json))
            command.Subcommands.Add(further);
        return command;
    }

    // The proxy that runs knows; it is only read from there.
    private static async Task<string> FindAsync(RunningApi api, ParseResult parsed, CancellationToken cancellation)
    {
        if (api.Config(parsed) is { } config)
            return ChosenProxy.Find(config).State.CacheDir;
        try
        {
            var settings = await api.AskAsync(parsed, HttpMethod.Get, "/api/config", RunningApi.AnyJson, cancellation);
            return settings.GetProperty("cache").GetProperty("dir").GetString()!;
        }
        catch (Exception e) when (e is HttpRequestException or IOException or JsonException && !api.HasAddress(parsed))
        {
            return ChosenProxy.Find().State.CacheDir;
        }
    }

    private static string Describe(CacheStatistics s) => string.Create(CultureInfo.InvariantCulture, $"""
        hits        {s.Hits} ({s.HitRate:P1} of requests)
        misses      {s.Misses} ({s.Shared} of them shared another client's download)
        stores      {s.Stores}
        evictions   {s.Evictions}
        errors      {s.Errors}
        entries     {s.Entries}
        bodies      {Size(s.CurrentSize)}
        on disk     {Size(s.DiskSize)} of {Size(s.MaxSize)}
        served      {Size(s.BytesServed)}
        """) + (s.SharedVolume is { } shared ? "\n" + Describe(shared) : "") + (s.Remote is { } remote ? "\n" + Describe(remote) : "");

    private static string Describe(RemoteStatistics r) => string.Create(CultureInfo.InvariantCulture, $"""
        remote      {(r.Away ? "left alone for a while" : "asked")}: {r.Hits} hits ({Size(r.BytesRead)}), {r.Absent} absent, {r.Denied} denied, {r.Slow} slow, {r.Unavailable} unavailable, {r.Wrong} wrong, {r.NotAsked} not asked
        uploads     {r.Uploads} ({Size(r.BytesUploaded)}), {r.ThereAlready} there already, {r.Waiting} waiting ({Size(r.WaitingBytes)}), {r.UploadFailures} failures, {r.Dropped} dropped
        """);

    private static string Describe(SharedStatistics s) => string.Create(CultureInfo.InvariantCulture, $"""
        shared      {s.Path}{(s.Problem is { } problem ? $": {problem}" : "")}
          read      {s.Read}, and {s.Followed} while another container downloaded them
          placed    {s.Placed} ({s.TakenOver} of them begun by a container that died)
          wrong     {s.Wrong}
          evicted   {s.Evicted} ({(s.Evicts ? "this container evicts" : "another container evicts")})
          size      {Size(s.Size)} of {Size(s.MaxSize)}, {s.Bodies} bodies
        """);

    private static string Describe(CacheFindings f) => string.Join('\n',
    [
        f.Entries == 0 && f.Damaged.Count == 0 ? $"{f.Dir}: nothing is stored yet"
            : string.Create(CultureInfo.InvariantCulture, $"{f.Dir}: {f.Entries} entries, {Size(f.Bytes)}, {f.Damaged.Count} damaged"),
        .. f.Damaged.Select(d => $"  {d.File}  {d.Reason}{(d.Key.Length > 0 ? $"  ({d.Key})" : "")}"),
    ]);

    public static string Size(long bytes) => bytes switch
    {
        >= 1L << 30 => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 30):0.0} GiB"),
        >= 1L << 20 => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 20):0.0} MiB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes} bytes"),
    };

    private static void Print<T>(ParseResult parsed, Option<bool> json, T value, JsonTypeInfo<T> type, Func<T, string> describe) =>
        parsed.InvocationConfiguration.Output.WriteLine(parsed.GetValue(json) ? JsonSerializer.Serialize(value, type) : describe(value));
}
