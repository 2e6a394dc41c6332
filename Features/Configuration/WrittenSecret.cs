using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Configuration;

/// <summary>A value that is kept elsewhere, as <c>env:NAME</c> or <c>file:/path</c>, and the place in the file that says so.</summary>
/// <param name="IsHeader">Whether it is sent as the value of a header.</param>
internal sealed record WrittenSecret(ConfigNode Node, SecretText Secret, bool IsHeader)
{
    /// <summary>All of a file, in its order. Every key that takes such a value is here.</summary>
    public static IEnumerable<WrittenSecret> Of(ConfigNode root) =>
        Nodes(root).Select(found => (found.Node, found.IsHeader, Secret: SecretText.Reference(found.Node.Written)))
            .Where(found => found.Secret is not null).Select(found => new WrittenSecret(found.Node, found.Secret!, found.IsHeader));

    /// <summary>Why there is no value in this process that can be used; null: there is one.</summary>
    public string? Problem() => Problem(Secret) ?? (IsHeader && !IsPipe(Secret) && Secret.TryResolve(out var value) ? Secret.HeaderProblem(value) : null);

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

    private static IEnumerable<(ConfigNode Node, bool IsHeader)> Nodes(ConfigNode root)
    {
        foreach (var (_, rule) in root["headers"].Entries().Where(entry => entry.Value.IsMapping))
        {
            foreach (var (_, value) in rule["set"].Entries().Concat(rule["append"].Entries()))
                yield return (value, true);
            foreach (var condition in rule["conditions"].Items().Where(item => item.IsMapping))
                yield return (condition["equals"], false);
        }

        foreach (var (_, password) in root["socks"]["users"].Entries())
            yield return (password, false);
        foreach (var (_, secret) in root["secrets"].Entries().Where(entry => entry.Value.IsMapping))
            yield return (secret["value"], true);
        yield return (root["proxy"]["upstream"], false);
    }
}

/// <summary>Where a secret that is kept elsewhere was written.</summary>
/// <param name="Key">The whole path of the key.</param>
/// <param name="IsHeader">Whether it is sent as the value of a header.</param>
internal sealed record SecretPlace(string Key, ConfigPlace Place, SecretText Secret, bool IsHeader = false)
{
    /// <summary>Why its value cannot be used; null: it can. Never repeats a part of it.</summary>
    public string? ValueProblem(string value) => IsHeader ? Secret.HeaderProblem(value) : value.Length == 0 ? $"{Secret} is empty" : null;
}
