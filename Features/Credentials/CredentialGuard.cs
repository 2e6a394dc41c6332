using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Http.Features;
using static Discobot.Features.Credentials.SecretFindings;

namespace Discobot.Features.Credentials;

/// <summary>
/// Looks for placeholders and for the secrets themselves in the head of each request, and in the fields behind its body. What is on its way to a host that may not have it is refused;
/// in the query of a host that may, placeholders are replaced here, and in fields by <see cref="CredentialRewriter"/>.
/// </summary>
internal sealed partial class CredentialGuard(IReadOnlyList<HeldSecret> secrets, ILogger<CredentialGuard> log) : ICredentialGuard
{
    private readonly Task[] _firstReadings = [.. secrets.Select(FirstReadingAsync)];

    public async ValueTask<(ProxiedRequest Request, ProxyError? Error)> JudgeAsync(HttpContext context, ProxiedRequest request)
    {
        // A request that comes with the start waits until every file has been read once, or is known not to be there; for what a program says, where
        // the host may have it and may repeat it. All others go on: the program itself may be asking for something by way of this proxy.
        for (var i = 0; i < secrets.Count; i++)
        {
            if (!_firstReadings[i].IsCompleted && (!secrets[i].IsSaidByProgram || secrets[i].IsFor(request.Target.Host)))
                await _firstReadings[i].WaitAsync(context.RequestAborted);
        }

        string? sent = null;
        foreach (var secret in secrets)
        {
            var (value, problem) = secret.Read();
            var (error, carries) = Judge(context.Request, request, secret, value, sent);
            if (error is null && (carries is not null || MayFollow(context, request, secret, value)))
            {
                await secret.RefreshAsync(context.RequestAborted);
                (value, problem) = secret.Read();
                error = problem is null || carries is null ? null : Unavailable(secret, problem);
                if (problem is null)
                    (request.Replacements ??= [])[secret.Placeholder] = value!;
                if (error is null && carries?.HasFlag(CredentialPositions.Query) == true)
                    sent = Replace(sent ?? request.PathAndQuery, secret.Placeholder, value!);
            }

            if (error is not null)
            {
                LogRefused(request.Target.Host, secret.Name, error.Reason, request.Id);
                return (Hidden(request), error);
            }

            // Whatever the request carries, and whoever sends it in whatever way: a server may have kept what it was sent with another, and a cache what it
            // answered. Those who may not have the secret are the last who may see it.
            if (secret.Redacts && secret.IsFor(request.Target.Host))
            {
                foreach (var held in request.Replacements?.GetValueOrDefault(secret.Placeholder) is { } judged ? secret.Values.Prepend(judged).Distinct() : secret.Values)
                    Redaction.Of(context).Add(secret.Name, held, secret.Placeholder);
            }
        }

        if (sent is not null)
            request.Send(sent);
        if (request.Replacements is { } replaced && context.Features.Get<Redaction>() is { } redaction)
            AddBasic(redaction, context.Request.Headers, replaced);
        return (request, null);
    }

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, string>> JudgeTrailers(HttpContext context, IReadOnlyList<KeyValuePair<string, string>> trailers)
    {
        var (request, sent) = (ProxiedRequest.Of(context), trailers);
        foreach (var secret in secrets)
        {
            // The answer was made ready for what was known when the head was judged: another value would not be found in it.
            var judged = request.Replacements?.GetValueOrDefault(secret.Placeholder);
            var found = SecretFindings.In(trailers, secret.Placeholder, judged ?? secret.Read().Value);
            if (found is { Carries: CredentialPositions.None, HoldsValue: false })
                continue;
            if ((WhyNot(context.Request.Method, request, secret, found, "in the name of a field") ?? WhyNotBehind(secret, found.Carries, judged)) is { } error)
            {
                LogRefused(request.Target.Host, secret.Name, error.Reason, request.Id);
                throw new RefusedBodyException(error);
            }

            if (found.Carries != CredentialPositions.None)
                sent = [.. sent.Select(field => Replaced(context, field, secret.Placeholder, judged!))];
        }

        return sent;
    }

    private static KeyValuePair<string, string> Replaced(HttpContext context, KeyValuePair<string, string> field, string placeholder, string value)
    {
        if (!field.Value.Contains(placeholder, StringComparison.Ordinal))
            return field;
        Flow.Of(context)?.Offer(field.Key);
        Flow.Of(context)?.Sent();
        return new(field.Key, field.Value.Replace(placeholder, value, StringComparison.Ordinal));
    }

    private static ProxyError? WhyNotBehind(HeldSecret secret, CredentialPositions carries, string? judged) =>
        carries.HasFlag(CredentialPositions.Basic) ? Refused(secret, true, "it stands behind the body, where no server takes the credentials of Basic")
        : carries != CredentialPositions.None && judged is null ? Refused(secret, true, "it stands behind the body, in a field that the request's Trailer does not announce (RFC 9110, 6.6.2)")
        : null;

    // Fields behind the body that are announced may hold the placeholder: what is sent then is what is read now, and what comes back can be looked into.
    private static bool MayFollow(HttpContext context, ProxiedRequest request, HeldSecret secret, string? value) =>
        value is not null && context.Request.Headers.Trailer.Count > 0 && secret.WhyNot(context.Request.Method, request.Scheme, request.Target.Host, request.Client) is null;

