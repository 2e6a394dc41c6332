using System.Globalization;

namespace Discobot.Features.Telemetry;

/// <summary>A request in the words of the semantic conventions, of which there are few, so that metrics have few series.</summary>
internal static class HttpWords
{
    public const string OtherMethod = "_OTHER";

    public static string Method(Flow flow) =>
        flow.Method is "CONNECT" or "DELETE" or "GET" or "HEAD" or "OPTIONS" or "PATCH" or "POST" or "PUT" or "TRACE" ? flow.Method : OtherMethod;

    /// <summary>Null: it cannot be told from what is known of the flow.</summary>
    public static string? Version(Flow flow) => flow.Protocol switch
    {
        "h1" => "1.1",
        "h2" or "grpc" => "2",
        _ => null,
    };

    /// <summary>Null: nothing went wrong.</summary>
    public static string? ErrorType(Flow flow) => flow switch
    {
        { Error: { } word } when !word.Contains(' ', StringComparison.Ordinal) => word,
        { Error: not null } => "_OTHER",
        { IsComplete: false } => "incomplete",
        { Status: >= 500 } => flow.Status.ToString(CultureInfo.InvariantCulture),
        _ => null,
    };
}
