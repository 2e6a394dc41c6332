using Discobot.Infrastructure.Http1;

namespace Discobot.Infrastructure.Wire;

/// <summary>Changes a request on its way upstream, after the cache was asked and never what the client or the cache sees.</summary>
internal interface IRequestRewriter
{
    /// <summary>Rewrites <paramref name="fields"/> in place.</summary>
    /// <param name="request">The request as the client sent it.</param>
    /// <param name="scheme"><c>http</c> or <c>https</c>: how it is about to be sent.</param>
    /// <param name="host">The verified destination, canonical.</param>
    /// <param name="fields">What is about to be sent.</param>
    void Rewrite(HttpRequest request, string scheme, string host, FieldList fields);
}
