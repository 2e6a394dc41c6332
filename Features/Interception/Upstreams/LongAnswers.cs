namespace Discobot.Features.Interception.Upstreams;

/// <summary>Answers that may pause for as long as they like, since something may happen at any time: their silence says nothing about the server.</summary>
internal static class LongAnswers
{
    private static readonly string[] Types =
    [
        "text/event-stream", "application/grpc", "application/x-ndjson", "application/json-seq", "application/stream+json",
        "multipart/x-mixed-replace", "application/vnd.docker.raw-stream", "application/vnd.docker.multiplexed-stream",
    ];

    /// <param name="contentType">The media type, perhaps with parameters or a suffix such as <c>+proto</c>.</param>
    public static bool Contains(ReadOnlySpan<char> contentType)
    {
        contentType = contentType.Trim();
        foreach (var type in Types)
        {
            if (contentType.StartsWith(type, StringComparison.OrdinalIgnoreCase)
                && (contentType.Length == type.Length || contentType[type.Length] is ';' or '+' or '-' or ' '))
                return true;
        }

        return false;
    }
}
