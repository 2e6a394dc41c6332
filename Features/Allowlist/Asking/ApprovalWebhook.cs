using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Threading.Channels;

namespace Discobot.Features.Allowlist.Asking;

/// <summary>
/// Posts each question to the operator's address when it opens. The answer may decide, over https alone: by http whoever listens in its place, on this machine the
/// agent, would answer. It goes straight there from this process, by no rule of what may leave and by no proxy. Nothing waits for it but itself.
/// </summary>
internal sealed partial class ApprovalWebhook(
    AskOptions options, Approvals approvals, TimeProvider time, Func<Task<X509Certificate2Collection>> roots, ILogger<ApprovalWebhook> log) : BackgroundService
{
    /// <summary>For the whole of a post and its answer.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    private const int Senders = 4;
    private const int MaxAnswer = 4096;

    private readonly Channel<OpenQuestion> _asked = Channel.CreateBounded<OpenQuestion>(Approvals.MaxQuestions);

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        approvals.Asked += Take;
        return base.StartAsync(cancellationToken);
    }

    public override Task StopAsync(CancellationToken cancellationToken)
    {
        approvals.Asked -= Take;
        return base.StopAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        var trust = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true };
        trust.CustomTrustStore.AddRange(await roots());
        using var client = new HttpClient(new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,
            SslOptions = { CertificateChainPolicy = trust },
        })
        { Timeout = Limit, MaxResponseContentBufferSize = MaxAnswer };
        await Task.WhenAll(Enumerable.Range(0, Senders).Select(async _ =>
        {
            await foreach (var question in _asked.Reader.ReadAllAsync(stoppingToken))
                await SendAsync(client, question, stoppingToken);
        }));
    }

    // Under the lock of the approvals.
    private void Take(OpenQuestion question)
    {
        if (!_asked.Writer.TryWrite(question))
            LogNotSent(question.Id, "too many wait already");
    }

    private async Task SendAsync(HttpClient client, OpenQuestion question, CancellationToken stopping)
    {
        try
        {
            if (!options.Webhook!.TryResolve(out var address) || !options.WebhookSecret!.TryResolve(out var secret))
                LogNotSent(question.Id, "ask.webhook or ask.webhook_secret has no value");
            else if (AskOptions.AddressOf(address) is not { } url)
                LogNotSent(question.Id, "ask.webhook is no http or https URL");
            else if (WebhookSignature.KeyOf(secret) is not { } key)
                LogNotSent(question.Id, $"ask.webhook_secret {WebhookSignature.Wanted}");
            else
                await SendAsync(client, url, key, question, stopping);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException || (e is OperationCanceledException && !stopping.IsCancellationRequested))
        {
            // Of an error of HttpClient's the address is no part.
            LogNotSent(question.Id, e is OperationCanceledException ? $"no answer within {Limit.TotalSeconds:0} seconds" : e.Message);
        }
    }

    private async Task SendAsync(HttpClient client, Uri url, byte[] key, OpenQuestion question, CancellationToken stopping)
    {
        var now = time.GetUtcNow();
        var (id, timestamp) = ($"{question.Id}-{question.Asked.ToUnixTimeMilliseconds()}", now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
        var body = JsonSerializer.SerializeToUtf8Bytes(new AskedEvent("approval.asked", now, question), ApprovalJson.Default.AskedEvent);
        using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } } };
        request.Headers.Add("webhook-id", id);
        request.Headers.Add("webhook-timestamp", timestamp);
        request.Headers.Add("webhook-signature", WebhookSignature.Of(key, id, timestamp, body));
        using var answer = await client.SendAsync(request, stopping);
        if (!answer.IsSuccessStatusCode)
        {
            LogNotSent(question.Id, $"HTTP {(int)answer.StatusCode}");
            return;
        }

        if (url.Scheme != Uri.UriSchemeHttps || answer.Content.Headers.ContentType?.MediaType != "application/json")
            return;
        var (decision, problem) = ApprovalEndpoints.Parse(await answer.Content.ReadAsByteArrayAsync(stopping), "the webhook");
        if (decision is { } read)
            problem = approvals.Decide(question.Id, read).Problem;
        // Of an answer without a decision, somebody else decides.
        else if (problem == ApprovalEndpoints.NoDecision)
            return;
        if (problem is not null)
            LogNotTaken(question.Id, problem);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "webhook not sent {Question} {Reason}")]
    private partial void LogNotSent(string question, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "webhook answer not taken {Question} {Reason}")]
    private partial void LogNotTaken(string question, string reason);
}

/// <summary>What is posted.</summary>
/// <param name="Type"><c>approval.asked</c>.</param>
/// <param name="Timestamp">When it is sent.</param>
/// <param name="Data">As <c>GET /api/approvals</c> tells it.</param>
internal sealed record AskedEvent(string Type, DateTimeOffset Timestamp, OpenQuestion Data);
