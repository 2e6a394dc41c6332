using System.Text;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Credentials;

/// <summary>One secret at work: its placeholder, its value as it is now, and where it may go.</summary>
internal sealed class HeldSecret(Credential credential, string placeholder, SecretFiles files, HostSet unverified, SecretCommand? command = null)
{
    // A server, or the cache, may repeat what was sent before its file changed.
    private const int MaxFormer = 8;

    private readonly HostSet _hosts = new(credential.Hosts);
    private readonly Lock _lock = new();
    private string[] _values = [];

    public string Name => credential.Name;

    public string Placeholder => placeholder;

    public CredentialPositions In => credential.In;

    /// <summary>Whether answers that hold the value show the placeholder.</summary>
    public bool Redacts => credential.Redact;

    /// <summary>Whether it takes a program to know it.</summary>
    public bool IsSaidByProgram => command is not null;

    /// <summary>Whether it is one of the hosts that may have it, and so may repeat it, by whatever way it is asked.</summary>
    public bool IsFor(string host) => _hosts.Contains(host);

    /// <summary>Why it must not go there; null: it may.</summary>
    public string? WhyNot(string method, string scheme, string host, string? client) =>
        !IsFor(host) ? $"secrets.{Name}.hosts does not name {host}"
        : !credential.Clients.IsEmpty && !credential.Clients.Contains(client ?? ProxyUsers.Unnamed) ? $"secrets.{Name}.clients does not name {client ?? ProxyUsers.Unnamed}"
        : scheme is not ("https" or "wss") && !credential.AllowPlaintext ? "the request goes over plain http; allow_plaintext: true would allow it"
        : unverified.Contains(host) ? "tls.insecure_hosts leaves the host unverified, so anyone could be it"
        // It makes the server send back what it received (RFC 9110, 9.3.8).
        : HttpMethods.IsTrace(method) ? "TRACE makes the server send back what it received"
        : null;

    /// <summary>Waits until <see cref="Read"/> knows what its file holds now, or its command says.</summary>
    public ValueTask RefreshAsync(CancellationToken cancellation) => command?.RefreshAsync(cancellation) ?? files.RefreshAsync(credential.Value!, cancellation);

    /// <returns>The value, and why it cannot be sent, which repeats no part of it. One that has expired is known all the same, and stays where it is.</returns>
    public (string? Value, string? Problem) Read()
    {
        if (command is not null)
        {
            var said = command.Read();
            if (said.Value is { } known)
                Note(known);
            return said;
        }

        var held = files.Get(credential.Value!);
        var problem = held.Problem ?? CredentialOptions.ValueProblem(credential.Value!, held.Value);
        if (problem is null && held.Value is { } value)
            Note(value);
        return problem is null ? (held.Value, null) : (null, problem);
    }

    /// <summary>The values that it has had since the start, the newest first, so many as are remembered.</summary>
    public IReadOnlyList<string> Values => Volatile.Read(ref _values);

    private void Note(string value)
    {
        if (Volatile.Read(ref _values) is [var newest, ..] && newest == value)
            return;
        lock (_lock)
            Volatile.Write(ref _values, [value, .. _values.Where(former => former != value).Take(MaxFormer)]);
    }
}

/// <summary>The credentials of RFC 7617, user and password behind Basic, as servers read them in whatever field they look into.</summary>
internal static class BasicCredentials
{
    private const string Scheme = "Basic";

    /// <summary>
    /// What they say, bytes as characters; null where they are none. Servers take either alphabet of Base64, want no padding and pass over what is in neither, so all of
    /// that is read here.
    /// </summary>
    public static string? Decode(string value)
    {
        if (value.Length <= Scheme.Length || value[Scheme.Length] is not (' ' or '\t') || !value.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
            return null;
        var decoded = new StringBuilder();
        // Behind padding some stop, and others go on with the next four.
        foreach (var part in value[(Scheme.Length + 1)..].Split('='))
        {
            var digits = new string([.. part.Where(c => char.IsAsciiLetterOrDigit(c) || c is '+' or '/' or '-' or '_')]).Replace('-', '+').Replace('_', '/');
            // A digit alone is no byte.
            digits = digits.Length % 4 == 1 ? digits[..^1] : digits;
            decoded.Append(Encoding.Latin1.GetString(Convert.FromBase64String(digits.PadRight((digits.Length + 3) / 4 * 4, '='))));
        }

        return decoded.Length == 0 ? null : decoded.ToString();
    }

    /// <summary>The value of the field, its scheme as the client wrote it.</summary>
    public static string Encode(string sent, string decoded) => sent[..(Scheme.Length + 1)] + Convert.ToBase64String(Encoding.Latin1.GetBytes(decoded));
}
