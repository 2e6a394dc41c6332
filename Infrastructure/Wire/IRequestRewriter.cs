namespace Discobot.Infrastructure.Wire;

/// <summary>Changes a request on its way upstream, after the cache was asked and never what the client or the cache sees.</summary>
internal interface IRequestRewriter
{
    /// <summary>Rewrites <paramref name="upstream"/> in place.</summary>
    /// <param name="request">The request as the client sent it.</param>
    /// <param name="upstream">The message about to be sent; its Uri names the verified destination.</param>
    void Rewrite(HttpRequest request, HttpRequestMessage upstream);
}
