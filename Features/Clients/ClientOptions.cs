using System.Collections.Immutable;
using System.Text.Json;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Clients;

/// <summary>The <c>clients</c> section: the names that clients have, and the hashes of their passwords. All of it needs a restart.</summary>
internal sealed record ClientOptions
{
    public ImmutableArray<ProxyUser> Users { get; init; } = [];

    public bool IsEmpty => Users.IsEmpty;

    /// <summary>Reads the section; when nothing is written, all is as in <paramref name="fallback"/>.</summary>
    public static ClientOptions Read(ConfigNode section, ClientOptions? fallback = null)
    {
        if (section.IsAbsent)
            return fallback ?? new ClientOptions();
        var users = ImmutableArray.CreateBuilder<ProxyUser>();
        foreach (var (name, node) in section.Entries())
        {
            if (NameProblem(name) is { } problem)
                node.Error(problem);
            if (node.IsAbsent)
                node.Error($"must be {PasswordHash.Allowed}; env:NAME and file:/path keep it out of this file");
            if (node.AsSecret() is not { } hash)
                continue;
            if (hash.Source == SecretSource.Literal && !PasswordHash.IsHash(hash.Text))
                node.Error($"must be {PasswordHash.Allowed}");
            users.Add(new ProxyUser(name, hash, IsHash: true));
        }

        return new ClientOptions { Users = users.ToImmutable() };
    }

    /// <summary>What is wrong with a name; null: it can be one. It stands in logs, metrics and rules, and in front of a colon (RFC 7617).</summary>
    public static string? NameProblem(string name) =>
        name is ProxyUsers.Unnamed ? $"\"{ProxyUsers.Unnamed}\" is what those are called who have no name"
        : name.Length is 0 or > 64 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.') ? "a client's name has at most 64 letters, digits, \"-\", \"_\" and \".\", as in build-1" : null;

    /// <summary>Why a value that is kept elsewhere cannot be one; null: it can. Repeats no part of it.</summary>
    public static string? HashProblem(SecretText secret, string value) => PasswordHash.IsHash(value) ? null : $"{secret} does not hold {PasswordHash.Allowed}";

    /// <summary>The hashes, and the key of each.</summary>
    public IEnumerable<(string Key, SecretText Value)> Secrets() => Users.Select(u => ($"clients.{u.Name}", u.Password));

    /// <summary>The section as JSON, hashes masked: whoever has one can guess the password.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        foreach (var user in Users)
            json.WriteString(user.Name, user.Password.ToString());
        json.WriteEndObject();
    }

    /// <summary>Differs when a client or a hash does. Holds the hashes: for comparing only.</summary>
    public string Identity() => string.Join('\n', Users.Select(u => $"{u.Name}\0{u.Password.Source}\0{u.Password.Text}"));
}
