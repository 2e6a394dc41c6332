using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Allowlist.Asking;

/// <summary>Questions and answers over the REST API. To look takes no token; to answer and to revoke does, or the agent would answer itself.</summary>
internal static class ApprovalEndpoints
{
    private const int MaxBody = 4096;
    private const int MaxName = 64;

    /// <summary>What is wrong with a body that says nothing.</summary>
    public const string NoDecision = "the body must say the \"decision\"";

    private static readonly string Allowed = "\"decision\" must be once, session, deny, or a time as in 2h, for which it is allowed";

    /// <summary>
    /// <c>GET /api/approvals</c> lists what is asked, <c>POST /api/approvals/ID</c> answers (<see cref="ApprovalRequest"/>), <c>GET /api/grants</c> lists the
    /// answers that count, <c>DELETE /api/grants/ID</c> takes one back.
    /// </summary>
    public static void MapApprovals(this IEndpointRouteBuilder endpoints)
    {
        var approvals = endpoints.ServiceProvider.GetRequiredService<Approvals>();
        RequestDelegate questions = context => context.Response.WriteAsJsonAsync(approvals.Questions(), ApprovalJson.Readable.IReadOnlyListOpenQuestion);
        RequestDelegate answer = context => AnswerAsync(context, approvals);
        RequestDelegate grants = context => context.Response.WriteAsJsonAsync([.. approvals.Grants().Select(GrantReport.Of)], ApprovalJson.Readable.IReadOnlyListGrantReport);
        RequestDelegate revoke = context => RevokeAsync(context, approvals);
        endpoints.MapGet("/api/approvals", questions);
        endpoints.MapPost("/api/approvals/{id}", answer);
        endpoints.MapGet("/api/grants", grants);
        endpoints.MapDelete("/api/grants/{id}", revoke);
    }

    private static async Task AnswerAsync(HttpContext context, Approvals approvals)
    {
        var (answer, problem) = await ReadAsync(context.Request);
        if (answer is not { } read)
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, problem!);
            return;
        }

        var (grant, isOpen, refusal) = approvals.Decide((string)context.Request.RouteValues["id"]!, read);
        if (grant is null)
            await RefuseAsync(context, isOpen ? StatusCodes.Status409Conflict : StatusCodes.Status404NotFound, refusal!);
        else
            await context.Response.WriteAsJsonAsync(GrantReport.Of(grant), ApprovalJson.Readable.GrantReport);
    }

    private static async Task RevokeAsync(HttpContext context, Approvals approvals)
    {
        var id = (string)context.Request.RouteValues["id"]!;
        if (approvals.Revoke(id) is { } grant)
            await context.Response.WriteAsJsonAsync(GrantReport.Of(grant), ApprovalJson.Readable.GrantReport);
        else
            await RefuseAsync(context, StatusCodes.Status404NotFound, $"no answer {id} counts");
    }

    private static async Task<(Answer? Answer, string? Problem)> ReadAsync(HttpRequest request)
    {
        if (request.ContentLength > MaxBody)
            return (null, $"the body must be at most {MaxBody} bytes");
        var body = new byte[MaxBody + 1];
        var length = await request.Body.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, request.HttpContext.RequestAborted);
        if (length > MaxBody)
            return (null, $"the body must be at most {MaxBody} bytes");
        var (answer, problem) = Parse(body.AsSpan(0, length), "the API");
        return (answer, problem == NoDecision ? Allowed : problem);
    }

    /// <summary>Reads an answer (<see cref="ApprovalRequest"/>).</summary>
    /// <param name="body">UTF-8.</param>
    /// <param name="unnamed">Who says so where the body does not.</param>
    public static (Answer? Answer, string? Problem) Parse(ReadOnlySpan<byte> body, string unnamed)
    {
        try
        {
            var wish = JsonSerializer.Deserialize(body, ApprovalJson.Default.ApprovalRequest);
            return wish?.Decision is not { } decision ? (null, NoDecision) : Read(decision, wish.By, unnamed) is { } answer ? (answer, null) : (null, Allowed);
        }
        catch (JsonException)
        {
            return (null, "the body must be JSON, as in {\"decision\": \"session\"}");
        }
    }

    private static Answer? Read(string decision, string? by, string unnamed)
    {
        var name = string.Concat((by ?? "").Where(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_' or '@').Take(MaxName));
        name = name.Length == 0 ? unnamed : name;
        return decision switch
        {
            "once" => new Answer(true, GrantScope.Once, default, name),
            "session" => new Answer(true, GrantScope.Session, default, name),
            "deny" => new Answer(false, GrantScope.Session, default, name),
            _ => Quantity.TryParseDuration(decision, out var time) && time >= TimeSpan.FromSeconds(1) && time <= TimeSpan.FromDays(365)
                ? new Answer(true, GrantScope.Time, time, name) : null,
        };
    }

    private static Task RefuseAsync(HttpContext context, int status, string reason)
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(new ApprovalRefusal(reason), ApprovalJson.Readable.ApprovalRefusal);
    }
}

/// <summary>The body of <c>POST /api/approvals/ID</c>.</summary>
/// <param name="Decision"><c>once</c>, <c>session</c>, <c>deny</c> (for the session), or a time for which it is allowed.</param>
/// <param name="By">Who says so, for the audit log.</param>
internal sealed record ApprovalRequest(string? Decision, string? By = null);

/// <summary>An element of what <c>GET /api/grants</c> answers.</summary>
/// <param name="Id">By which it is revoked.</param>
/// <param name="Host">For whom.</param>
/// <param name="Port">Null: for all of it.</param>
/// <param name="Decision"><c>allow</c> or <c>deny</c>.</param>
/// <param name="Scope"><c>once</c>, <c>session</c> or <c>time</c>.</param>
/// <param name="Until">For <c>time</c>.</param>
/// <param name="By">Who answered.</param>
/// <param name="At">When.</param>
internal sealed record GrantReport(string Id, string Host, int? Port, string Decision, string Scope, DateTimeOffset? Until, string By, DateTimeOffset At)
{
    public static GrantReport Of(Grant grant) => new(
        grant.Id, grant.Host, grant.Port == 0 ? null : grant.Port, grant.IsAllowed ? "allow" : "deny",
        grant.Scope switch { GrantScope.Once => "once", GrantScope.Session => "session", _ => "time" }, grant.Until, grant.By, grant.At);
}

internal sealed record ApprovalRefusal(string Error);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, WriteIndented = true)]
[JsonSerializable(typeof(IReadOnlyList<OpenQuestion>))]
[JsonSerializable(typeof(IReadOnlyList<GrantReport>))]
[JsonSerializable(typeof(ApprovalRequest))]
[JsonSerializable(typeof(ApprovalRefusal))]
[JsonSerializable(typeof(AskedEvent))]
internal sealed partial class ApprovalJson : JsonSerializerContext
{
    /// <summary>For people in terminals.</summary>
    public static ApprovalJson Readable => field ??= new(new JsonSerializerOptions(Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}
