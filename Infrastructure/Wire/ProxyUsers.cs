using System.Security.Cryptography;
using System.Text;
using Discobot.Infrastructure.Config;
using Microsoft.Extensions.Primitives;

namespace Discobot.Infrastructure.Wire;

/// <summary>Somebody who may use the proxy: both parts 1 to 255 bytes of UTF-8 (RFC 1929).</summary>
internal sealed record ProxyUser(string Name, SecretText Password);

/// <summary>Who may come in, by SOCKS5 (RFC 1929) and by HTTP (RFC 7617). Nobody listed: everybody, unasked.</summary>
internal sealed class ProxyUsers(IReadOnlyCollection<ProxyUser> users, SecretFiles files)
{
    /// <summary>The answer to an HTTP client that did not say who it is, or not rightly.</summary>
    public static readonly ProxyError Unknown = new(StatusCodes.Status407ProxyAuthenticationRequired, "proxy_authentication",
        "This proxy asks for a name and password (socks.users): http://NAME:PASSWORD@host:port in HTTP_PROXY and HTTPS_PROXY.");

    /// <summary>How it is asked for (RFC 7617, 2.1).</summary>
    public const string Challenge = "Basic realm=\"discobot\", charset=\"UTF-8\"";

    /// <summary>Whether a name and password are asked for.</summary>
    public bool AreRequired => users.Count > 0;

    /// <summary>Judges an HTTP client by its Proxy-Authorization. Two of them are none.</summary>
    public ValueTask<bool> AdmitsAsync(StringValues authorization, CancellationToken cancellation) =>
        !AreRequired ? new(true)
        : authorization is [{ } value] && TryReadBasic(value, out var name, out var password) ? AdmitsAsync(name, password, cancellation)
        : new(false);

    /// <summary>Compares in time that tells nothing about names and passwords: their hashes, and all users' alike.</summary>
    public async ValueTask<bool> AdmitsAsync(byte[] name, byte[] password, CancellationToken cancellation)
    {
        foreach (var user in users)
            await files.RefreshAsync(user.Password, cancellation);
        return Admits(name, password);
    }

    private bool Admits(ReadOnlySpan<byte> name, ReadOnlySpan<byte> password)
    {
        var admitted = false;
        foreach (var user in users)
        {
            var known = files.Get(user.Password);
            admitted |= AreSame(password, known.Value) & AreSame(name, user.Name) & known.Problem is null & known.Value.Length > 0;
        }

        return admitted;
    }

    private static bool AreSame(ReadOnlySpan<byte> given, string known)
    {
        Span<byte> hashes = stackalloc byte[2 * SHA256.HashSizeInBytes];
        SHA256.HashData(given, hashes);
        SHA256.HashData(Encoding.UTF8.GetBytes(known), hashes[SHA256.HashSizeInBytes..]);
        return CryptographicOperations.FixedTimeEquals(hashes[..SHA256.HashSizeInBytes], hashes[SHA256.HashSizeInBytes..]);
    }

    // RFC 7617, 2: the scheme in any case; the name ends at the first colon.
    private static bool TryReadBasic(string value, out byte[] name, out byte[] password)
    {
        (name, password) = ([], []);
        if (!value.StartsWith("Basic ", StringComparison.OrdinalIgnoreCase))
            return false;
        var bytes = new byte[value.Length];
        if (!Convert.TryFromBase64String(value[6..].Trim(), bytes, out var length) || Array.IndexOf(bytes, (byte)':', 0, length) is not (>= 0 and var colon))
            return false;
        (name, password) = (bytes[..colon], bytes[(colon + 1)..length]);
        return true;
    }
}
