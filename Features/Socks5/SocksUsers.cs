using System.Security.Cryptography;
using System.Text;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Socks5;

/// <summary>Who may come in (RFC 1929). Nobody listed: everybody, unasked.</summary>
internal sealed class SocksUsers(SocksOptions options, SecretFiles files)
{
    /// <summary>Whether a name and password are asked for.</summary>
    public bool AreRequired => !options.Users.IsEmpty;

    /// <summary>Compares in time that tells nothing about the password: its hash, and all users' alike.</summary>
    public async ValueTask<bool> AdmitAsync(SocksCredentials credentials, CancellationToken cancellation)
    {
        foreach (var user in options.Users)
            await files.RefreshAsync(user.Password, cancellation);
        return Admit(credentials);
    }

    private bool Admit(in SocksCredentials credentials)
    {
        Span<byte> given = stackalloc byte[SHA256.HashSizeInBytes];
        Span<byte> known = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(credentials.Password, given);
        var admitted = false;
        foreach (var user in options.Users)
        {
            var password = files.Get(user.Password);
            SHA256.HashData(Encoding.UTF8.GetBytes(password.Value), known);
            admitted |= CryptographicOperations.FixedTimeEquals(given, known)
                & password.Problem is null & password.Value.Length > 0 & user.Name == credentials.Name;
        }

        return admitted;
    }
}
