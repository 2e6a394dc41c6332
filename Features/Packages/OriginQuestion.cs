using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Packages;

/// <summary>
/// Asks an origin for a document on behalf of a client, through the stages that follow, so that the cache has it and confirms it, and the client's
/// credentials and the header rules count. The answer is kept in memory, within a limit.
/// </summary>
internal sealed class OriginQuestion
{
    private static readonly string[] OwnFields =
    [
        "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range", "Accept", "Accept-Encoding", "Connection",
    ];

    private readonly DocumentMemory _memory;
    private readonly HttpContext _client;
    private readonly HttpContext _context;
    private readonly Lifetime _lifetime;

    /// <param name="memory">Where the answer is kept.</param>
    /// <param name="client">Who is answered.</param>
    /// <param name="address">What is asked for.</param>
    /// <param name="accept">Which form of it.</param>
    public OriginQuestion(DocumentMemory memory, HttpContext client, ProxiedRequest address, string accept)
    {
        (_memory, _client) = (memory, client);
        var features = new FeatureCollection();
        var request = new HttpRequestFeature { Method = HttpMethods.Get, Protocol = HttpProtocol.Http11, Scheme = address.Scheme, Path = "/", RawTarget = address.PathAndQuery };
        features.Set<IHttpRequestFeature>(request);
        features.Set<IHttpResponseFeature>(new HttpResponseFeature());
        _context = new DefaultHttpContext(features);
        _lifetime = new Lifetime(client.RequestAborted);
        features.Set<IHttpRequestLifetimeFeature>(_lifetime);
        // What proves who asks for a connection (NTLM, Negotiate) does so on the client's own.
        features.Set(client.Features.Get<IConnectionItemsFeature>());
        features.Set(client.Features.Get<IConnectionLifetimeFeature>());
        features.Set(address);
        var asked = ProxiedRequest.Of(client);
        var isSame = asked.Target == address.Target && asked.Scheme == address.Scheme;
        foreach (var (name, values) in client.Request.Headers)
        {
            if (name[0] != ':' && !OwnFields.Contains(name, StringComparer.OrdinalIgnoreCase) && (isSame || !CredentialFields.All.Contains(name, StringComparer.OrdinalIgnoreCase)))
                _context.Request.Headers[name] = values;
        }

        _context.Request.Headers.Host = address.Authority;
        _context.Request.Headers.Accept = accept;
        var gzip = client.Request.Headers.AcceptEncoding.ToString().Contains("gzip", StringComparison.OrdinalIgnoreCase);
        _context.Request.Headers.AcceptEncoding = gzip ? "gzip" : "identity";
    }

    /// <summary>Whom an answer is sent to as it comes that is no document of that kind; null to keep it whatever it is.</summary>
    public HttpContext? PassOthersTo { get; init; }

    /// <summary>Asks, and waits for the whole answer.</summary>
    /// <param name="next">The stages that follow.</param>
    public async Task<OriginAnswer> AskAsync(RequestDelegate next)
    {
        var body = new DocumentBody(_context, PassOthersTo, size => _memory.EnterAsync(_client, size));
        _context.Features.Set<IHttpResponseBodyFeature>(new StreamResponseBodyFeature(body));
        try
        {
            await next(_context);
            await _context.Response.CompleteAsync();
        }
        catch (DocumentTooLargeException)
        {
            _lifetime.Abort();
        }

        if (body.IsPassed)
        {
            if (_lifetime.IsAborted)
                PassOthersTo!.Abort();
            return OriginAnswer.Passed;
        }

        return new OriginAnswer(_context.Response.StatusCode, _context.Response.Headers, body.Bytes)
        {
            Problem = body.IsTooLarge ? $"is larger than {DocumentBody.MaxSize >> 20} MiB" : _lifetime.IsAborted || IsShort(body) ? "broke off"
                : _context.Response.StatusCode == StatusCodes.Status206PartialContent ? "is a part of one" : null,
        };
    }

    private bool IsShort(DocumentBody body) => _context.Response.StatusCode is >= 200 and < 300 && !Methods.IsHead(_context.Request.Method) && _context.Response.ContentLength is { } length && length != body.Bytes.Length;

    // What the stages abort is the client's own connection, unless somebody else waits for their answer.
    private sealed class Lifetime : IHttpRequestLifetimeFeature
    {
        public Lifetime(CancellationToken client) => RequestAborted = client;

        public CancellationToken RequestAborted { get; set; }

        public bool IsAborted { get; private set; }

        public void Abort() => IsAborted = true;
    }
}
