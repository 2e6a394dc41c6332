using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Allowlist;

/// <summary>One entry of <c>domains</c>: a pattern alone, or <c>{host, ports, methods, paths, query, clients}</c>.</summary>
/// <param name="Host">Whom it allows.</param>
/// <param name="Methods">Upper case; empty allows every method.</param>
/// <param name="Paths">Globs such as <c>/api/**</c> (<c>*</c> within a segment, <c>**</c> across); empty allows every path.</param>
internal sealed partial record DomainRule(HostPattern Host, ImmutableArray<string> Methods, ImmutableArray<string> Paths)
{
    /// <summary>The only ports it is for, whatever is spoken there; empty is every port for what is HTTP or TLS.</summary>
    public ImmutableArray<int> Ports { get; init; } = [];

    /// <summary>What its query has to be like; empty allows every query.</summary>
    public ImmutableArray<QueryParameter> Query { get; init; } = [];

    /// <summary>The only clients it is for, by name; empty is every client, with a name or without.</summary>
    public ImmutableArray<string> Clients { get; init; } = [];

    /// <summary>Whether it speaks of methods, paths or queries, which nobody sees in a tunnel that is not intercepted.</summary>
    public bool IsRestricted => Methods.Length + Paths.Length + Query.Length > 0;

    private bool IsHostAlone => !IsRestricted && Ports.IsEmpty && Clients.IsEmpty;

    // Longer ones would make a line of the log that nobody reads.
    private const int MaxAdvisedPath = 100;

