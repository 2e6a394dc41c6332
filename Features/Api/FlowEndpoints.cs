using System.Buffers;
using System.Text.Json;
using Discobot.Features.Audit;

namespace Discobot.Features.Api;

/// <summary><c>/api/flows</c>, the same as a stream of events, and <c>/api/har</c>: what has passed.</summary>
internal static class FlowEndpoints
{
    /// <summary>How long flows wait for others: a thousand a second are ten messages.</summary>
    private static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(100);

    /// <summary>What is silent for long is taken for dead on the way.</summary>
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(15);

    /// <summary>Seconds.</summary>
    private const string RetryAfter = "5";

    public static void MapFlows(this IEndpointRouteBuilder endpoints)
    {
        var services = endpoints.ServiceProvider;
        var (recent, line) = (services.GetRequiredService<RecentFlows>(), services.GetRequiredService<FlowLine>());
        var stopping = services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping;
        RequestDelegate show = context => SendAsync(context, json => WriteAll(json, line, recent.Kept()));
        RequestDelegate har = context => SendAsync(context, json => HarFile.Write(json, recent.Kept(), typeof(HarFile).Assembly.GetName().Version?.ToString(3) ?? ""));
        RequestDelegate stream = context => StreamAsync(context, recent, line, stopping);
        endpoints.MapGet("/api/flows", show);
        endpoints.MapGet("/api/har", har);
        endpoints.MapGet("/api/flows/stream", stream);
    }

    private static async Task SendAsync(HttpContext context, Action<Utf8JsonWriter> write)
    {
        context.Response.ContentType = "application/json; charset=utf-8";
        context.Response.Headers.CacheControl = "no-store";
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, FlowLine.Format))
            write(json);
        await context.Response.BodyWriter.WriteAsync(buffer.WrittenMemory, context.RequestAborted);
    }

    private static void WriteAll(Utf8JsonWriter json, FlowLine line, IReadOnlyList<Flow> flows)
    {
        json.WriteStartObject();
        json.WriteStartArray("flows");
        foreach (var flow in flows)
            line.Write(json, flow);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static async Task StreamAsync(HttpContext context, RecentFlows recent, FlowLine line, CancellationToken stopping)
    {
        using var watch = recent.Begin();
        if (watch is null)
        {
            context.Response.Headers.RetryAfter = RetryAfter;
            await ApiErrors.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, string.Create(
                System.Globalization.CultureInfo.InvariantCulture, $"{RecentFlows.MaxWatching} clients follow the stream, and no more can at a time: try again when one has left, or read /api/flows"));
            return;
        }

        context.Response.ContentType = "text/event-stream";
        context.Response.Headers.CacheControl = "no-store";
        using var over = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, stopping);
        try
        {
            await context.Response.Body.FlushAsync(over.Token);
            for (var silence = TimeSpan.Zero; ; silence += Gathering)
            {
                await Task.Delay(Gathering, over.Token);
                var (flows, missed) = watch.Take();
                if (flows.Count == 0 && silence < Heartbeat)
                    continue;
                silence = TimeSpan.Zero;
                await context.Response.BodyWriter.WriteAsync(Message(line, flows, missed), over.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // Who watched is gone, or the proxy ends.
        }
    }

    // An array behind "data: "; a comment where nothing has passed.
    private static ReadOnlyMemory<byte> Message(FlowLine line, IReadOnlyList<Flow> flows, long missed)
    {
        var buffer = new ArrayBufferWriter<byte>();
        if (flows.Count == 0)
        {
            buffer.Write(":\n\n"u8);
            return buffer.WrittenMemory;
        }

        buffer.Write("data: "u8);
        using (var json = new Utf8JsonWriter(buffer, FlowLine.Format))
        {
            json.WriteStartArray();
            foreach (var flow in flows)
                line.Write(json, flow);
            if (missed > 0)
            {
                json.WriteStartObject();
                json.WriteNumber("dropped", missed);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        buffer.Write("\n\n"u8);
        return buffer.WrittenMemory;
    }
}
