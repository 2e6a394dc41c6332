using Discobot.Features.Clients;
using Discobot.Features.Credentials;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Configuration;

/// <summary>A value that is kept elsewhere, as <c>env:NAME</c> or <c>file:/path</c>, and the place in the file that says so.</summary>
/// <param name="Use">What for.</param>
internal sealed record WrittenSecret(ConfigNode Node, SecretText Secret, SecretUse Use)
{
    /// <summary>All of a file, in its order. Every key that takes such a value is here.</summary>
    public static IEnumerable<WrittenSecret> Of(ConfigNode root) =>
        Nodes(root).Select(found => (found.Node, found.Use, Secret: SecretText.Reference(found.Node.Written)))
            .Where(found => found.Secret is not null).Select(found => new WrittenSecret(found.Node, found.Secret!, found.Use));

    /// <summary>Why there is no value in this process that can be used; null: there is one.</summary>
    public string? Problem() => Problem(Secret) ?? (!IsPipe(Secret) && Secret.TryResolve(out var value) ? SecretPlace.ValueProblem(Use, Secret, value) : null);

    /// <summary>Why there is no value in this process; null: there is one.</summary>
    /// <remarks>A pipe is a good place for a secret, and whoever looks takes it out.</remarks>
    public static string? Problem(SecretText secret) => secret switch
    {
        { Source: SecretSource.Environment } => Environment.GetEnvironmentVariable(secret.Text) is { } value
            ? value.Length == 0 ? $"the environment variable {secret.Text} is empty here: set it for the proxy" : null
            : $"the environment variable {secret.Text} is not set here: set it for the proxy, or keep the value in a file (file:/path)",
        { Source: SecretSource.File } when !IsPipe(secret) => NamedFiles.ReadingProblem(secret.Text) is { } problem ? $"{secret.Text} {problem}"
            : secret.TryResolve(out var reason) ? null : reason,
        _ => null,
    };

    public static bool IsPipe(SecretText secret) => secret.Source == SecretSource.File && Libc.StatusOf(secret.Text) is { Kind: FileKind.Other };

    private static IEnumerable<(ConfigNode Node, SecretUse Use)> Nodes(ConfigNode root)
    {
        foreach (var (_, rule) in root["headers"].Entries().Where(entry => entry.Value.IsMapping))
        {
            foreach (var (_, value) in rule["set"].Entries().Concat(rule["append"].Entries()))
                yield return (value, SecretUse.Header);
            foreach (var condition in rule["conditions"].Items().Where(item => item.IsMapping))
                yield return (condition["equals"], SecretUse.Text);
        }

        foreach (var (_, hash) in root["clients"].Entries())
            yield return (hash, SecretUse.PasswordHash);
        foreach (var (_, password) in root["socks"]["users"].Entries())
            yield return (password, SecretUse.Text);
        foreach (var (_, secret) in root["secrets"].Entries().Where(entry => entry.Value.IsMapping))
            yield return (secret["value"], SecretUse.Credential);
        yield return (root["proxy"]["upstream"], SecretUse.Text);
    }
}

/// <summary>Where a secret that is kept elsewhere was written.</summary>
/// <param name="Key">The whole path of the key.</param>
/// <param name="Use">What for.</param>
internal sealed record SecretPlace(string Key, ConfigPlace Place, SecretText Secret, SecretUse Use = SecretUse.Text)
{
    /// <summary>Why its value cannot be used; null: it can. Never repeats a part of it.</summary>
    public string? ValueProblem(string value) => value.Length == 0 ? $"{Secret} is empty" : ValueProblem(Use, Secret, value);

    public static string? ValueProblem(SecretUse use, SecretText secret, string value) => use switch
    {
        SecretUse.Header => secret.HeaderProblem(value),
        SecretUse.Credential => CredentialOptions.ValueProblem(secret, value),
        SecretUse.PasswordHash => ClientOptions.HashProblem(secret, value),
        _ => null,
    };
}

/// <summary>What a secret is used for, which says what it may consist of.</summary>
internal enum SecretUse
{
    /// <summary>It is compared, or sent as it is.</summary>
    Text,

    /// <summary>It is the value of a header.</summary>
    Header,

    /// <summary>It is one of <c>secrets</c>.</summary>
    Credential,

    /// <summary>It is the hash of a client's password.</summary>
    PasswordHash,
}
