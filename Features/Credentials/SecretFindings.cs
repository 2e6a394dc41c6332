using Discobot.Infrastructure.Wire;
using Microsoft.Net.Http.Headers;

namespace Discobot.Features.Credentials;

/// <summary>What of a secret stands in fields.</summary>
/// <param name="Carries">Where the placeholder does.</param>
/// <param name="HoldsValue">Whether the secret itself does.</param>
/// <param name="IsElsewhere">Whether either does where servers and proxies log it.</param>
internal readonly record struct SecretFindings(CredentialPositions Carries, bool HoldsValue, bool IsElsewhere)
{
    /// <param name="fields">Of a head, or behind a body.</param>
    /// <param name="placeholder">What the agent has.</param>
    /// <param name="value">The secret; null: it is not known.</param>
    public static SecretFindings In(IEnumerable<KeyValuePair<string, string>> fields, string placeholder, string? value)
    {
        var (carries, holdsValue, isElsewhere) = (CredentialPositions.None, false, false);
        foreach (var (name, field) in fields)
        {
            if (name[0] == ':' || StaysHere(name))
                continue;
            var basic = BasicCredentials.Decode(field);
            // A name is shown by logs of servers, and no server looks for a credential there. Its case does not count, and HTTP/2 changes it.
            var (namesPlaceholder, namesValue) = (HoldsIgnoringCase(name, placeholder), value is not null && HoldsIgnoringCase(name, value));
            isElsewhere |= namesPlaceholder || namesValue;
            holdsValue |= value is not null && (namesValue || Holds(field, value) || (basic is not null && Holds(basic, value)));
            if (namesPlaceholder)
                carries |= CredentialPositions.Header;
            if (NamesThings(name) ? HoldsIgnoringCase(field, placeholder) : Holds(field, placeholder))
            {
                carries |= CredentialPositions.Header;
                isElsewhere |= NamesThings(name);
            }

            if (basic is not null && Holds(basic, placeholder))
                carries |= CredentialPositions.Basic;
        }

        return new(carries, holdsValue, isElsewhere);
    }

    /// <summary>As it is, or percent-encoded.</summary>
    public static bool Holds(string text, string sought) =>
        text.Contains(sought, StringComparison.Ordinal) || (text.Contains('%') && Uri.UnescapeDataString(text).Contains(sought, StringComparison.Ordinal));

    public static bool HoldsIgnoringCase(string text, string sought) => text.Contains(sought, StringComparison.OrdinalIgnoreCase);

    // Of the fields of a connection two reach the server as the client wrote them.
    private static bool StaysHere(string name) => HopByHop.Contains(name) && !NamesThings(name);

    private static bool NamesThings(string name) => name.Equals(HeaderNames.Host, StringComparison.OrdinalIgnoreCase)
        || name.Equals(HeaderNames.Trailer, StringComparison.OrdinalIgnoreCase) || name.Equals(HeaderNames.Upgrade, StringComparison.OrdinalIgnoreCase);
}
