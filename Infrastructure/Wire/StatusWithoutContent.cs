namespace Discobot.Infrastructure.Wire;

/// <summary>Answers without content whatever comes with them, which some servers send all the same. A 205 should have none either (RFC 9110, 15.3.6), but what
/// it has is framed like any other body (RFC 9112, 6.3), so that it passes; but for Kestrel, which speaks HTTP/2 to clients and throws on it.</summary>
internal static class StatusWithoutContent
{
    /// <param name="status">Of the answer.</param>
    /// <param name="request">Whose protocol the client reads it by.</param>
    public static bool Is(int status, HttpRequest request) =>
        status == StatusCodes.Status204NoContent || (status == StatusCodes.Status205ResetContent && HttpProtocol.IsHttp2(request.Protocol));
}
