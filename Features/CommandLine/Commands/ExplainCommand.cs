using System.CommandLine;
using System.Text.Json;
using Discobot.Features.Api;
using Discobot.Features.Cache;
using Discobot.Features.Headers;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot explain URL</c>: what the running proxy would do with a request, stage by stage, without sending it.</summary>
internal static class ExplainCommand
{
    public static Command Create()
    {
        var api = new RunningApi();
        var url = new Argument<string>("URL") { Description = "The address, as in https://example.com/path." };
        var method = new Option<string>("--method", "-X") { Description = "The HTTP method.", DefaultValueFactory = _ => "GET" };
        var json = new Option<bool>("--json") { Description = "Write JSON." };
        var command = new Command("explain", "Tell what the proxy would do with a request, without sending it.") { url, method, json };
        api.AddTo(command);
        command.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            var path = $"/api/explain?url={Uri.EscapeDataString(parsed.GetRequiredValue(url))}"
                + $"&method={Uri.EscapeDataString(parsed.GetRequiredValue(method))}";
            var explanation = await api.AskAsync(parsed, HttpMethod.Get, path, ApiJson.Readable.Explanation, cancellation);
            parsed.InvocationConfiguration.Output.WriteLine(parsed.GetValue(json)
                ? JsonSerializer.Serialize(explanation, ApiJson.Readable.Explanation) : string.Join('\n', Describe(explanation)));
            return ExitCode.Fine;
        }));
        return command;
    }

    private static IEnumerable<string> Describe(Explanation e) =>
    [
        $"request    {e.Method} {e.Url}",
        $"outcome    {Outcome(e.Outcome)}",
        $"host       {e.Host} ({e.Interception switch { "plain" => "plain HTTP", "inspected" => "TLS, inspected", _ => "TLS, not opened: tls.passthrough" }})",
        $"allowlist  {(e.Allowlist.Allowed ? "allowed" : "refused")} by {e.Allowlist.Rule} (mode {e.Allowlist.Mode})",
        .. e.Allowlist.Reason is { } reason ? [$"           {reason}"] : Array.Empty<string>(),
        $"cache      {(e.Cache is { } cache ? Describe(cache) : "not asked: nobody looks into the tunnel")}",
        .. e.Cache?.Key is { } key ? [$"           {key}"] : Array.Empty<string>(),
        $"headers    {(e.Headers is { } headers ? Describe(headers) : "unchanged")}",
        $"upstream   {e.Upstream}; {e.Address}",
    ];

    private static string Outcome(string outcome) => outcome switch
    {
        "blocked" => "blocked, 403",
        "loop" => "refused, 508: the address is the proxy's own",
        "tunnelled" => "tunnelled without being opened",
        "cached" => "answered from the cache",
        "fetched" => "fetched from upstream, and stored on the way",
        _ => "forwarded to upstream",
    };

    private static string Describe(CacheExplanation cache) => cache.Stored is { } stored
        ? $"hit: {stored.Size} bytes from {stored.Host}, stored {stored.StoredAt:u}"
        : $"{cache.State}: {cache.Reason}";

    private static string Describe(HeaderExplanation headers)
    {
        string[] parts =
        [
            headers.Set.Count > 0 ? $"set {string.Join(", ", headers.Set)}" : "",
            headers.Append.Count > 0 ? $"append {string.Join(", ", headers.Append)}" : "",
            headers.Conditions.Count > 0 ? $"if {string.Join(", ", headers.Conditions)} is as the rule demands" : "",
            headers.LeftOut is { } leftOut ? $"left out {string.Join(", ", leftOut.Select(h => $"{h.Name} ({h.Reason})"))}" : "",
            headers.Withheld is { } reason ? $"withheld: {reason}" : "",
        ];
        return $"rule {headers.Pattern}: {string.Join("; ", parts.Where(part => part.Length > 0))}";
    }
}
