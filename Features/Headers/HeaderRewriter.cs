using Discobot.Infrastructure;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Headers;

/// <summary>
/// Puts the rules' headers on requests to their hosts. It looks at where the message really goes, never at what the client says about
/// it, and keeps values from every way on which others could read them: plain http, and upstreams whose certificate is not verified.
/// A redirect is followed by the client, not by us: the request to the new host is a new one, with that host's rule or none.
/// </summary>
internal sealed partial class HeaderRewriter(Live<HeaderRules> live, HostSet unverified, ILogger<HeaderRewriter> log) : IRequestRewriter
{
    public void Rewrite(HttpRequest request, string scheme, string host, FieldList fields)
    {
        if (!CanonicalHost.TryParse(host, out var destination))
            return;
        // TRACE makes the server send back what it received (RFC 9110, 9.3.8).
        if (HttpMethods.IsTrace(request.Method) || live.Value.Find(destination) is not { } rule || !rule.Applies(request.Headers))
            return;
        if (Withheld(rule, scheme, destination) is { } reason)
        {
            if (rule.TellOnce())
                LogWithheld(rule.Pattern, destination.Name, reason);
            return;
        }

        var flow = Flow.Of(request.HttpContext);
        foreach (var header in rule.Set)
        {
            if (!TryRead(rule, header, out var value))
                continue;
            fields.Set(header.Name, value);
            flow?.Offer(header.Name);
        }

        foreach (var header in rule.Append)
        {
            if (!TryRead(rule, header, out var value))
                continue;
            fields.Append(header.Name, value);
            flow?.Offer(header.Name);
        }
    }

    /// <summary>What the rules would do to a request: names only, no value is told.</summary>
    /// <returns>Null where the host has no rule.</returns>
    public HeaderExplanation? Explain(string method, Uri destination)
    {
        if (!CanonicalHost.TryParse(destination.IdnHost, out var host) || live.Value.Find(host) is not { } rule)
            return null;
        var withheld = HttpMethods.IsTrace(method) ? "TRACE makes the server send back what it received"
            : Withheld(rule, destination.Scheme, host) ?? rule.WhyNeverApplies();
        var leftOut = rule.Set.Concat(rule.Append).Where(h => h.Problem is not null).ToDictionary(h => h, h => h.Problem!);
        return new HeaderExplanation(
            rule.Pattern,
            [.. rule.Set.Where(h => !leftOut.ContainsKey(h)).Select(h => h.Name)],
            [.. rule.Append.Where(h => !leftOut.ContainsKey(h)).Select(h => h.Name)],
            [.. rule.Conditions],
            leftOut.Count == 0 ? null : [.. leftOut.Select(h => new LeftOutHeader(h.Key.Name, h.Value))],
            withheld);
    }

    /// <summary>Waits until <see cref="Explain"/> knows what the files of the host's rule hold now.</summary>
    public ValueTask RefreshAsync(Uri destination, CancellationToken cancellation) =>
        CanonicalHost.TryParse(destination.IdnHost, out var host) && live.Value.Find(host) is { } rule ? rule.RefreshAsync(cancellation) : default;

    private string? Withheld(ActiveRule rule, string scheme, in CanonicalHost host) =>
        scheme is not ("https" or "wss") && !rule.AllowPlaintext ? "the request goes over plain http; allow_plaintext: true would allow it"
        : unverified.Contains(host.Name) ? "tls.insecure_hosts leaves the host unverified, so anyone could be it"
        : null;

    private bool TryRead(ActiveRule rule, ActiveValue header, out string value)
    {
        var reading = header.Read();
        value = reading.Value;
        if (reading.IsNews)
            LogUnreadable(rule.Pattern, header.Name, reading.Problem!);
        return reading.Problem is null;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "headers withheld {Pattern} {Host} {Reason}")]
    private partial void LogWithheld(string pattern, string host, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "header left out {Pattern} {Header} {Problem}")]
    private partial void LogUnreadable(string pattern, string header, string problem);
}
