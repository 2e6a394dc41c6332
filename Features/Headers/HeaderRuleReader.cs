using System.Collections.Immutable;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Headers;

/// <summary>Reads one entry of <c>headers</c>: <c>set</c>, <c>append</c>, <c>conditions</c>, <c>allow_plaintext</c>.</summary>
internal static class HeaderRuleReader
{
    // They frame the message or choose its destination (RFC 9110, 7.2 and 7.6.1): a rule that set one would break or redirect the request.
    private static readonly ImmutableHashSet<string> Reserved = ImmutableHashSet.Create(
        StringComparer.OrdinalIgnoreCase,
        "Host", "Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "TE", "Trailer", "Keep-Alive",
        "Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate", "Expect");

    /// <summary>The rule; null, with its errors told, when there is none to make.</summary>
    public static HeaderRule? Read(string key, ConfigNode node)
    {
        var host = node.ToHostPattern(key);
        var set = ReadValues(node["set"]);
        var append = ReadValues(node["append"]);
        var conditions = node["conditions"].AsList<HeaderCondition>([], ReadCondition);
        var plaintext = node["allow_plaintext"].AsBool(false);
        if ((node.IsMapping || node.IsAbsent) && node["set"].IsAbsent && node["append"].IsAbsent)
            node.Error("does nothing; set or append is needed");
        return host is null ? null : new HeaderRule(host, set, append, conditions, plaintext);
    }

    private static ImmutableArray<HeaderValue> ReadValues(ConfigNode node)
    {
        var values = ImmutableArray.CreateBuilder<HeaderValue>();
        foreach (var (name, value) in node.Entries())
        {
            if (NameProblem(name) is { } problem)
                value.Error(problem);
            else if (values.Any(v => v.Name.Equals(name, StringComparison.OrdinalIgnoreCase)))
                value.Error("written twice; header names do not tell upper from lower case");
            if (ReadValue(value) is { } secret)
                values.Add(new HeaderValue(name, secret));
        }

        return values.ToImmutable();
    }

    private static HeaderCondition? ReadCondition(ConfigNode node)
    {
        const string need = "is needed; a condition has header and equals";
        var (header, equals) = (node.Needed("header", need), node.Needed("equals", need));
        var (name, value) = (header.AsString(), equals.IsAbsent ? null : ReadValue(equals));
        if (name is not null && !HttpToken.IsValid(name))
            header.Error("must be a header name, as in X-Team");
        return name is not null && value is not null ? new HeaderCondition(name, value) : null;
    }

    private static SecretText? ReadValue(ConfigNode node)
    {
        if (node.IsAbsent)
            node.Error("must not be empty");
        var secret = node.AsSecret();
        if (secret is not { Source: SecretSource.Literal } || secret.Text.All(c => c is '\t' or (>= ' ' and <= '~')))
            return secret;
        node.Error("must be printable ASCII on one line");
        return null;
    }

    private static string? NameProblem(string name) =>
        !HttpToken.IsValid(name) ? "must be a header name, as in X-Team"
        : Reserved.Contains(name) ? "must not be set; it belongs to the connection, not to the request"
        : null;
}
