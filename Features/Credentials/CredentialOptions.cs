using System.Collections.Immutable;
using System.Text.Json;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Credentials;

/// <summary>Where in a request a placeholder may stand.</summary>
[Flags]
internal enum CredentialPositions
{
    None = 0,

    /// <summary>In the value of any field.</summary>
    Header = 1,

    /// <summary>In the user or password of <c>Authorization: Basic</c> (RFC 7617).</summary>
    Basic = 2,

    /// <summary>Behind the question mark.</summary>
    Query = 4,
}

/// <summary>The <c>secrets</c> section. All of it needs a restart, but for the values.</summary>
internal sealed record CredentialOptions
{
    public ImmutableArray<Credential> Secrets { get; init; } = [];

    public bool IsEmpty => Secrets.IsEmpty;

    /// <summary>Reads the section; when nothing is written, all is as in <paramref name="fallback"/>.</summary>
    public static CredentialOptions Read(ConfigNode section, CredentialOptions? fallback = null)
    {
        if (section.IsAbsent)
            return fallback ?? new CredentialOptions();
        var secrets = ImmutableArray.CreateBuilder<Credential>();
        foreach (var (name, node) in section.Entries())
        {
            if (Credential.Read(name, node) is not { } secret)
                continue;
            if (secrets.FirstOrDefault(s => s.Variable is not null && s.Variable == secret.Variable) is { } twin)
                node["env"].Error($"is the variable of secrets.{twin.Name} as well; each needs one of its own");
            secrets.Add(secret);
        }

        return new CredentialOptions { Secrets = secrets.ToImmutable() };
    }

    /// <summary>Shorter values stand in requests by chance, and guessing them takes no proxy.</summary>
    public const int LeastLength = 8;

    /// <summary>Why a value cannot be one; null: it can. Repeats no part of it.</summary>
    /// <remarks>Beyond visible ASCII it would have one spelling in a field, another in Basic and a third in a query.</remarks>
    public static string? ValueProblem(object secret, string value) =>
        value.Length < LeastLength ? $"{secret} is shorter than {LeastLength} characters"
        : value.Any(c => c is <= ' ' or > '~') ? $"{secret} holds blanks, line breaks or characters beyond ASCII" : null;

    /// <summary>Where the values are, and the key of each.</summary>
    public IEnumerable<(string Key, SecretText Value)> Sources() => Secrets.Where(s => s.Value is not null).Select(s => ($"secrets.{s.Name}", s.Value!));

    /// <summary>The section as JSON: where values are, never what they are.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        foreach (var secret in Secrets)
        {
            json.WritePropertyName(secret.Name);
            secret.Write(json);
        }

        json.WriteEndObject();
    }

    /// <summary>Differs when anything of it does.</summary>
    public string Identity() => string.Join('\n', Secrets.Select(s => $"{s.Name} {s.Value} {(s.Command is { } c ? $"{string.Join('\0', c.Command)} {c.Ttl} {c.Timeout}" : "")} {string.Join(' ', s.Hosts.Select(h => h.Text))} {s.In} {s.Variable} {s.AllowPlaintext} {s.Redact} {string.Join(' ', s.Clients)}"));
}

