using System.CommandLine;
using System.CommandLine.Parsing;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Discobot.Features.Api;

namespace Discobot.Features.CommandLine;

/// <summary>The REST API of the proxy that a tool speaks of: where it is, how it is asked, what is said when it does not answer.</summary>
/// <param name="withConfig">Whether <c>--config</c> chooses the proxy; the command has such an option of its own otherwise.</param>
internal sealed class RunningApi(bool withConfig = true)
{
    private const long MaxAnswer = 256 * 1024 * 1024;
    private const int UsualPort = 17081;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly Option<Uri?> _address = new("--api")
    {
        Description = $"Where the proxy's API listens. Without it: that of --config, else of the container's proxy. {ChosenProxy.Variables}.",
        HelpName = "HOST:PORT",
        CustomParser = ParseAddress,
    };

    private readonly Option<string?> _config = new("--config", "-config", "-c")
    {
        Description = "The configuration file of the proxy that is meant, where several run.",
        HelpName = "FILE",
    };

    private readonly Option<string?> _tokenFile = new("--token-file")
    {
        Description = "Holds the API's bearer token; needed where api.protect is all and this user may not read api.token_file.",
        HelpName = "FILE",
    };

    /// <summary>Any JSON document, as it came.</summary>
    public static JsonTypeInfo<JsonElement> AnyJson => ApiJson.Default.JsonElement;

    /// <summary>Adds the options that say where the API is.</summary>
    public void AddTo(Command command)
    {
        command.Options.Add(_address);
        if (withConfig)
            command.Options.Add(_config);
        command.Options.Add(_tokenFile);
    }

    /// <summary>Whether the caller said which proxy is meant.</summary>
    public bool IsNamed(ParseResult parsed) => parsed.GetValue(_address) is not null || Config(parsed) is not null;

    /// <summary>Whether it is this container's own proxy that is meant.</summary>
    public bool IsContainers(ParseResult parsed) => !IsNamed(parsed) && ChosenProxy.Find().IsContainers;

    /// <summary>Where the API is.</summary>
    /// <exception cref="IOException">The configuration that names it has mistakes.</exception>
    public Uri Address(ParseResult parsed) => parsed.GetValue(_address) ?? new Uri($"http://{ChosenProxy.Find(Config(parsed)).State.Api}");

    /// <summary>The file that was named, in which that proxy's settings are.</summary>
    public string? Config(ParseResult parsed) => withConfig ? parsed.GetValue(_config) : null;

    /// <summary>Sends one request and reads its JSON answer.</summary>
    /// <exception cref="HttpRequestException">Nobody answers.</exception>
    /// <exception cref="IOException">It answers with an error; the message repeats it.</exception>
    /// <exception cref="JsonException">The answer is not what was asked for.</exception>
    public async Task<T> AskAsync<T>(
        ParseResult parsed, HttpMethod method, string path, JsonTypeInfo<T> type, CancellationToken cancellation)
    {
        var api = Address(parsed);
        // The API is beside us: the environment's proxy is the very thing we ask about.
        using var handler = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false };
        using var client = new HttpClient(handler) { Timeout = Limit, MaxResponseContentBufferSize = MaxAnswer };
        var token = parsed.GetValue(_tokenFile) is { } file ? (await File.ReadAllTextAsync(file, cancellation)).Trim() : OwnToken(parsed);
        using var request = new HttpRequestMessage(method, new Uri(api, path));
        if (token is not null)
            request.Headers.Authorization = new("Bearer", token);
        using var response = await client.SendAsync(request, cancellation);
        var body = await response.Content.ReadAsByteArrayAsync(cancellation);
        if (!response.IsSuccessStatusCode)
            throw new IOException($"{api} answered {(int)response.StatusCode}: {ReasonIn(body)}");
        try
        {
            return JsonSerializer.Deserialize(body, type) ?? throw new JsonException("empty");
        }
        catch (JsonException e)
        {
            throw new JsonException($"what listens at {api} does not answer as the proxy's API does; is --api right?", e);
        }
    }

    /// <summary>Runs <paramref name="action"/> and turns its failures into one sentence on stderr and exit code 1; 2 for a bad configuration.</summary>
    public static async Task<int> RunAsync(ParseResult parsed, Func<Task<int>> action)
    {
        string reason;
        try
        {
            return await action();
        }
        catch (ConfigurationException e)
        {
            await parsed.InvocationConfiguration.Error.WriteLineAsync(e.Message);
            return ExitCode.Usage;
        }
        catch (HttpRequestException e)
        {
            reason = $"no answer from the proxy: {e.Message}; is it running, and is --api right?";
        }
        catch (OperationCanceledException e) when (e.InnerException is TimeoutException)
        {
            reason = $"no answer from the proxy within {Limit.TotalSeconds:0} seconds";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            reason = e.Message;
        }

        await parsed.InvocationConfiguration.Error.WriteLineAsync($"{UsageErrors.NameOf(parsed.CommandResult)}: {reason}");
        return ExitCode.Failed;
    }

    // Only to the proxy whose token it is: an address that was typed may be anybody's.
    private string? OwnToken(ParseResult parsed)
    {
        if (parsed.GetValue(_address) is not null)
            return null;
        try
        {
            var file = ChosenProxy.Find(Config(parsed)).State.TokenFile;
            return File.Exists(file) ? File.ReadAllText(file).Trim() : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string ReasonIn(byte[] body)
    {
        try
        {
            if (JsonSerializer.Deserialize(body, ApiJson.Default.ApiError) is { Error.Length: > 0 } told)
                return told.Error;
        }
        catch (JsonException)
        {
            // Somebody else's words.
        }

        var text = Encoding.UTF8.GetString(body).Trim();
        return text.Length == 0 ? "nothing more" : text.Length > 500 ? text[..500] + "…" : text;
    }

    // The library knows no Uri.
    private static Uri? ParseAddress(ArgumentResult result)
    {
        var text = result.Tokens[0].Value;
        if (Read(text) is { } address)
            return address;
        result.AddError($"--api must be HOST:PORT or a URL, as in 127.0.0.1:17081, [::1]:17081 or http://127.0.0.1:17081, not \"{text}\"");
        return null;
    }

    private static Uri? Read(string text)
    {
        if (text.Contains("://", StringComparison.Ordinal))
            return Uri.TryCreate(text, UriKind.Absolute, out var url) && url is { Scheme: "http" or "https", Host.Length: > 0, UserInfo: "" } ? url : null;
        if (IPAddress.TryParse(text, out var literal) && !text.Contains('[') && (text.Contains(':') || text.Contains('.')))
            return new Uri($"http://{new IPEndPoint(literal, UsualPort)}");
        return text.LastIndexOf(':') is > 0 and var colon && text[(colon + 1)..] is { Length: > 0 } port && port.All(char.IsAsciiDigit)
            && Uri.TryCreate($"http://{text}", UriKind.Absolute, out var address) && address is { Port: > 0, PathAndQuery: "/", UserInfo: "" }
            ? address : null;
    }
}
