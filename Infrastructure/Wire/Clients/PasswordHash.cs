using System.Text;
using System.Text.RegularExpressions;
using Org.BouncyCastle.Crypto.Generators;

namespace Discobot.Infrastructure.Wire.Clients;

/// <summary>Hashes of passwords as crypt(3) writes them: SHA-crypt (<c>$6$</c>, <c>$5$</c>) and bcrypt (<c>$2b$</c>, <c>$2y$</c>, <c>$2a$</c>).</summary>
internal static partial class PasswordHash
{
    /// <summary>What can be one, and how it is made.</summary>
    public const string Allowed = "the hash of a password: $6$… as `openssl passwd -6` makes it, or $2y$… as `htpasswd -nB NAME` does behind the colon";

    /// <summary>Whether a text is one that <see cref="Verify"/> can use.</summary>
    public static bool IsHash(string text) => ShaCrypt.IsHash(text) || Bcrypt().IsMatch(text);

    /// <summary>Whether it is the hash of a password. Takes as long as its cost says: milliseconds to a second of a processor.</summary>
    public static bool Verify(string hash, byte[] password)
    {
        // crypt(3) ends a password there.
        if (password.Contains((byte)0) || !IsHash(hash))
            return false;
        try
        {
            return hash[1] == '2' ? OpenBsdBCrypt.CheckPassword(hash, Encoding.UTF8.GetString(password).ToCharArray()) : ShaCrypt.Verify(hash, password);
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            // What cannot be computed is nobody's password.
            return false;
        }
    }

    // A cost of 14 is a second; with more, a client that says it wrongly keeps a processor for long. "$" would also be in front of a line break at the end.
    [GeneratedRegex(@"^\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}\z", RegexOptions.CultureInvariant)]
    private static partial Regex Bcrypt();
}