/// <summary>A secret that the proxy has and the agent has not.</summary>
/// <param name="Name">What logs, errors and the audit call it.</param>
/// <param name="Value">Where it is; null: <see cref="Command"/> says it.</param>
/// <param name="Hosts">To whom it may go.</param>
/// <param name="In">Where its placeholder is replaced.</param>
/// <param name="Variable">The variable of the agent's environment that holds the placeholder; null: none.</param>
/// <param name="AllowPlaintext">Also over http, where anyone on the way can read it.</param>
/// <param name="Redact">Whether answers that hold the value show the placeholder.</param>
internal sealed record Credential(
    string Name, SecretText? Value, ImmutableArray<HostPattern> Hosts, CredentialPositions In, string? Variable, bool AllowPlaintext, bool Redact)
{
    /// <summary>What says it; null: <see cref="Value"/> does.</summary>
    public SecretCommandOptions? Command { get; init; }

    /// <summary>The clients who may use it, by name; empty: whoever has the placeholder.</summary>
    public ImmutableArray<string> Clients { get; init; } = [];

    private static readonly (string Word, CredentialPositions Position)[] Words =
        [("header", CredentialPositions.Header), ("basic", CredentialPositions.Basic), ("query", CredentialPositions.Query)];

    /// <summary>The secret; null, with its errors told, when there is none to make.</summary>
    public static Credential? Read(string name, ConfigNode node)
    {
        // The name stands in errors, logs and the audit.
        if (name.Length is 0 or > 64 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.'))
            node.Error("must be named by at most 64 letters, digits, \"-\", \"_\" and \".\", as in github");
        var (value, command) = (node["value"].AsSecret(), SecretCommandOptions.Read(node));
        if (!node["value"].IsAbsent && !node["command"].IsAbsent)
            node["command"].Error("must not be there beside value: one of them says what the secret is");
        else if (node["value"].IsAbsent && node["command"].IsAbsent)
            node["value"].Error("is needed: env:NAME, or file:/path; or command, a program that says it");
        else if (value is { Source: SecretSource.Literal })
            node["value"].Error("must be env:NAME or file:/path: written out here, everybody who reads this file would have it");
        var hosts = node["hosts"].AsList<HostPattern>([], ReadHost);
        if (node["hosts"].IsAbsent || (node["hosts"].IsList && !node["hosts"].Items().Any()))
            node["hosts"].Error("is needed: the hosts that may have it, as in [api.github.com]");
        var positions = ReadPositions(node["in"]);
        var variable = node["env"].AsString();
        if (variable is not null && (char.IsAsciiDigit(variable[0]) || !variable.All(c => char.IsAsciiLetterOrDigit(c) || c == '_')))
            node["env"].Error("must be the name of a variable, as in GITHUB_TOKEN");
        var plaintext = node["allow_plaintext"].AsBool(false);
        var redact = node["redact"].AsBool(true);
        var clients = node["clients"].AsStrings([]);
        if (node["clients"].IsList && clients.IsEmpty)
            node["clients"].Error("must not be empty; leave it out for every client");
        return value is null ? command is null ? null : Made() : value.Source == SecretSource.Literal ? null : Made();
        Credential Made() => new(name, value, hosts, positions, variable, plaintext, redact) { Clients = clients, Command = command };
    }

    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        if (Value is not null)
            json.WriteString("value", Value.ToString());
        if (Command is { } command)
        {
            json.WriteList("command", command.Command);
            if (command.HasTtl)
                json.WriteString("ttl", Quantity.Format(command.Ttl));
            json.WriteString("timeout", Quantity.Format(command.Timeout));
        }

        json.WriteStartArray("hosts");
        foreach (var host in Hosts)
            json.WriteStringValue(host.Text);
        json.WriteEndArray();
        json.WriteStartArray("in");
        foreach (var (word, position) in Words.Where(w => In.HasFlag(w.Position)))
            json.WriteStringValue(word);
        json.WriteEndArray();
        if (Variable is not null)
            json.WriteString("env", Variable);
        json.WriteBoolean("allow_plaintext", AllowPlaintext);
        json.WriteBoolean("redact", Redact);
        if (!Clients.IsEmpty)
            json.WriteList("clients", Clients);
        json.WriteEndObject();
    }

    // What begins with a name may be anybody's, and so may what is below a name of one label.
    private static HostPattern? ReadHost(ConfigNode node)
    {
        if (node.AsHostPattern() is not { } pattern)
            return null;
        if (pattern.Kind is HostPatternKind.Exact || (pattern.Kind == HostPatternKind.Suffix && pattern.Name.Contains('.')))
            return pattern;
        node.Error("must name whose the hosts are, as in api.example.com or *.example.com: others could have it here");
        return null;
    }

    private static CredentialPositions ReadPositions(ConfigNode node)
    {
        if (node.IsAbsent)
            return CredentialPositions.Header | CredentialPositions.Basic;
        var positions = CredentialPositions.None;
        foreach (var item in node.Items())
            positions |= item.AsWord(CredentialPositions.None, Words);
        if (node.IsList && !node.Items().Any())
            node.Error("must name header, basic or query");
        return positions;
    }
}
