using System.Buffers;
using System.Text;
using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Credentials;

/// <summary>The secrets that a host may have, on their way back: in its answers the client sees their placeholders.</summary>
internal sealed class Redaction : IAnswerFilter
{
    // They are about the bytes that the server sent, and the client gets others (RFC 9530; RFC 1864). Its names for the state of the resource stay:
    // the same state gives the same answer.
    private static readonly string[] Digests = ["Content-MD5", "Digest", "Content-Digest", "Repr-Digest"];

    private static readonly string[] TextTypes =
        ["json", "xml", "javascript", "ecmascript", "yaml", "toml", "x-www-form-urlencoded", "x-ndjson", "ndjson", "json-seq", "graphql", "http", "sql", "x-sh"];

    private readonly List<RedactedText> _texts = [];

    /// <summary>The secrets' names, for logs.</summary>
    public SortedSet<string> Names { get; } = [];

    /// <summary>That of a request.</summary>
    public static Redaction Of(HttpContext context)
    {
        if (context.Features.Get<Redaction>() is not { } redaction)
        {
            context.Features.Set(redaction = new Redaction());
            context.Features.Set<IAnswerFilter>(redaction);
        }

        return redaction;
    }

    /// <summary>Has a value shown as its placeholder.</summary>
    public void Add(string name, string value, string placeholder)
    {
        Names.Add(name);
        AddText(value, placeholder);
    }

    /// <summary>Has the credentials of Basic shown as the client sent them.</summary>
    public void AddBasic(string sent, string shown) => AddText(Encoded(sent), Encoded(shown));

    /// <inheritdoc/>
    public string Filter(string text) => Redacted(text) ?? text;

    /// <returns>Whether anything was replaced.</returns>
    public bool Redact(IHeaderDictionary fields)
    {
        var changed = false;
        if (fields is FieldList list)
        {
            for (var i = 0; i < list.Lines.Count; i++)
            {
                if (Redacted(list.Lines[i].Value) is { } value)
                {
                    list.SetLine(i, value);
                    changed = true;
                }
            }

            return changed;
        }

        foreach (var (name, values) in fields.ToList())
        {
            if (!values.Any(value => Redacted(value ?? "") is not null))
                continue;
            fields[name] = values.Select(value => Redacted(value ?? "") ?? value).ToArray();
            changed = true;
        }

        return changed;
    }

    /// <summary>How the body that follows a head is looked into, by which its length and digests are no longer said; null: it is not.</summary>
    public RedactedTexts? OfBody(HttpResponse response)
    {
        // Of what has no body the length and the digests are those of another answer, which is not changed here.
        if (Methods.IsHead(response.HttpContext.Request.Method) || response.StatusCode is StatusCodes.Status204NoContent or StatusCodes.Status304NotModified
            || response.Headers.ContentEncoding.ToString() is not ("" or "identity"))
            return null;
        // Where there are several, clients differ in which one counts.
        if (response.Headers.ContentType is { Count: > 0 } types && !types.Any(IsText))
            return null;
        // A part has its place in the whole, so what is replaced in it keeps its length (RFC 9110, 14.4).
        if (response.StatusCode == StatusCodes.Status206PartialContent)
            return new RedactedTexts(_texts, sameLength: true);
        response.ContentLength = null;
        foreach (var name in Digests)
            response.Headers.Remove(name);
        return new RedactedTexts(_texts, sameLength: false);
    }

    private static bool IsText(string? type)
    {
        if (string.IsNullOrWhiteSpace(type))
            return true;
        var name = type.Split(';')[0].Trim();
        var slash = name.IndexOf('/', StringComparison.Ordinal);
        // What names no type is guessed at by clients, as what has none; what has parts says of each what it is.
        return slash <= 0 || name[..slash].ToUpperInvariant() is "TEXT" or "MESSAGE" or "MULTIPART"
            || (name[(slash + 1)..] is var kind && !kind.StartsWith("grpc", StringComparison.OrdinalIgnoreCase)
                && TextTypes.Any(text => kind.Equals(text, StringComparison.OrdinalIgnoreCase) || kind.EndsWith("+" + text, StringComparison.OrdinalIgnoreCase)
                    || kind.Equals("x-" + text, StringComparison.OrdinalIgnoreCase)));
    }

    private static string Encoded(string text) => Convert.ToBase64String(Encoding.Latin1.GetBytes(text));

    private void AddText(string sought, string shown)
    {
        if (!_texts.Exists(text => text.Sought == sought))
            _texts.Add(new RedactedText(sought, shown));
    }

    private string? Redacted(string value)
    {
        // Fields are bytes as characters; what a stage of ours wrote may be more.
        var encoding = value.All(c => c < 256) ? Encoding.Latin1 : Encoding.UTF8;
        var output = new ArrayBufferWriter<byte>();
        return new RedactedTexts(_texts, sameLength: false).Copy(encoding.GetBytes(value), isLast: true, output).Replaced ? encoding.GetString(output.WrittenSpan) : null;
    }
}

/// <summary>The stage that shows clients the placeholders where answers hold the secrets. Requests to hosts that may have none pass it untouched.</summary>
internal sealed partial class AnswerRedaction(RequestDelegate next, ILogger<AnswerRedaction> log)
{
    public Task InvokeAsync(HttpContext context) =>
        context.Features.Get<Redaction>() is { } redaction ? RedactAsync(context, redaction) : next(context);

    private async Task RedactAsync(HttpContext context, Redaction redaction)
    {
        var answer = new RedactedAnswer(context, redaction);
        // The head of a short answer leaves with its end, behind all stages.
        context.Response.OnCompleted(() =>
        {
            if (answer.HasRedacted)
                LogRedacted(ProxiedRequest.Of(context).Target.Host, string.Join(", ", redaction.Names), ProxiedRequest.Of(context).Id);
            return Task.CompletedTask;
        });
        try
        {
            await next(context);
        }
        finally
        {
            await answer.EndAsync();
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "credential redacted {Host} {Secrets} {Id}")]
    private partial void LogRedacted(string host, string secrets, string id);
}
