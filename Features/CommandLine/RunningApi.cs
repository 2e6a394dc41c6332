using System.CommandLine;
using System.CommandLine.Parsing;
using System.Net;
using System.Runtime.CompilerServices;
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

    private readonly ConfigFileOption _config = new("The configuration file of the proxy that is meant, where several run.");

    private readonly Option<string?> _tokenFile = new("--token-file")
    {
        Description = "Holds the API's bearer token; needed where the API asks for it and this user may not read api.token_file.",
        HelpName = "FILE",
    };

    /// <summary>Any JSON document, as it came.</summary>
    public static JsonTypeInfo<JsonElement> AnyJson => ApiJson.Default.JsonElement;

    /// <summary>Adds the options that say where the API is.</summary>
    public void AddTo(Command command)
    {
        command.Options.Add(_address);
        if (withConfig)
            _config.AddTo(command);
        command.Options.Add(_tokenFile);
    }

    /// <summary>Whether the caller said which proxy is meant.</summary>
    public bool IsNamed(ParseResult parsed) => parsed.GetValue(_address) is not null || Config(parsed) is not null;

    /// <summary>Whether the caller said where the API listens.</summary>
    public bool HasAddress(ParseResult parsed) => parsed.GetValue(_address) is not null;

    /// <summary>Whether it is this container's own proxy that is meant.</summary>
    public bool IsContainers(ParseResult parsed) => !IsNamed(parsed) && ChosenProxy.Find().IsContainers;

    /// <summary>Where the API is.</summary>
    /// <exception cref="IOException">The configuration that names it has mistakes.</exception>
    public Uri Address(ParseResult parsed) => parsed.GetValue(_address) ?? new Uri($"http://{ChosenProxy.Find(Config(parsed)).State.Api}");

    /// <summary>The file that was named, in which that proxy's settings are.</summary>
    public string? Config(ParseResult parsed) => withConfig ? _config.Of(parsed) : null;

    /// <summary>Sends one request and reads its JSON answer.</summary>
    /// <exception cref="HttpRequestException">Nobody answers.</exception>
    /// <exception cref="IOException">It answers with an error; the message repeats it.</exception>
    /// <exception cref="JsonException">The answer is not what was asked for.</exception>
    public async Task<T> AskAsync<T>(
        ParseResult parsed, HttpMethod method, string path, JsonTypeInfo<T> type, CancellationToken cancellation, HttpContent? content = null)
    {
        var api = Address(parsed);
        using var client = Client(Limit);
        using var request = await RequestAsync(parsed, method, new Uri(api, path), cancellation);
        request.Content = content;
        using var response = await client.SendAsync(request, cancellation);
        var body = await response.Content.ReadAsByteArrayAsync(cancellation);
        if (!response.IsSuccessStatusCode)
            throw Refusal(api, response.StatusCode, ReasonIn(body), request.Headers.Authorization is not null);
        try
        {
            return JsonSerializer.Deserialize(body, type) ?? throw new JsonException("empty");
        }
        catch (JsonException e)
        {
            throw new JsonException($"what listens at {api} does not answer as the proxy's API does; is --api right?", e);
        }
    }

    /// <summary>Asks for a stream of events (HTML, server-sent events) and reads the data of each, until it ends.</summary>
    /// <exception cref="HttpRequestException">Nobody answers.</exception>
    /// <exception cref="IOException">It answers with an error, or breaks off.</exception>
    public async IAsyncEnumerable<string> EventsAsync(ParseResult parsed, string path, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var api = Address(parsed);
        using var client = Client(Timeout.InfiniteTimeSpan);
        using var request = await RequestAsync(parsed, HttpMethod.Get, new Uri(api, path), cancellation);
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
        if (!response.IsSuccessStatusCode)
            throw Refusal(api, response.StatusCode, ReasonIn(await response.Content.ReadAsByteArrayAsync(cancellation)), request.Headers.Authorization is not null);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancellation));
        while (await reader.ReadLineAsync(cancellation) is { } line)
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal))
                yield return line["data: ".Length..];
        }
    }

    /// <summary>Sends one request and hands on the elements of its JSON array as they come; each has the time that a whole answer has otherwise.</summary>
    /// <exception cref="HttpRequestException">Nobody answers.</exception>
    /// <exception cref="IOException">It answers with an error, or its answer breaks off.</exception>
    /// <exception cref="JsonException">The answer is not what was asked for.</exception>
    public async IAsyncEnumerable<T> StreamAsync<T>(
        ParseResult parsed, HttpMethod method, string path, HttpContent? content, JsonTypeInfo<T> type, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var api = Address(parsed);
        using var client = Client(Limit);
        using var request = await RequestAsync(parsed, method, new Uri(api, path), cancellation);
        request.Content = content;
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
        if (!response.IsSuccessStatusCode)
            throw Refusal(api, response.StatusCode, ReasonIn(await response.Content.ReadAsByteArrayAsync(cancellation)), request.Headers.Authorization is not null);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        await using var body = await response.Content.ReadAsStreamAsync(patience.Token);
        await using var elements = JsonSerializer.DeserializeAsyncEnumerable(body, type, patience.Token).GetAsyncEnumerator(patience.Token);
        while (true)
        {
            patience.CancelAfter(Limit);
            try
            {
                if (!await elements.MoveNextAsync())
                    yield break;
            }
            catch (OperationCanceledException e) when (!cancellation.IsCancellationRequested)
            {
                throw new IOException($"the answer of {api} stopped for {Limit.TotalSeconds:0} seconds", e);
            }
            catch (JsonException e)
            {
                throw new JsonException($"what listens at {api} does not answer as the proxy's API does, or stopped in the middle", e);
            }

            yield return elements.Current!;
        }
    }

    // The API is beside us: the environment's proxy is the very thing we ask about.
    private static HttpClient Client(TimeSpan limit) =>
        new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { Timeout = limit, MaxResponseContentBufferSize = MaxAnswer };

    private async Task<HttpRequestMessage> RequestAsync(ParseResult parsed, HttpMethod method, Uri address, CancellationToken cancellation)
    {
        var request = new HttpRequestMessage(method, address);
        if ((parsed.GetValue(_tokenFile) is { } file ? (await File.ReadAllTextAsync(file, cancellation)).Trim() : OwnToken(parsed)) is { } token)
            request.Headers.Authorization = new("Bearer", token);
        return request;
    }

    private static IOException Refusal(Uri api, HttpStatusCode status, string reason, bool hasToken) => status switch
    {
        HttpStatusCode.BadRequest => new UsageException(reason),
        HttpStatusCode.Unauthorized => new IOException($"{api} answered {(int)status}: {reason}; "
            + (hasToken ? "the token that was sent is another proxy's" : "name the file that holds it with --token-file, or the proxy's configuration with --config")),
        _ => new IOException($"{api} answered {(int)status}: {reason}"),
    };

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
        catch (UsageException e)
        {
            await parsed.InvocationConfiguration.Error.WriteLineAsync($"{UsageErrors.NameOf(parsed.CommandResult)}: {e.Message}");
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
            reason = Sentence(e);
        }

        await parsed.InvocationConfiguration.Error.WriteLineAsync($"{UsageErrors.NameOf(parsed.CommandResult)}: {reason}");
        return ExitCode.Failed;
    }

    // The runtime's words name the file and not what to do.
    private static string Sentence(Exception error)
    {
        var path = error.Message.Split('\'') is [_, var named, ..] ? named : null;
        return (error, path) switch
        {
            (UnauthorizedAccessException, not null) => $"this user may not use {path}: run it as root (sudo), or as the user whose it is",
            (FileNotFoundException or DirectoryNotFoundException, not null) => $"{path} is not there",
            _ => error.Message,
        };
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
                return told.Error == "not_a_proxy_request" ? "that is the port that the proxy listens on, not its API's (proxy.api_port, 17081)" : told.Error;
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

/// <summary>What was asked for makes no sense to the proxy: wrong usage, not a failure.</summary>
/// <param name="reason">In its words.</param>
internal sealed class UsageException(string reason) : IOException(reason);
