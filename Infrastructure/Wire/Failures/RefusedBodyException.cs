namespace Discobot.Infrastructure.Wire.Failures;

/// <summary>The body of a request turns out to be one that does not go upstream, while it is on its way.</summary>
/// <param name="error">What the client is told.</param>
internal sealed class RefusedBodyException(ProxyError error) : IOException(error.Reason)
{
    public ProxyError Error { get; } = error;
}
