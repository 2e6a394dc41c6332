using System.Buffers;
using System.Text.Json;
using Discobot.Features.Audit;

namespace Discobot.Features.Api;

/// <summary>
/// <c>/api/doctor</c>: what <c>discobot doctor</c> has found last. The proxy cannot look itself: it may neither start the machine's clients nor see what is not its
/// own. Whoever may, leaves here what there was.
/// </summary>
internal static class DoctorEndpoint
{
    public const string Path = "/api/doctor";

    private const int MaxBody = 64 << 10;
    private const int MaxFindings = 200;

    public static void MapDoctor(this IEndpointRouteBuilder endpoints)
    {
        var time = endpoints.ServiceProvider.GetService<TimeProvider>() ?? TimeProvider.System;
        var last = new DoctorFindings(null, []);
        RequestDelegate show = context => SendAsync(context, Volatile.Read(ref last));
        RequestDelegate leave = async context =>
        {
            if (!context.Request.HasJsonContentType())
            {
                await ApiErrors.WriteAsync(context, StatusCodes.Status415UnsupportedMediaType, "the body must be application/json");
                return;
            }

            if (await ReadAsync(context) is not { } findings)
            {
                await ApiErrors.WriteAsync(context, StatusCodes.Status400BadRequest, "the body must be what `discobot doctor --json` prints");
                return;
            }

            var left = new DoctorFindings(time.GetUtcNow(), findings);
            Volatile.Write(ref last, left);
            await SendAsync(context, left);
        };
        endpoints.MapGet(Path, show);
        endpoints.MapPut(Path, leave);
    }

    private static async Task<IReadOnlyList<DoctorFinding>?> ReadAsync(HttpContext context)
    {
        var body = new byte[MaxBody + 1];
        var length = await context.Request.Body.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, context.RequestAborted);
        try
        {
            return length <= MaxBody && JsonSerializer.Deserialize(body.AsSpan(0, length), ApiJson.Default.IReadOnlyListDoctorFinding) is { Count: <= MaxFindings } findings
                && findings.All(one => one is { Area: not null, Name: not null, Detail: not null, Result: "ok" or "failed" or "absent" }) ? findings : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static async Task SendAsync(HttpContext context, DoctorFindings left)
    {
        context.Response.ContentType = "application/json; charset=utf-8";
        context.Response.Headers.CacheControl = "no-store";
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, FlowLine.Format))
        {
            json.WriteStartObject();
            if (left.At is { } at)
                FlowLine.WriteTime(json, "at"u8, at);
            json.WritePropertyName("findings");
            JsonSerializer.Serialize(json, left.Findings, ApiJson.Default.IReadOnlyListDoctorFinding);
            json.WriteEndObject();
        }

        await context.Response.BodyWriter.WriteAsync(buffer.WrittenMemory, context.RequestAborted);
    }

    private sealed record DoctorFindings(DateTimeOffset? At, IReadOnlyList<DoctorFinding> Findings);
}

/// <param name="Area">A part of the container, or of the machine.</param>
/// <param name="Name">What was looked at.</param>
/// <param name="Result"><c>ok</c>, <c>failed</c> or <c>absent</c>.</param>
/// <param name="Detail">A sentence.</param>
/// <param name="Fix">What to do; null: nothing.</param>
internal sealed record DoctorFinding(string Area, string Name, string Result, string Detail, string? Fix);
