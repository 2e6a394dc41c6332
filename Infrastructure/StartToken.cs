using System.Security.Cryptography;

namespace Discobot.Infrastructure;

/// <summary>Tells the proxy that one container started from those of others: containers of a pod share ports, and process numbers repeat in each.
/// No secret: nobody else's proxy can know it beforehand.</summary>
internal static class StartToken
{
    /// <summary>Holds it for the proxy, which repeats it in <c>/health</c>.</summary>
    public const string Variable = "DISCOBOT_START_TOKEN";

    /// <summary>Holds it for whoever asks later whether this container's proxy serves.</summary>
    public const string SeenFile = "/run/discobot/proxy-start";

    public static string Create() => RandomNumberGenerator.GetHexString(32, lowercase: true);

    /// <summary>The token of this container's last start of the proxy; null when it is not told.</summary>
    public static string? Read(string file)
    {
        try
        {
            return File.Exists(file) ? File.ReadAllText(file).Trim() : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
