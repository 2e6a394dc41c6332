namespace Discobot.Infrastructure.Wire.Requests;

/// <summary>By what a placeholder of a credential is known for one, whosever it is.</summary>
internal static class CredentialMark
{
    public const string Prefix = "dbot-";

    /// <summary>Whether a text may hold one. Who makes it up gets the treatment of a credential, which gives nothing.</summary>
    public static bool IsIn(string text) => text.Contains(Prefix, StringComparison.Ordinal);
}
