using System.Text.Json;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Allowlist.Asking;

/// <summary>The <c>ask</c> section: who is told of questions. All of it needs a restart, and is the operator's: whoever is asked may answer.</summary>
internal sealed record AskOptions
{
    /// <summary>Where each question is posted to; kept like a secret, as the addresses of such services are. Null: nowhere.</summary>
    public SecretText? Webhook { get; init; }

    /// <summary>What the posts are signed with.</summary>
    public SecretText? WebhookSecret { get; init; }

    /// <summary>Reads the section; what is not written is as in <paramref name="fallback"/>.</summary>
    public static AskOptions Read(ConfigNode section, AskOptions? fallback = null)
    {
        fallback ??= new AskOptions();
        var (webhook, secret) = (section["webhook"], section["webhook_secret"]);
        var options = new AskOptions
        {
            Webhook = webhook.IsAbsent ? fallback.Webhook : webhook.AsSecret(),
            WebhookSecret = secret.IsAbsent ? fallback.WebhookSecret : secret.AsSecret(),
        };
        if (options.Webhook is { Source: SecretSource.Literal } address && AddressOf(address.Text) is null)
            webhook.Error("must be an http or https URL");
        if (options.Webhook is not null && options.WebhookSecret is null)
            webhook.Error("needs ask.webhook_secret, by which the receiver knows that it is asked by this proxy");
        if (options.WebhookSecret is { Source: SecretSource.Literal } key && WebhookSignature.KeyOf(key.Text) is null)
            secret.Error(WebhookSignature.Wanted);
        return options;
    }

    /// <summary>Null: it is none.</summary>
    public static Uri? AddressOf(string text) => Uri.TryCreate(text, UriKind.Absolute, out var address) && address is { Scheme: "http" or "https", UserInfo: "" } ? address : null;

    // Whose it is may be seen.
    private static string Shown(SecretText webhook) =>
        webhook.Source == SecretSource.Literal && AddressOf(webhook.Text) is { } address ? $"{address.GetLeftPart(UriPartial.Authority)}/{webhook}" : webhook.ToString();

    /// <summary>What is secret, and the key of each.</summary>
    public IEnumerable<(string Key, SecretText Value)> Secrets()
    {
        if (Webhook is not null)
            yield return ("ask.webhook", Webhook);
        if (WebhookSecret is not null)
            yield return ("ask.webhook_secret", WebhookSecret);
    }

    /// <summary>The section as JSON, secrets masked.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        if (Webhook is not null)
            json.WriteString("webhook", Shown(Webhook));
        if (WebhookSecret is not null)
            json.WriteString("webhook_secret", WebhookSecret.ToString());
        json.WriteEndObject();
    }
}
