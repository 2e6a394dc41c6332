using System.Buffers;
using System.Text;
using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>From the head of a server's answer to the client's: status, reason, and all fields but those of the connection.</summary>
internal static class AnswerFields
{
    private static readonly SearchValues<char> Forbidden =
        SearchValues.Create([.. Enumerable.Range(0, 0x20).Where(c => c != '\t').Select(c => (char)c), '\x7f']);

    /// <summary>Puts the head on the client's answer.</summary>
    public static void Copy(ResponseHead head, in BodyFraming framing, HttpContext context)
    {
        var response = context.Response;
        response.StatusCode = head.Status;
        context.Features.GetRequiredFeature<IHttpResponseFeature>().ReasonPhrase = head.Reason;
        var named = NamedByConnection(head.Fields);
        var announcesTrailers = framing.End == BodyEnd.Chunked && response.Headers is FieldList;
        for (var i = 0; i < head.Fields.Count; i++)
        {
            var name = FieldNames.Text(head.Fields.Name(i));
            if (name.Equals(HeaderNames.ContentLength, StringComparison.OrdinalIgnoreCase))
                SetLength(head, framing, response);
            else if (!(HopByHop.Contains(name) && !(announcesTrailers && name.Equals(HeaderNames.Trailer, StringComparison.OrdinalIgnoreCase))) && named?.Contains(name) != true)
                Add(response.Headers, name, Encoding.Latin1.GetString(head.Fields.Value(i)));
        }

        // What the server would speak (RFC 9110, 15.5.22), but for HTTP/2, which is asked for in another way.
        if (head.Status is >= 200 && response.Headers is FieldList offers && HttpProtocol.IsHttp11(context.Request.Protocol)
            && Texts(head, "Upgrade"u8) is { Length: > 0 } upgrade && HopByHop.Offers(Texts(head, "Connection"u8), upgrade) is { } offer)
            offers.Set(HeaderNames.Upgrade, offer);

        // What a GET would get: HEAD and 304 may say it (RFC 9112, 6.1).
        if (framing.End == BodyEnd.None && head.Status is >= 200 and not 204 && response.Headers is FieldList lines && HttpProtocol.IsHttp11(context.Request.Protocol)
            && BodyFraming.IsChunked(head.Fields))
        {
            lines.Remove(HeaderNames.ContentLength);
            lines.Set(HeaderNames.TransferEncoding, "chunked");
        }
    }

    // Once, and where it stood. Chunks are made anew. A length that says what there would be is kept where there is no body.
    private static void SetLength(ResponseHead head, in BodyFraming framing, HttpResponse response)
    {
        if (response.ContentLength is not null || StatusWithoutContent.Is(head.Status, response.HttpContext.Request))
            return;
        if (framing.End == BodyEnd.Length)
            response.ContentLength = framing.Length;
        else if (framing.End == BodyEnd.None && head.Status >= 200)
            response.ContentLength = LengthWithoutBody(head.Fields);
    }

    /// <summary>Puts fields after the body, where the client's protocol has them.</summary>
    public static void CopyTrailers(FieldLines? trailers, HttpContext context)
    {
        if (trailers is null || context.Features.Get<IHttpResponseTrailersFeature>()?.Trailers is not { IsReadOnly: false } sent)
            return;
        for (var i = 0; i < trailers.Count; i++)
        {
            var name = FieldNames.Text(trailers.Name(i));
            if (!HopByHop.Contains(name) && !name.Equals(HeaderNames.ContentLength, StringComparison.OrdinalIgnoreCase))
                Add(sent, name, Encoding.Latin1.GetString(trailers.Value(i)));
        }
    }

    /// <summary>The first line of a name; null where there is none.</summary>
    public static string? Text(ResponseHead head, ReadOnlySpan<byte> name) =>
        head.Fields.IndexOf(name, 0) is var i and >= 0 ? Encoding.Latin1.GetString(head.Fields.Value(i)) : null;

    private static string Texts(ResponseHead head, ReadOnlySpan<byte> name)
    {
        var text = "";
        for (var i = head.Fields.IndexOf(name, 0); i >= 0; i = head.Fields.IndexOf(name, i + 1))
            text += (text.Length > 0 ? ", " : "") + Encoding.Latin1.GetString(head.Fields.Value(i));
        return text;
    }

    /// <summary>Whether the body is a stream of events or the like: see <see cref="LongAnswers"/>.</summary>
    public static bool IsEventStream(ResponseHead head) =>
        head.Fields.IndexOf("Content-Type"u8, 0) is var i and >= 0
            && LongAnswers.Contains(Encoding.Latin1.GetString(head.Fields.Value(i)));

    /// <summary>One more field, of whatever server. Kestrel, which speaks HTTP/2 to clients, refuses control characters and names that are no tokens,
    /// with all of the answer: there the ones become blanks, and the others are left out.</summary>
    public static void Add(IHeaderDictionary headers, string name, string value)
    {
        if (headers is FieldList lines)
        {
            lines.Add(name, value);
            return;
        }

        if (!HttpToken.IsValid(name))
            return;
        if (value.AsSpan().ContainsAny(Forbidden))
            value = string.Concat(value.Select(c => Forbidden.Contains(c) ? ' ' : c));
        // Append leaves out what is empty, which is not the same as absent.
        if (value.Length == 0 && !headers.ContainsKey(name))
            headers[name] = value;
        else
            headers.Append(name, value);
    }

    private static long? LengthWithoutBody(FieldLines fields)
    {
        try
        {
            return BodyFraming.ContentLength(fields);
        }
        catch (MalformedMessageException)
        {
            // It says nothing about anything.
            return null;
        }
    }

    private static HashSet<string>? NamedByConnection(FieldLines fields)
    {
        HashSet<string>? named = null;
        for (var i = fields.IndexOf("Connection"u8, 0); i >= 0; i = fields.IndexOf("Connection"u8, i + 1))
        {
            foreach (var name in HopByHop.NamedBy(Encoding.Latin1.GetString(fields.Value(i))))
                (named ??= new(StringComparer.OrdinalIgnoreCase)).Add(name);
        }

        return named;
    }
}