    // Never fails: whoever needs the value is told why there is none, and nobody else has to do with it.
    private static async Task FirstReadingAsync(HeldSecret secret) =>
        await secret.RefreshAsync(CancellationToken.None).AsTask().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    // User and password may both be placeholders: what is sent, and may come back, is one text of both.
    private static void AddBasic(Redaction redaction, IHeaderDictionary fields, Dictionary<string, string> replaced)
    {
        foreach (var (_, field) in Lines(fields))
        {
            if (BasicCredentials.Decode(field) is not { } basic)
                continue;
            var sent = replaced.Aggregate(basic, static (text, pair) => text.Replace(pair.Key, pair.Value, StringComparison.Ordinal));
            if (sent != basic)
                redaction.AddBasic(sent, basic);
        }
    }

    // What is refused for its path is not to be read in a log.
    private ProxiedRequest Hidden(ProxiedRequest request)
    {
        foreach (var secret in secrets)
        {
            if (secret.Read().Value is { } value && Holds(request.PathAndQuery, value))
                return new ProxiedRequest { Id = request.Id, Target = request.Target, Scheme = request.Scheme, PathAndQuery = "/***", Client = request.Client };
        }

        return request;
    }

    /// <returns>Why the request is refused; else where it carries the placeholder, null: nowhere.</returns>
    private static (ProxyError? Error, CredentialPositions? Carries) Judge(HttpRequest sent, ProxiedRequest request, HeldSecret secret, string? value, string? rewritten)
    {
        var placeholder = secret.Placeholder;
        // A method of one's own making arrives as it is, and a label of a host's name at its name server as well.
        var isAround = Holds(sent.Method, placeholder) || HoldsIgnoringCase(request.Target.Host, placeholder);
        var holdsAround = value is not null && (Holds(sent.Method, value) || HoldsIgnoringCase(request.Target.Host, value));
        var carries = isAround ? CredentialPositions.Header : CredentialPositions.None;
        var isInAddress = value is not null && Holds(request.PathAndQuery, value);
        var holdsValue = isInAddress || holdsAround;
        var isElsewhere = isAround || holdsAround || Holds(request.Path, placeholder) || IsShown(request, placeholder) || (holdsValue && IsShown(request, value!));
        if (Holds(request.PathAndQuery, placeholder))
            carries |= CredentialPositions.Query;
        var found = SecretFindings.In(Lines(sent.Headers), placeholder, value);
        found = new(carries | found.Carries, holdsValue || found.HoldsValue, isElsewhere || found.IsElsewhere);
        if (found is { Carries: CredentialPositions.None, HoldsValue: false })
            return default;
        if (WhyNot(sent.Method, request, secret, found, "in the path, in the method, in Host or in the name of a field or parameter") is { } error)
            return (error, null);
        // The agent's own copy, to a host that may have it: nothing of its address is kept.
        if (isInAddress)
            request.Send(rewritten ?? request.PathAndQuery);
        return (null, found.Carries == CredentialPositions.None ? null : found.Carries);
    }

    private static ProxyError? WhyNot(string method, ProxiedRequest request, HeldSecret secret, in SecretFindings found, string elsewhere) =>
        secret.WhyNot(method, request.Scheme, request.Target.Host, request.Client) is { } reason ? Refused(secret, found.Carries != CredentialPositions.None, reason)
        : found.IsElsewhere ? Refused(secret, found.Carries != CredentialPositions.None, $"it stands {elsewhere}, where servers and proxies log it")
        : (found.Carries & ~secret.In) is var beyond and not CredentialPositions.None ? Refused(secret, true, $"it stands where secrets.{secret.Name}.in does not allow it ({Word(beyond)})")
        : null;

    private static ProxyError Refused(HeldSecret secret, bool isPlaceholder, string reason) => new(
        StatusCodes.Status403Forbidden, "credential_refused",
        $"The request carries {(isPlaceholder ? "the placeholder" : "the value")} of the secret {secret.Name}, which does not go there: {reason}.", $"secrets.{secret.Name}");

    private static ProxyError Unavailable(HeldSecret secret, string problem) => new(
        StatusCodes.Status503ServiceUnavailable, "credential_unavailable", $"The secret {secret.Name} has no value that could be sent: {problem}.");

    private static string Word(CredentialPositions positions) =>
        positions.HasFlag(CredentialPositions.Query) ? "query" : positions.HasFlag(CredentialPositions.Basic) ? "basic" : "header";

    // In what logs and the audit tell of an address: its path, and the names in its query.
    private static bool IsShown(ProxiedRequest request, string value) => Holds(request.Path, value)
        || request.PathAndQuery[request.Path.Length..].TrimStart('?').Split('&').Any(part => Holds(part.Split('=')[0], value)
            // A name that goes on behind its first "=" is shown up to there.
            || (value.Contains('=') && Holds(part, value) && !Holds(part[(part.IndexOf('=', StringComparison.Ordinal) + 1)..], value)));

    private static string Replace(string pathAndQuery, string placeholder, string value)
    {
        var query = pathAndQuery.IndexOf('?', StringComparison.Ordinal);
        return string.Concat(pathAndQuery.AsSpan(0, query), pathAndQuery[query..].Replace(placeholder, Uri.EscapeDataString(value), StringComparison.Ordinal));
    }

    private static IEnumerable<KeyValuePair<string, string>> Lines(IHeaderDictionary headers) => headers is FieldList list
        ? list.Lines : headers.SelectMany(field => field.Value.Select(value => KeyValuePair.Create(field.Key, value ?? "")));

    [LoggerMessage(Level = LogLevel.Warning, Message = "credential refused {Host} {Secret} {Reason} {Id}")]
    private partial void LogRefused(string host, string secret, string reason, string id);
}
