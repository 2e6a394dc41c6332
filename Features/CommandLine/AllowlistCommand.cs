using System.CommandLine;
using System.Text.Json;
using Discobot.Features.Allowlist;

namespace Discobot.Features.CommandLine;

/// <summary><c>discobot allowlist export</c>: asks the running proxy what it learned and writes it as a policy.</summary>
internal static class AllowlistCommand
{
    private const long MaxAnswer = 256 * 1024 * 1024;

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
        var output = new Option<string?>("--output", "-o") { Description = "Write to this file instead of the standard output." };
        var wildcards = new Option<bool>("--wildcards")
        {
            Description = $"Write *.example.com for {LearnedPolicy.MinSiblings} or more names below example.com that need the same.",
        };
        var json = new Option<bool>("--json") { Description = "Write what was learned as JSON, not as a policy." };

        var export = new Command("export", "Write the smallest allowlist that would have allowed what passed in learn mode.")
        {
            api, tokenFile, output, wildcards, json,
        };
        export.SetAction((parsed, cancellation) => ExportAsync(
            parsed.GetRequiredValue(api),
            parsed.GetValue(tokenFile),
            parsed.GetValue(output),
            report => parsed.GetValue(json)
                ? JsonSerializer.Serialize(report, LearnedJson.Default.LearnedReport) + "\n"
                : LearnedPolicy.ToYaml(report, parsed.GetValue(wildcards)),
            cancellation));
        return new Command("allowlist", "What may leave: learn it, export it.") { export };
    }

    private static async Task<int> ExportAsync(
        Uri api, string? tokenFile, string? output, Func<LearnedReport, string> write, CancellationToken cancellation)
    {
        try
        {
            var text = write(await AskAsync(api, tokenFile, cancellation));
            if (output is null)
                await Console.Out.WriteAsync(text);
            else
                await File.WriteAllTextAsync(output, text, cancellation);
            return 0;
        }
        catch (HttpRequestException e)
        {
            await Console.Error.WriteLineAsync(
                $"discobot: no answer from the proxy at {api}: {e.Message}; is it running, and is --api right?");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            await Console.Error.WriteLineAsync($"discobot: {e.Message}");
        }

        return 1;
    }

    private static async Task<LearnedReport> AskAsync(Uri api, string? tokenFile, CancellationToken cancellation)
    {
        // The API is beside us: the environment's proxy is the very thing we ask about.
        using var handler = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false };
        using var client = new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(30), MaxResponseContentBufferSize = MaxAnswer };
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(api, "/api/allowlist/learned"));
        if (tokenFile is not null)
            request.Headers.Authorization = new("Bearer", (await File.ReadAllTextAsync(tokenFile, cancellation)).Trim());
        using var response = await client.SendAsync(request, cancellation);
        var body = await response.Content.ReadAsByteArrayAsync(cancellation);
        if (!response.IsSuccessStatusCode)
            throw new IOException($"{api} answered {(int)response.StatusCode}: {System.Text.Encoding.UTF8.GetString(body).Trim()}");
        return JsonSerializer.Deserialize(body, LearnedJson.Default.LearnedReport) ?? throw new JsonException("the answer is empty");
    }
}
