namespace Discobot.Infrastructure.Wire;

/// <summary>Statuses whose answers have no content and no length of one (RFC 9110, 15.3.5 and 15.3.6). Some servers send one all the same; ours for
/// clients throws on it, so that whoever copies an answer has to leave it out.</summary>
internal static class StatusWithoutContent
{
    public static bool Is(int status) => status is StatusCodes.Status204NoContent or StatusCodes.Status205ResetContent;
}
