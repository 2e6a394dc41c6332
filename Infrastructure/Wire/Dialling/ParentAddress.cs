using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Discobot.Infrastructure.Wire.Dialling;

/// <summary>How a parent proxy is spoken to.</summary>
internal enum ParentKind
{
    /// <summary>CONNECT for tunnels (RFC 9110, 9.3.6), absolute-form for plain requests (RFC 9112, 3.2.2).</summary>
    Http,

    /// <summary>RFC 1928 with names, which the parent resolves; RFC 1929 when there are credentials.</summary>
    Socks5,
}

/// <summary>A parent proxy: where it is, how it is spoken to, and who we are to it.</summary>
internal sealed record ParentAddress
{
    /// <summary>What may be written, for error messages.</summary>
    public const string Allowed = "http://[user:password@]host:port or socks5://[user:password@]host:port";

    private const int MaxSocksCredential = 255;

    public required ParentKind Kind { get; init; }

    public required ConnectTarget Target { get; init; }

    /// <summary><c>user:password</c>, percent-decoded; null: none are sent.</summary>
    public string? Credentials { get; init; }

    /// <summary>For errors and logs: without credentials.</summary>
    public override string ToString() => $"{Scheme}://{Target}";

    /// <summary>For showing the configuration: says that there are credentials.</summary>
    public string ToMaskedText() => Credentials is null ? ToString() : $"{Scheme}://***@{Target}";

    private string Scheme => Kind == ParentKind.Http ? "http" : "socks5";

    /// <summary>Reads <see cref="Allowed"/>. Without a port 80, for SOCKS 1080; <c>socks5h</c> is the same as <c>socks5</c>.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out ParentAddress? parent)
    {
        parent = null;
        var mark = text.IndexOf("://", StringComparison.Ordinal);
        ParentKind? kind = mark < 0 ? null : text[..mark].ToLowerInvariant() switch
        {
            "http" => ParentKind.Http,
            "socks5" or "socks5h" => ParentKind.Socks5,
            _ => null,
        };
        if (kind is null)
            return false;
        var rest = text.AsSpan(mark + 3);
        if (rest.EndsWith("/"))
            rest = rest[..^1];
        var at = rest.LastIndexOf('@');
        if (!ConnectTarget.TryParse(rest[(at + 1)..], kind == ParentKind.Http ? 80 : 1080, out var target))
            return false;
        var credentials = at <= 0 ? null : Uri.UnescapeDataString(rest[..at].ToString());
        if (kind == ParentKind.Socks5 && credentials is not null && Split(credentials) is var (user, password)
            && (user.Length is 0 or > MaxSocksCredential || password.Length > MaxSocksCredential))
            return false;
        parent = new ParentAddress { Kind = kind.Value, Target = target, Credentials = credentials };
        return true;
    }

    /// <summary>The credentials as UTF-8.</summary>
    public (byte[] User, byte[] Password) SplitCredentials() => Split(Credentials ?? "");

    private static (byte[] User, byte[] Password) Split(string credentials)
    {
        var colon = credentials.IndexOf(':', StringComparison.Ordinal);
        return colon < 0
            ? (Encoding.UTF8.GetBytes(credentials), [])
            : (Encoding.UTF8.GetBytes(credentials[..colon]), Encoding.UTF8.GetBytes(credentials[(colon + 1)..]));
    }
}
