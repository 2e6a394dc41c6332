using System.Security.Cryptography;
using Discobot.Infrastructure.Wire;
using Microsoft.Net.Http.Headers;

namespace Discobot.Features.Packages;

/// <summary>Answers to clients made of an origin's.</summary>
internal static class AnswerFields
{
    // They describe bytes that are not sent.
    private static readonly string[] OfTheBytes =
    [
        HeaderNames.ContentLength, HeaderNames.ContentEncoding, HeaderNames.ETag, HeaderNames.LastModified, HeaderNames.ContentMD5, HeaderNames.AcceptRanges, HeaderNames.TransferEncoding,
        "Digest", "Content-Digest", "Repr-Digest", "npm-signature",
    ];

    /// <summary>Status and fields as they came.</summary>
    public static void CopyHead(HttpResponse from, HttpResponse to)
    {
        to.StatusCode = from.StatusCode;
        foreach (var (name, values) in from.Headers)
            to.Headers[name] = values;
    }

    /// <summary>The origin's answer as it came, but for what the client's own conditions and range ask for.</summary>
    public static Task SendAsync(HttpContext client, OriginAnswer answer)
    {
        foreach (var (name, values) in answer.Fields)
            client.Response.Headers[name] = values;
        client.Response.StatusCode = answer.Status;
        return answer.Status == StatusCodes.Status200OK
            ? SendBodyAsync(client, answer.Body)
            : SendWholeAsync(client, answer.Body);
    }

    /// <summary>Another body with the origin's fields, and a validator of its own.</summary>
    public static Task SendAsync(HttpContext client, OriginAnswer answer, byte[] body, string? type = null)
    {
        foreach (var (name, values) in answer.Fields)
        {
            if (!OfTheBytes.Contains(name, StringComparer.OrdinalIgnoreCase))
                client.Response.Headers[name] = values;
        }

        if (type is not null)
            client.Response.ContentType = type;
        client.Response.Headers.ETag = $"\"{Convert.ToHexStringLower(SHA256.HashData(body).AsSpan(0, 16))}\"";
        client.Response.StatusCode = StatusCodes.Status200OK;
        return SendBodyAsync(client, body);
    }

    // Conditions first, then the range (RFC 9110, 13.2.2).
    private static async Task SendBodyAsync(HttpContext client, ReadOnlyMemory<byte> body)
    {
        var (request, response) = (client.Request, client.Response);
        var (tag, changed) = (response.Headers.ETag.ToString(), response.Headers.LastModified.ToString());
        response.StatusCode = Precondition.Evaluate(request, tag, changed);
        if (response.StatusCode != StatusCodes.Status200OK)
        {
            response.ContentLength = null;
            response.Headers.Remove(HeaderNames.ContentType);
            return;
        }

        response.Headers.AcceptRanges = "bytes";
        if (Methods.IsGet(request.Method) && RangeRequest.Of(request) is { } range && RangeRequest.IsFor(request, tag, changed))
        {
            if (range.Within(body.Length) is not var (from, end))
            {
                response.StatusCode = StatusCodes.Status416RangeNotSatisfiable;
                response.Headers.ContentRange = $"bytes */{body.Length}";
                response.ContentLength = 0;
                return;
            }

            response.StatusCode = StatusCodes.Status206PartialContent;
            response.Headers.ContentRange = $"bytes {from}-{end - 1}/{body.Length}";
            body = body[(int)from..(int)end];
        }

        await SendWholeAsync(client, body);
    }

    private static async Task SendWholeAsync(HttpContext client, ReadOnlyMemory<byte> body)
    {
        if (client.Response.StatusCode is 204 or 304)
            return;
        client.Response.ContentLength = body.Length;
        if (!Methods.IsHead(client.Request.Method) && body.Length > 0)
            await client.Response.Body.WriteAsync(body, client.RequestAborted);
    }
}
