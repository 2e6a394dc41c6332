using System.IO.Pipelines;

namespace Discobot.Infrastructure.Http1;

/// <summary>A request as it is to be sent.</summary>
internal sealed class Http1Request
{
    /// <summary>In the client's own case (RFC 9110, 9.1).</summary>
    public required string Method { get; init; }

    /// <summary>Path and query, or an absolute address for a parent proxy.</summary>
    public required string Target { get; set; }

    /// <summary>All fields, Host included, framing not.</summary>
    public required FieldList Fields { get; init; }

    /// <summary>Null: it has none.</summary>
    public Http1RequestBody? Body { get; init; }

    /// <summary>Told of answers that come before the answer (RFC 9110, 15.2), 101 not included; their head is valid until it returns.</summary>
    public Func<ResponseHead, ValueTask>? Interim { get; init; }

    /// <summary>The client of HTTP/1.1 that asks, and waits for this very answer; null: it is nobody's alone. When it ends its direction, the server sees
    /// that.</summary>
    public ClientExchange? Client { get; init; }

    public bool IsHead => Method == "HEAD";

    /// <summary>Whether it may be sent again when a connection that had been idle turns out to be closed (RFC 9110, 9.2.2, and 9.2.1: safe ones
    /// only, since a server may have done half of the others).</summary>
    public bool IsRepeatable => Body is null && Method is "GET" or "HEAD" or "OPTIONS" or "TRACE" or "PROPFIND" or "QUERY";
}

/// <summary>The body of a request, on its way from the client.</summary>
internal sealed class Http1RequestBody
{
    /// <summary>Where it is read from.</summary>
    public required PipeReader Reader { get; init; }

    /// <summary>Bytes; null: it is sent in chunks.</summary>
    public long? Length { get; init; }

    /// <summary>Whether the client waits for 100 before it sends it (RFC 9110, 10.1.1).</summary>
    public bool IsAwaited { get; init; }

    /// <summary>The fields after the body, asked for at its end; for chunks only. Throws where they must not be sent, and with them the request's end.</summary>
    public Func<IReadOnlyList<KeyValuePair<string, string>>?>? Trailers { get; init; }
}

/// <summary>The body could not be read from the client, or was malformed: not the server's fault.</summary>
internal sealed class RequestBodyException(Exception inner) : IOException(inner.Message, inner);
