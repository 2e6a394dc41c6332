namespace Discobot.Features.Init.Workspace;

/// <summary>
/// Where a workspace is cloned from, with the credentials of its URL taken out: git would write the URL into <c>.git/config</c>, and the
/// agent's environment has it.
/// </summary>
/// <param name="Url">A path, or a URL without a password.</param>
/// <param name="User">What the URL names before the <c>@</c>; null when nothing was taken out.</param>
/// <param name="Password">Empty for a token that stands in the place of the user.</param>
internal sealed record GitSource(string Url, string? User = null, string Password = "")
{
    private const string UserVariable = "DISCOBOT_CLONE_USER";
    private const string PasswordVariable = "DISCOBOT_CLONE_PASSWORD";

    /// <summary>Takes the credentials out of a URL. The user of an ssh URL is no secret and stays.</summary>
    public static GitSource Parse(string text)
    {
        var start = text.IndexOf("://", StringComparison.Ordinal);
        if (start < 1 || text.StartsWith('/'))
            return new GitSource(text);
        start += 3;
        var end = text.IndexOfAny(['/', '?', '#'], start) is var slash and >= 0 ? slash : text.Length;

        // Up to the last '@' of the authority: passwords hold '@' and ':' as well.
        var at = text.LastIndexOf('@', end - 1, end - start);
        if (at < 0)
            return new GitSource(text);
        var (before, credentials) = (text[..start], text[start..at]);
        var colon = credentials.IndexOf(':', StringComparison.Ordinal);
        var (user, password) = colon < 0 ? (credentials, "") : (credentials[..colon], credentials[(colon + 1)..]);
        return before.StartsWith("http", StringComparison.OrdinalIgnoreCase)
            ? new GitSource(before + text[(at + 1)..], Uri.UnescapeDataString(user), Uri.UnescapeDataString(password))
            : new GitSource($"{before}{user}{text[at..]}");
    }

    /// <summary>Options that make git ask for the credentials here, and at this server alone (gitcredentials(7)).</summary>
    public IEnumerable<string> CredentialOptions()
    {
        if (User is null)
            yield break;
        var server = Url[..(Url.IndexOf('/', Url.IndexOf("://", StringComparison.Ordinal) + 3) is var slash and >= 0 ? slash : Url.Length)];
        yield return "-c";
        yield return $"credential.{server}.helper=!f() {{ [ \"$1\" != get ] || printf 'username=%s\\npassword=%s\\n' \"${UserVariable}\" \"${PasswordVariable}\"; }}; f";
    }

    /// <summary>What those options read.</summary>
    public void AddCredentials(Dictionary<string, string> environment)
    {
        if (User is null)
            return;
        environment[UserVariable] = User;
        environment[PasswordVariable] = Password;
    }
}
