namespace Discobot.Infrastructure.Wire.Requests;

/// <summary>Sees that credentials which the agent does not hold go where they belong and nowhere else.</summary>
internal interface ICredentialGuard
{
    /// <summary>Judges the head of a request, before anybody logs it.</summary>
    /// <returns>The request as all further stages see it: its <see cref="ProxiedRequest.Sent"/> has what is asked for upstream. With an error, its
    /// path is one that can be shown.</returns>
    ValueTask<(ProxiedRequest Request, ProxyError? Error)> JudgeAsync(HttpContext context, ProxiedRequest request);

    /// <summary>Judges the fields behind the body of a request whose head was judged and has left.</summary>
    /// <returns>What is sent instead of them.</returns>
    /// <exception cref="RefusedBodyException">They must not go there: what has left of the request must not be brought to its end.</exception>
    IReadOnlyList<KeyValuePair<string, string>> JudgeTrailers(HttpContext context, IReadOnlyList<KeyValuePair<string, string>> trailers);
}

/// <summary>There are none.</summary>
internal sealed class NoCredentials : ICredentialGuard
{
    public ValueTask<(ProxiedRequest Request, ProxyError? Error)> JudgeAsync(HttpContext context, ProxiedRequest request) => new((request, null));

    public IReadOnlyList<KeyValuePair<string, string>> JudgeTrailers(HttpContext context, IReadOnlyList<KeyValuePair<string, string>> trailers) => trailers;
}
