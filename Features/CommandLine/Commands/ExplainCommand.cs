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
        var url = new Argument<string?>("URL") { Description = "The address, as in https://example.com/path.", Arity = ArgumentArity.ZeroOrOne };
        var transparent = new Option<string?>("--transparent") { Description = "In place of the URL: a connection that a program opens by itself to this address.", HelpName = "IP:PORT" };
        var sni = new Option<string?>("--sni") { Description = "The name in that connection's TLS hello.", HelpName = "NAME" };
        var method = new Option<string>("--method", "-X") { Description = "The HTTP method.", HelpName = "METHOD", DefaultValueFactory = _ => "GET" };
        var client = new Option<string?>("--client") { Description = "Who asks, of those whom clients and socks.users name.", HelpName = "NAME" };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("explain", "Tell what the proxy would do with a request, without sending it.") { url, method, client, transparent, sni, json };
        api.AddTo(command);
        command.Validators.Add(parsed =>
        {
            if (parsed.GetValue(url) is null == parsed.GetValue(transparent) is null)
                parsed.AddError("either URL or --transparent IP:PORT is needed");
            else if (parsed.GetValue(sni) is not null && parsed.GetValue(transparent) is null)
                parsed.AddError("--sni goes with --transparent");
        });
        command.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(transparent) is { } address)
            {
                var asked = parsed.GetValue(sni) is { } name ? $"&sni={Uri.EscapeDataString(name)}" : "";
                var found = await api.AskAsync(
                    parsed, HttpMethod.Get, $"/api/explain?transparent={Uri.EscapeDataString(address)}{asked}", ApiJson.Readable.TransparentExplanation, cancellation);
                output.WriteLine(parsed.GetValue(json) ? JsonSerializer.Serialize(found, ApiJson.Readable.TransparentExplanation) : string.Join('\n', Describe(found)));
                return ExitCode.Fine;
            }

            var path = $"/api/explain?url={Uri.EscapeDataString(parsed.GetValue(url)!)}"
                + $"&method={Uri.EscapeDataString(parsed.GetRequiredValue(method))}"
                + (parsed.GetValue(client) is { } who ? $"&client={Uri.EscapeDataString(who)}" : "");
            var explanation = await api.AskAsync(parsed, HttpMethod.Get, path, ApiJson.Readable.Explanation, cancellation);
            output.WriteLine(parsed.GetValue(json)
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

    private static IEnumerable<string> Describe(TransparentExplanation e) =>
    [
        $"connection {e.Address}, {(e.Sni is { } name ? $"TLS for {name}" : "without a name in it")}",
        $"host       {e.Host}: {(e.Sni is not null ? "the name in the TLS hello" : e.Learned is not null ? "the name that our resolver last gave this address for" : "the address itself")}",
        .. e.Sni is null ? ["as HTTP    each request is judged for the host that it names"] : Array.Empty<string>(),
        .. Describe("as TLS", e.Tls),
        .. e.Other is { } other ? Describe("other", other) : [],
        $"upstream   {e.Upstream}; {(e.Upstream == "direct" ? "resolved and judged when dialled" : "resolved by the parent proxy")}",
    ];

    private static IEnumerable<string> Describe(string kind, KindExplanation e) =>
    [
        $"{kind,-10} {e.Target}: " + e.Outcome switch
        {
            "asked" => "waits for whoever watches (discobot approve)",
            "blocked" => $"refused by {e.Rule}",
            "loop" => "refused: the address is the proxy's own",
            "tunnelled" => $"passes unopened, by {e.Rule}",
            _ => $"each request is judged by itself, the host is allowed by {e.Rule}",
        },
        .. e.Reason is { } reason ? [$"           {reason}"] : Array.Empty<string>(),
    ];

    private static string Outcome(string outcome) => outcome switch
    {
        "blocked" => "blocked, 403",
        "asked" => "asked: it waits for whoever watches (discobot approve)",
        "loop" => "refused, 508: the address is the proxy's own",
        "tunnelled" => "tunnelled without being opened",
        "cached" => "answered from the cache",
        "revalidated" => "answered from the cache once its host has confirmed it",
        "fetched" => "fetched from upstream, and stored on the way",
        _ => "forwarded to upstream",
    };

    private static string Describe(CacheExplanation cache) => cache.Stored is { } stored
        ? $"{cache.State}: {stored.Size} bytes from {stored.Host}, stored {stored.StoredAt:u}"
            + (stored.Age is { } age ? $", age {age} s, ttl {stored.Ttl} s" : "")
            + (stored.Vary is { } vary ? $", for requests with the same {vary.Replace(",", ", ", StringComparison.Ordinal)}" : "")
            + (cache.Reason is { } why ? $"; {why}" : "")
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
