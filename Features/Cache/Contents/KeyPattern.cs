using System.Diagnostics.CodeAnalysis;

namespace Discobot.Features.Cache.Contents;

/// <summary>A glob over addresses as the listing shows them: <c>*</c> is any run of characters, slashes too, <c>?</c> any one character.</summary>
/// <remarks>Matching remembers one star and never goes back further, so that no pattern takes longer than its length times the key's.</remarks>
internal sealed class KeyPattern
{
    private const int MaxLength = 2048;
    private const string Https = "https://";

    private readonly string _glob;

    private KeyPattern(string glob) => _glob = glob;

    /// <param name="text">The glob; an address of https may begin with its scheme or not.</param>
    /// <param name="pattern">Null when it can be none.</param>
    public static bool TryParse(string? text, [NotNullWhen(true)] out KeyPattern? pattern)
    {
        pattern = text is { Length: > 0 and <= MaxLength } ? new KeyPattern(Address(text)) : null;
        return pattern is not null;
    }

    /// <summary>An address as keys are written: without the scheme where that is https.</summary>
    public static string Address(string text) => text.StartsWith(Https, StringComparison.OrdinalIgnoreCase) ? text[Https.Length..] : text;

    public bool Matches(ReadOnlySpan<char> key)
    {
        var glob = _glob.AsSpan();
        int at = 0, next = 0, star = -1, resume = 0;
        while (at < key.Length)
        {
            if (next < glob.Length && glob[next] == '*')
            {
                (star, resume) = (next++, at);
            }
            else if (next < glob.Length && (glob[next] == '?' || glob[next] == key[at]))
            {
                next++;
                at++;
            }
            else if (star >= 0)
            {
                next = star + 1;
                at = ++resume;
            }
            else
            {
                return false;
            }
        }

        while (next < glob.Length && glob[next] == '*')
            next++;
        return next == glob.Length;
    }
}
