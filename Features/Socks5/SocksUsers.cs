using System.Security.Cryptography;
using System.Text;

namespace Discobot.Features.Socks5;

/// <summary>Who may come in (RFC 1929). Nobody listed: everybody, unasked.</summary>
internal sealed class SocksUsers(SocksOptions options)
{
    /// <summary>Whether a name and password are asked for.</summary>
    public bool AreRequired => !options.Users.IsEmpty;

    /// <summary>Compares in time that tells nothing about the password: its hash, and all users' alike.</summary>
    public bool Admit(in SocksCredentials credentials)
    {
        Span<byte> given = stackalloc byte[SHA256.HashSizeInBytes];
        Span<byte> known = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(credentials.Password, given);
        var admitted = false;
        foreach (var user in options.Users)
        {
            var resolved = user.Password.TryResolve(out var password);
            SHA256.HashData(Encoding.UTF8.GetBytes(password), known);
            admitted |= CryptographicOperations.FixedTimeEquals(given, known)
                & resolved & password.Length > 0 & user.Name == credentials.Name;
        }

        return admitted;
    }
}
