using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Credentials;

/// <summary>
/// Puts the secrets in place of their placeholders in what goes upstream, and changes nothing else of it. Requests that the proxy makes by itself
/// with a client's fields, for another host than the client's, were not judged: there a field that holds a placeholder is left out.
/// </summary>
internal sealed class CredentialRewriter(IReadOnlyList<HeldSecret> secrets) : IRequestRewriter
{
    public void Rewrite(HttpRequest request, string scheme, string host, FieldList fields)
    {
        // A server that repeats what it was sent says so in bytes that can be looked into.
        var proxied = request.HttpContext.Features.Get<ProxiedRequest>();
        var judged = proxied?.Replacements;
        if (judged is not null && fields.Contains("Accept-Encoding") && secrets.Any(secret => secret.Redacts && judged.ContainsKey(secret.Placeholder)))
        {
            for (var i = fields.Lines.Count - 1; i >= 0; i--)
            {
                if (fields.Lines[i].Key.Equals("Accept-Encoding", StringComparison.OrdinalIgnoreCase))
                    fields.SetLine(i, "identity");
            }
        }

        foreach (var secret in secrets)
        {
            for (var i = fields.Lines.Count - 1; i >= 0; i--)
            {
                var (name, sent) = fields.Lines[i];
                var basic = BasicCredentials.Decode(sent);
                var isBasic = basic?.Contains(secret.Placeholder, StringComparison.Ordinal) == true;
                if (!isBasic && !sent.Contains(secret.Placeholder, StringComparison.Ordinal))
                    continue;
                if (secret.WhyNot(request.Method, scheme, host, proxied?.Client) is not null || (judged?.GetValueOrDefault(secret.Placeholder) ?? (secret.Read() is { Problem: null, Value: { } now } ? now : null)) is not { } value
                    || !secret.In.HasFlag(isBasic ? CredentialPositions.Basic : CredentialPositions.Header))
                {
                    fields.RemoveLine(i);
                    continue;
                }

                fields.SetLine(i, isBasic ? BasicCredentials.Encode(sent, basic!.Replace(secret.Placeholder, value, StringComparison.Ordinal))
                    : sent.Replace(secret.Placeholder, value, StringComparison.Ordinal));
                Flow.Of(request.HttpContext)?.Offer(name);
            }
        }
    }
}
