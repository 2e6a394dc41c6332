using System.Globalization;
using System.Net;
using System.Text.Json;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Cache.Remote;

/// <summary>
/// The standard chain of credentials, as far as a proxy in a container needs it, the first that there is: <c>AWS_ACCESS_KEY_ID</c> and
/// <c>AWS_SECRET_ACCESS_KEY</c>; the profile <c>AWS_PROFILE</c> of the shared file; a web identity (<c>AWS_WEB_IDENTITY_TOKEN_FILE</c> and <c>AWS_ROLE_ARN</c>);
/// the container's endpoint (<c>AWS_CONTAINER_CREDENTIALS_*</c>). Not read: SSO, <c>credential_process</c>, the metadata service of a machine.
/// </summary>
internal sealed class AwsCredentialChain(IReadOnlyDictionary<string, string> environment, HttpMessageInvoker client, string region, TimeProvider time)
{
    // What is for a time is asked for anew before it ends; a file may be written anew at any time.
    private static readonly TimeSpan Ahead = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan Soonest = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

    private const int MaxAnswer = 64 << 10;
    private const string ContainerHost = "http://169.254.170.2";

    private readonly Lock _lock = new();
    private Task<AwsCredentials>? _held;
    private DateTimeOffset _until;

    /// <summary>The credentials of now: one question for all who wait, which outlives whoever asked first.</summary>
    /// <exception cref="RemoteException">There are none, or they could not be had; says where they were looked for and never what they are.</exception>
    public async Task<AwsCredentials> GetAsync(CancellationToken cancel)
    {
        Task<AwsCredentials> held;
        lock (_lock)
        {
            if (_held is null or { IsFaulted: true } or { IsCanceled: true } || time.GetUtcNow() >= _until)
                (_held, _until) = (Task.Run(FindAsync, CancellationToken.None), DateTimeOffset.MaxValue);
            held = _held;
        }

        return await held.WaitAsync(cancel);
    }

    /// <summary>The store refused them: somebody may have written others since.</summary>
    public void Forget()
    {
        lock (_lock)
            _until = DateTimeOffset.MinValue;
    }

    private async Task<AwsCredentials> FindAsync()
    {
        using var limit = new CancellationTokenSource(Limit);
        var source = "";
        try
        {
            var found = OfVariables() ?? await From("AWS_SHARED_CREDENTIALS_FILE", _ => Task.FromResult(OfFile()))
                ?? await From("AWS_WEB_IDENTITY_TOKEN_FILE", OfWebIdentityAsync) ?? await From("AWS_CONTAINER_CREDENTIALS_*", OfContainerAsync)
                ?? throw new RemoteException(RemoteFailure.Denied, "there are no credentials: neither AWS_ACCESS_KEY_ID, nor a shared file, a web identity or a container's endpoint");
            lock (_lock)
            {
                var now = time.GetUtcNow();
                // By differences: some say the first or the last day of the calendar for what does not end.
                var lasts = found.Expires is { } expires && expires - now - Ahead is var left && left < Longest ? left : Longest;
                _until = now + (lasts > TimeSpan.Zero ? lasts : Soonest);
            }

            return found;
        }
        catch (Exception e) when (e is not RemoteException)
        {
            // Whatever the variables and the answers are made of: a store without credentials is one that refuses.
            throw new RemoteException(RemoteFailure.Denied, $"the credentials of {source} could not be had: {(e is OperationCanceledException ? "no answer" : e is IOException or UnauthorizedAccessException or HttpRequestException ? e.Message : e.GetType().Name)}");
        }

        Task<AwsCredentials?> From(string variable, Func<CancellationToken, Task<AwsCredentials?>> find)
        {
            source = variable;
            return find(limit.Token);
        }
    }

    private string? Variable(string name) => environment.GetValueOrDefault(name) is { Length: > 0 } value ? value : null;

