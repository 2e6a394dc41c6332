using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Discobot.Features.Init;

namespace Discobot.Features.CommandLine;

/// <summary>The REST API of the proxy that runs beside the command: where it is, how it is asked, what is said when it does not answer.</summary>
internal sealed class RunningApi
{
    private const long MaxAnswer = 256 * 1024 * 1024;

    private readonly Option<Uri> _address = new("--api")
    {
        Description = "Where the proxy's API listens.",
        HelpName = "URL",
        DefaultValueFactory = _ => new Uri($"http://127.0.0.1:{ContainerProxy.Summary(new ContainerPaths()).ApiPort}"),
        CustomParser = ParseAddress,
    };

    private readonly Option<string?> _tokenFile = new("--token-file")
    {
        Description = "Holds the API's bearer token; needed where api.protect is all.",
    };

    /// <summary>Adds the options that say where the API is.</summary>
    public void AddTo(Command command)
    {
        command.Options.Add(_address);
        command.Options.Add(_tokenFile);
    }

    /// <summary>Whether the caller says where the API is.</summary>
    public bool IsNamed(ParseResult parsed) => parsed.GetResult(_address) is { Implicit: false };

    /// <summary>Sends one request and reads its JSON answer.</summary>
    /// <exception cref="HttpRequestException">Nobody answers.</exception>
    /// <exception cref="IOException">It answers with an error; the message repeats it.</exception>
    /// <exception cref="JsonException">The answer is not what was asked for.</exception>
    public async Task<T> AskAsync<T>(
        ParseResult parsed, HttpMethod method, string path, JsonTypeInfo<T> type, CancellationToken cancellation)
    {
        var api = parsed.GetRequiredValue(_address);
        // The API is beside us: the environment's proxy is the very thing we ask about.
        using var handler = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false };
        using var client = new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(30), MaxResponseContentBufferSize = MaxAnswer };
        using var request = new HttpRequestMessage(method, new Uri(api, path));
        if (parsed.GetValue(_tokenFile) is { } tokenFile)
            request.Headers.Authorization = new("Bearer", (await File.ReadAllTextAsync(tokenFile, cancellation)).Trim());
        using var response = await client.SendAsync(request, cancellation);
        var body = await response.Content.ReadAsByteArrayAsync(cancellation);
        if (!response.IsSuccessStatusCode)
            throw new IOException($"{api} answered {(int)response.StatusCode}: {Encoding.UTF8.GetString(body).Trim()}");
        return JsonSerializer.Deserialize(body, type) ?? throw new JsonException("the answer is empty");
    }

    /// <summary>Runs <paramref name="action"/> and turns its failures into one line on stderr and exit code 1.</summary>
    public static async Task<int> RunAsync(Func<Task<int>> action)
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

    // The library knows no Uri.
    private static Uri? ParseAddress(ArgumentResult result)
    {
        if (Uri.TryCreate(result.Tokens[0].Value, UriKind.Absolute, out var address) && address.Scheme is "http" or "https")
            return address;
        result.AddError($"--api must be an address such as http://127.0.0.1:17081, not {result.Tokens[0].Value}");
        return null;
    }
}