    /// <summary>The entry as it stands in the file.</summary>
    public override string ToString()
    {
        var methods = Methods.IsEmpty ? "" : $", methods: [{string.Join(", ", Methods)}]";
        var paths = Paths.IsEmpty ? "" : $", paths: [{string.Join(", ", Paths.Select(p => $"\"{p}\""))}]";
        var ports = Ports.IsEmpty ? "" : $", ports: [{string.Join(", ", Ports)}]";
        var query = Query.IsEmpty ? "" : $", query: {{{string.Join(", ", Query)}}}";
        var clients = Clients.IsEmpty ? "" : $", clients: [{string.Join(", ", Clients)}]";
        return IsHostAlone ? $"\"{Host}\"" : $"{{host: \"{Host}\"{ports}{methods}{paths}{query}{clients}}}";
    }

    public static DomainRule? Read(ConfigNode node)
    {
        if (!node.IsMapping)
            return AddressProblem(node.Written) is { } problem ? Refuse(node, problem) : node.AsHostPattern() is { } pattern ? new DomainRule(pattern, [], []) : null;
        var host = node.Needed("host", $"is needed: {HostPattern.Allowed}");
        var rule = (Host: host.AsHostPattern(), Methods: ReadMethods(node["methods"]), Paths: node["paths"].AsStrings([], PathProblem), Query: QueryParameter.Read(node["query"]), Clients: node["clients"].AsStrings([]));
        ImmutableArray<int> ports = [.. node["ports"].AsStrings([], PortProblem).Select(p => int.Parse(p, CultureInfo.InvariantCulture))];
        foreach (var key in (string[])["ports", "methods", "paths", "clients"])
        {
            if (node[key].IsList && !node[key].Items().Any())
                node[key].Error($"must not be empty; leave it out to allow all {key}");
        }

        return rule.Host is null ? null : new DomainRule(rule.Host, rule.Methods, rule.Paths) { Ports = ports, Query = rule.Query, Clients = rule.Clients };
    }

    /// <summary>An entry of <c>deny</c>.</summary>
    public static DomainRule? ReadDenied(ConfigNode node)
    {
        var rule = Read(node);
        // By the time an address is dialled nobody knows for whom; what denies must not have such a gap.
        if (rule is { Clients.IsEmpty: false })
            node["clients"].Error("what is denied is denied to every client; name clients in the entries of domains");
        return rule;
    }

    // What the lists of others take: the address of a page, a name with a port. What is advised would be taken as it stands.
    private static string? AddressProblem(string? text)
    {
        if (text is null || HostPattern.TryParse(text, out _) || IpRange.TryParse(text, out _) || Address().Match(text) is not { Success: true } parts
            || !HostPattern.TryParse(parts.Groups["host"].Value, out var host) || IpRange.TryParse(host.Text, out _))
            return null;
        var (path, port) = (parts.Groups["path"].Value, parts.Groups["port"].Value);
        if ((port.Length > 0 && PortProblem(port) is not null) || (path.Length > 0 && PathProblem(path) is not null) || path.Length > MaxAdvisedPath || path.Contains('"'))
            return null;
        return $"is no host alone; write {new DomainRule(host, [], path is "" or "/" ? [] : [path]) { Ports = port.Length == 0 ? [] : [int.Parse(port, CultureInfo.InvariantCulture)] }}";
    }

    [GeneratedRegex("^(?:https?://)?(?<host>[^/:]+)(?::(?<port>[0-9]{1,5}))?(?<path>/[^?#]*)?$", RegexOptions.CultureInvariant)]
    private static partial Regex Address();

    private static DomainRule? Refuse(ConfigNode node, string problem)
    {
        node.Error($"{problem}, not {ConfigPath.Quote(node.Written!)}");
        return null;
    }

    public void Write(Utf8JsonWriter json)
    {
        if (IsHostAlone)
        {
            json.WriteStringValue(Host.Text);
            return;
        }

        json.WriteStartObject();
        json.WriteString("host", Host.Text);
        if (!Ports.IsEmpty)
        {
            json.WriteStartArray("ports");
            foreach (var port in Ports)
                json.WriteNumberValue(port);
            json.WriteEndArray();
        }

        if (!Methods.IsEmpty)
            json.WriteList("methods", Methods);
        if (!Paths.IsEmpty)
            json.WriteList("paths", Paths);
        if (!Query.IsEmpty)
        {
            json.WriteStartObject("query");
            foreach (var parameter in Query)
                parameter.Write(json);
            json.WriteEndObject();
        }

        if (!Clients.IsEmpty)
            json.WriteList("clients", Clients);
        json.WriteEndObject();
    }

    private static string? PortProblem(string port) => int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is > 0 and <= 65535
        ? null : $"must be a port from 1 to 65535, not {ConfigPath.Quote(port)}";

    private static ImmutableArray<string> ReadMethods(ConfigNode node) =>
        [.. node.AsStrings([], MethodProblem).Select(m => m.ToUpperInvariant())];

    // IANA's HTTP Method Registry, and what proxies, Vault and UPnP add to it.
    private static readonly FrozenSet<string> KnownMethods = FrozenSet.Create(
        "ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "CONNECT", "COPY", "DELETE", "GET", "HEAD", "LABEL", "LINK", "LOCK", "MERGE",
        "MKACTIVITY", "MKCALENDAR", "MKCOL", "MKREDIRECTREF", "MKWORKSPACE", "MOVE", "OPTIONS", "ORDERPATCH", "PATCH", "POST", "PRI", "PROPFIND",
        "PROPPATCH", "PUT", "QUERY", "REBIND", "REPORT", "SEARCH", "TRACE", "UNBIND", "UNCHECKOUT", "UNLINK", "UNLOCK", "UPDATE", "UPDATEREDIRECTREF",
        "VERSION-CONTROL", "BAN", "LIST", "PURGE", "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "M-SEARCH");

    // Registered methods are letters and hyphens. Others may exist (RFC 9110, 16.1.1), but none so near to a known one.
    private static string? MethodProblem(string method)
    {
        if (!method.All(c => char.IsAsciiLetter(c) || c == '-'))
            return $"must be a method, as in GET, not {ConfigPath.Quote(method)}{(method == "*" ? AllMethods : "")}";
        if (KnownMethods.Contains(method.ToUpperInvariant()))
            return null;
        if (method.ToUpperInvariant() is "ALL" or "ANY")
            return $"no method has the name {ConfigPath.Quote(method)}{AllMethods}";
        var meant = KnownMethods.Order(StringComparer.Ordinal).FirstOrDefault(m => NearestWord.Distance(m, method) <= (m.Length < 6 ? 1 : 2));
        return meant is null ? null : $"no method has the name {ConfigPath.Quote(method)}; did you mean \"{meant}\"?";
    }

    private const string AllMethods = "; leave methods out to allow all";

    private static string? PathProblem(string path) => PathGlob.TryParse(path, out _, out var problem) ? null : problem;
}
