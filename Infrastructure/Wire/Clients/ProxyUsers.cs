using System.Net;
using System.Security.Cryptography;
using System.Text;
using Discobot.Infrastructure.Config;
using Microsoft.Extensions.Primitives;

namespace Discobot.Infrastructure.Wire.Clients;

/// <summary>Somebody who may use the proxy: both parts 1 to 255 bytes of UTF-8 (RFC 1929).</summary>
/// <param name="Name">What rules, logs and metrics call them.</param>
/// <param name="Password">The password, or its <see cref="PasswordHash"/>.</param>
/// <param name="IsHash">Which of the two.</param>
internal sealed record ProxyUser(string Name, SecretText Password, bool IsHash = false);

/// <summary>What became of a name and password.</summary>
/// <param name="IsAdmitted">Whether the client is served.</param>
/// <param name="Name">Who it is; null: nobody was asked, or it is the proxy itself.</param>
internal readonly record struct ProxyLogin(bool IsAdmitted, string? Name);

/// <summary>
/// Who may come in, by SOCKS5 (RFC 1929) and by HTTP (RFC 7617): <c>clients</c>, whose passwords are known by their hashes, and <c>socks.users</c>. Nobody
/// listed: everybody, unasked and without a name.
/// </summary>
internal sealed class ProxyUsers(IReadOnlyCollection<ProxyUser> users, SecretFiles files)
{
    /// <summary>The name of whoever has none, wherever clients are told apart. No client may be called so.</summary>
    public const string Unnamed = "unnamed";

    /// <summary>Stands for whoever it may be, where nobody knows any more for whom something is done. No client may be called so.</summary>
    public const string Anyone = "*";

    /// <summary>The answer to an HTTP client that did not say who it is, or not rightly.</summary>
    public static readonly ProxyError Unknown = new(StatusCodes.Status407ProxyAuthenticationRequired, "proxy_authentication",
        "This proxy asks for a name and password (clients, socks.users): http://NAME:PASSWORD@host:port in HTTP_PROXY and HTTPS_PROXY.");

    /// <summary>How it is asked for (RFC 7617, 2.1).</summary>
    public const string Challenge = "Basic realm=\"discobot\", charset=\"UTF-8\"";

    private const int LongestPart = 255;

    private readonly CheckedPasswords _checked = new();
    private readonly string _own = Convert.ToHexString(RandomNumberGenerator.GetBytes(16));

    /// <summary>Whether a name and password are asked for.</summary>
    public bool AreRequired => users.Count > 0;

    /// <summary>What lets in the proxy itself, where it is its own client: of this start alone, and known to nobody.</summary>
    public NetworkCredential? Own => AreRequired ? new NetworkCredential(Unnamed, _own) : null;

    /// <summary>Judges an HTTP client by its Proxy-Authorization, and where it comes from. Two of them are none.</summary>
    public ValueTask<ProxyLogin> AdmitAsync(StringValues authorization, IPAddress? from, CancellationToken cancellation) =>
        !AreRequired ? new(new ProxyLogin(true, null))
        : authorization is [{ } value] && TryReadBasic(value, out var name, out var password) ? AdmitAsync(name, password, from, cancellation)
        : new(default(ProxyLogin));

    /// <summary>Compares in time that tells nothing about names and passwords: their hashes, and all users' alike. Who is unknown costs what others do.</summary>
    public async ValueTask<ProxyLogin> AdmitAsync(byte[] name, byte[] password, IPAddress? from, CancellationToken cancellation)
    {
        if (name.Length is 0 or > LongestPart || password.Length is 0 or > LongestPart)
            return default;
        if (AreSame(name, Unnamed) & AreSame(password, _own))
            return new ProxyLogin(true, null);
        (ProxyUser? admitted, ProxyUser? hashed, var isNamed) = (null, null, false);
        foreach (var user in users)
        {
            await files.RefreshAsync(user.Password, cancellation);
            var known = files.Get(user.Password);
            var (isSame, isUsable) = (AreSame(name, user.Name), known.Problem is null && known.Value.Length > 0);
            isNamed |= isSame;
            if (user.IsHash && (isSame || hashed is null))
                hashed = user;
            else if (!user.IsHash && AreSame(password, known.Value) & isSame & isUsable)
                admitted = user;
        }

        if (hashed is not null && (!isNamed || AreSame(name, hashed.Name)))
        {
            var known = files.Get(hashed.Password);
            if (known.Problem is null && await _checked.VerifyAsync(from, name, known.Value, password, cancellation) && isNamed)
                admitted = hashed;
        }

        return new ProxyLogin(admitted is not null, admitted?.Name);
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
