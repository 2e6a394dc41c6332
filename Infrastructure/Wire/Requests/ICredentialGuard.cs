namespace Discobot.Infrastructure.Wire.Requests;

/// <summary>Sees that credentials which the agent does not hold go where they belong and nowhere else.</summary>
internal interface ICredentialGuard
{
    /// <summary>Judges the head of a request, before anybody logs it.</summary>
    /// <returns>The request as all further stages see it: its <see cref="ProxiedRequest.Sent"/> has what is asked for upstream. With an error, its
    /// path is one that can be shown.</returns>
    ValueTask<(ProxiedRequest Request, ProxyError? Error)> JudgeAsync(HttpContext context, ProxiedRequest request);
}

/// <summary>There are none.</summary>
internal sealed class NoCredentials : ICredentialGuard
{
    public ValueTask<(ProxiedRequest Request, ProxyError? Error)> JudgeAsync(HttpContext context, ProxiedRequest request) => new((request, null));
}