    private AwsCredentials? OfVariables() =>
        Variable("AWS_ACCESS_KEY_ID") is { } id && Variable("AWS_SECRET_ACCESS_KEY") is { } secret ? new AwsCredentials(id, secret, Variable("AWS_SESSION_TOKEN")) : null;

    private AwsCredentials? OfFile()
    {
        var path = Variable("AWS_SHARED_CREDENTIALS_FILE") ?? (Variable("HOME") is { } home ? Path.Join(home, ".aws/credentials") : null);
        if (path is null || !File.Exists(path))
            return null;
        var profile = Variable("AWS_PROFILE") ?? "default";
        var keys = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        var inside = false;
        foreach (var line in RegularFile.ReadAllLines(path).Select(line => line.Trim()))
        {
            if (line.StartsWith('['))
                inside = line.TrimStart('[').TrimEnd(']').Trim() == profile;
            else if (inside && !line.StartsWith('#') && line.IndexOf('=', StringComparison.Ordinal) is var at and > 0)
                keys[line[..at].Trim()] = line[(at + 1)..].Trim();
        }

        return keys.TryGetValue("aws_access_key_id", out var id) && keys.TryGetValue("aws_secret_access_key", out var secret)
            ? new AwsCredentials(id, secret, keys.GetValueOrDefault("aws_session_token")) : null;
    }

    // AssumeRoleWithWebIdentity, which is not signed: the token is who asks.
    private async Task<AwsCredentials?> OfWebIdentityAsync(CancellationToken cancel)
    {
        if (Variable("AWS_WEB_IDENTITY_TOKEN_FILE") is not { } file || Variable("AWS_ROLE_ARN") is not { } role)
            return null;
        var token = (await File.ReadAllTextAsync(file, cancel)).Trim();
        var service = Variable("AWS_ENDPOINT_URL_STS") ?? $"https://sts.{region}.amazonaws.com";
        using var request = new HttpRequestMessage(HttpMethod.Post, service);
        request.Content = new FormUrlEncodedContent([
            new("Action", "AssumeRoleWithWebIdentity"), new("Version", "2011-06-15"), new("RoleArn", role),
            new("RoleSessionName", Variable("AWS_ROLE_SESSION_NAME") ?? "discobot"), new("WebIdentityToken", token)]);
        var answer = await AskAsync(request, cancel);
        return new AwsCredentials(
            S3Xml.Value(answer, "AccessKeyId") ?? throw new FormatException(), S3Xml.Value(answer, "SecretAccessKey") ?? throw new FormatException(),
            S3Xml.Value(answer, "SessionToken"), S3Xml.Value(answer, "Expiration") is { } end ? TimeOf(end) : null);
    }

    private async Task<AwsCredentials?> OfContainerAsync(CancellationToken cancel)
    {
        var address = Variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") is { } relative ? ContainerHost + relative : Variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
        if (address is null)
            return null;
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        var token = Variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") is { } file ? (await File.ReadAllTextAsync(file, cancel)).Trim() : Variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
        if (token is not null)
            request.Headers.TryAddWithoutValidation("Authorization", token);
        using var answer = JsonDocument.Parse(await AskAsync(request, cancel));
        string? Value(string name) => answer.RootElement.TryGetProperty(name, out var value) ? value.GetString() : null;
        return new AwsCredentials(
            Value("AccessKeyId") ?? throw new FormatException(), Value("SecretAccessKey") ?? throw new FormatException(), Value("Token"),
            Value("Expiration") is { } end ? TimeOf(end) : null);
    }

    private async Task<string> AskAsync(HttpRequestMessage request, CancellationToken cancel)
    {
        using var response = await client.SendAsync(request, cancel);
        if (response.StatusCode != HttpStatusCode.OK)
            throw new HttpRequestException($"{request.RequestUri!.Authority} answered {(int)response.StatusCode}");
        return await BoundedText.ReadAsync(response.Content, MaxAnswer, cancel);
    }

    private static DateTimeOffset TimeOf(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
}
