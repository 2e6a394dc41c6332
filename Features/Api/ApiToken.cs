using System.Security.Cryptography;
using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Api;

/// <summary>
/// The bearer token (RFC 6750) in <c>api.token_file</c>, which only root and the proxy can read. Made once and kept, so that scripts go on
/// working after a restart. Without a token nothing that needs one is allowed.
/// </summary>
internal sealed class ApiToken
{
    private const int LeastLength = 16;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly byte[]? _token;

    public ApiToken(ApiOptions options, ILogger<ApiToken> log)
    {
        if (!options.IsProtected)
            return;
        try
        {
            var text = File.Exists(options.TokenFile) ? RegularFile.ReadAllText(options.TokenFile).Trim() : Make(options.TokenFile);
            if (text.Length >= LeastLength)
                _token = Encoding.UTF8.GetBytes(text);
            else
                log.LogWarning("API token is shorter than {Least} characters and not used file={File}", LeastLength, options.TokenFile);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            log.LogWarning("no API token, the configuration cannot be changed through the API: {Reason}", e.Message);
        }
    }

    /// <summary>The token itself, for whoever has proved that they may read it; null: there is none.</summary>
    public string? Text => _token is null ? null : Encoding.UTF8.GetString(_token);

    /// <summary>Whether an Authorization field carries the token. Takes the same time whatever is wrong.</summary>
    public bool IsCarriedBy(string? authorization) =>
        _token is not null
        && authorization is not null
        && authorization.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase)
        && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(authorization["Bearer ".Length..].Trim()), _token);

    private static string Make(string path)
    {
        var text = RandomNumberGenerator.GetHexString(64, lowercase: true);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        AtomicFile.Write(path, Encoding.ASCII.GetBytes(text + "\n"), OwnerOnly);
        return text;
    }
}
