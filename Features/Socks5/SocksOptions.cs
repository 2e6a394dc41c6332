using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Socks5;

/// <summary>The <c>socks</c> section. All of it needs a restart.</summary>
internal sealed record SocksOptions
{
    /// <summary>Who may use the proxy, by SOCKS5 and by HTTP. Empty: no name and password is asked for.</summary>
    public ImmutableArray<ProxyUser> Users { get; init; } = [];

    /// <summary>TLS and HTTP seen inside a SOCKS tunnel are intercepted, so that SOCKS is no way round rules, headers and cache.</summary>
    public bool Inspect { get; init; }

    /// <summary>UDP ASSOCIATE, under the allowlist.</summary>
    public bool Udp { get; init; }

    /// <summary>Reads the section; what is not written is as in <paramref name="fallback"/>.</summary>
    public static SocksOptions Read(ConfigNode section, SocksOptions? fallback = null)
    {
        fallback ??= new SocksOptions();
        return new SocksOptions
        {
            Users = section["users"].IsAbsent ? fallback.Users : ReadUsers(section["users"]),
            Inspect = section["inspect"].AsBool(fallback.Inspect),
            Udp = section["udp"].AsBool(fallback.Udp),
        };
    }

    private static ImmutableArray<ProxyUser> ReadUsers(ConfigNode node)
    {
        var users = ImmutableArray.CreateBuilder<ProxyUser>();
        foreach (var (name, value) in node.Entries())
        {
            if (value.IsAbsent)
                value.Error("a password is needed; env:NAME and file:/path keep it out of this file");
            var password = value.AsSecret();
            if (Encoding.UTF8.GetByteCount(name) is < 1 or > 255)
                value.Error("a user's name has 1 to 255 bytes");
            if (password is { Source: SecretSource.Literal } && Encoding.UTF8.GetByteCount(password.Text) > 255)
                value.Error("a password has 1 to 255 bytes");
            if (password is not null)
                users.Add(new ProxyUser(name, password));
        }

        return users.ToImmutable();
    }

    /// <summary>The passwords, and the key of each.</summary>
    public IEnumerable<(string Key, SecretText Value)> Secrets() => Users.Select(u => ($"socks.users.{u.Name}", u.Password));

    /// <summary>The section as JSON, secrets masked.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteStartObject("users");
        foreach (var user in Users)
            json.WriteString(user.Name, user.Password.ToString());
        json.WriteEndObject();
        json.WriteBoolean("inspect", Inspect);
        json.WriteBoolean("udp", Udp);
        json.WriteEndObject();
    }

    /// <summary>Differs when a user or a password does. Holds the passwords: for comparing only, and therefore no property that would print.</summary>
    public string UsersIdentity() => string.Join('\n', Users.Select(u => $"{u.Name}\0{u.Password.Source}\0{u.Password.Text}"));
}
