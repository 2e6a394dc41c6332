using System.Security.Cryptography;
using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Credentials;

/// <summary>
/// What the agent has in place of each secret. Init and the proxy make the same ones of one seed, so that a proxy that is started again in a
/// session knows what the agent was given; another session has others.
/// </summary>
internal static class Placeholders
{
    /// <summary>The variable by which init tells its proxy the seed.</summary>
    public const string SeedVariable = "DISCOBOT_PLACEHOLDERS";

    private const string FileName = "placeholders.env";

    public static string NewSeed() => RandomNumberGenerator.GetHexString(64, lowercase: true);

    /// <summary>128 bits, of characters that mean the same in a URL, in Base64's alphabet but for the dash, and in a shell.</summary>
    public static string Make(string seed, string name) =>
        CredentialMark.Prefix + Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(seed), Encoding.UTF8.GetBytes(name)).AsSpan(0, 16));

    /// <summary>The variables of the agent's environment.</summary>
    public static IReadOnlyDictionary<string, string> Variables(CredentialOptions options, string seed) =>
        options.Secrets.Where(s => s.Variable is not null).ToDictionary(s => s.Variable!, s => Make(seed, s.Name));

    /// <summary>Leaves them for whoever may read the API's token, beside it; those without a variable in comments.</summary>
    /// <exception cref="IOException">It cannot be written, as when it is an UnauthorizedAccessException.</exception>
    public static string Write(CredentialOptions options, string seed, string tokenFile)
    {
        var path = Path.Combine(Path.GetDirectoryName(tokenFile) ?? "/", FileName);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var lines = options.Secrets.Select(s => $"{(s.Variable is null ? $"# {s.Name}" : s.Variable)}={Make(seed, s.Name)}\n");
        AtomicFile.Write(path, Encoding.ASCII.GetBytes(string.Concat(lines)), UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return path;
    }
}
