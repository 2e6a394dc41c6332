using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Discobot.Tests.Fixtures;

/// <summary>A collector of OpenTelemetry: takes OTLP over HTTP and gRPC, and reads what it says by the fields of opentelemetry-proto 1.x.</summary>
internal sealed class TestCollector : IAsyncDisposable
{
    private readonly TestAuthority _authority = new();
    private readonly ConcurrentQueue<(string Path, string? Type, string? Key, byte[] Body)> _messages = new();
    private TestOrigin _server = null!;

    /// <summary>What it answers with.</summary>
    public int Status { get; set; } = 200;

    /// <summary>At an address that no rule of the tests allows.</summary>
    public string Endpoint => $"http://127.0.0.3:{_server.HttpPort}";

    /// <summary>The paths that were asked for.</summary>
    public IEnumerable<string> Paths => _messages.Select(m => m.Path);

    public IEnumerable<string?> Keys => _messages.Select(m => m.Key);

    /// <summary>All that it was told, as it came.</summary>
    public IEnumerable<byte[]> Bodies => _messages.Select(m => m.Body);

    public IReadOnlyList<Span> Spans =>
        [.. from message in Messages("/v1/traces") from scope in message.All(2) from span in scope.All(2) select Span.Read(message.One(1), span)];

    /// <summary>The points of the last report of each histogram.</summary>
    public IReadOnlyList<Point> Points(string name) => [.. Messages("/v1/metrics").TakeLast(1).SelectMany(resource =>
        from scope in resource.All(2)
        from metric in scope.All(2)
        where metric.Text(1) == name
        from point in metric.One(9).All(1)
        select new Point(metric.Text(3), point.Number(4), point.Double(5), Attributes(point, 9)))];

    /// <summary>What the last report says of a counter, or of how many there are; null: nothing.</summary>
    public (string Unit, long Value, bool Grows)? Count(string name) => Messages("/v1/metrics").TakeLast(1).SelectMany(resource =>
        from scope in resource.All(2)
        from metric in scope.All(2)
        where metric.Text(1) == name
        let sum = metric.One(7)
        select ((string, long, bool)?)(metric.Text(3), (long)sum.One(1).Number(6), sum.Number(3) == 1)).SingleOrDefault();

    public static async Task<TestCollector> StartAsync(HttpProtocols protocols = HttpProtocols.Http1)
    {
        var collector = new TestCollector();
        collector._server = await TestOrigin.StartAsync(collector._authority.Issue(["localhost"]), collector.TakeAsync, IPAddress.Parse("127.0.0.3"), protocols);
        return collector;
    }

    /// <summary>What its clients are told to do.</summary>
    public Dictionary<string, string> Variables() => new()
    {
        ["OTEL_EXPORTER_OTLP_ENDPOINT"] = Endpoint,
        ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
        ["OTEL_EXPORTER_OTLP_HEADERS"] = "x-key=operators%20own",
        ["OTEL_SERVICE_NAME"] = "egress",
        ["OTEL_RESOURCE_ATTRIBUTES"] = "team=a%20b,service.name=other",
        ["OTEL_BSP_SCHEDULE_DELAY"] = "50",
        ["OTEL_METRIC_EXPORT_INTERVAL"] = "100",
    };

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _authority.Dispose();
    }

    private static Dictionary<string, string> Attributes(Protobuf of, int field) => of.All(field).ToDictionary(pair => pair.Text(1), pair =>
        pair.One(2) is var value && value.Has(1) ? value.Text(1) : value.Has(3) ? value.Number(3).ToString(CultureInfo.InvariantCulture) : throw new FormatException(pair.Text(1)));

    private IEnumerable<Protobuf> Messages(string path) => _messages.SelectMany(m => (m.Type, m.Path) switch
    {
        ("application/x-protobuf", _) when m.Path == path => new Protobuf(m.Body).All(1),
        // Behind a byte that says that it is not compressed, and its length.
        ("application/grpc", "/opentelemetry.proto.collector.trace.v1.TraceService/Export") when path == "/v1/traces" => new Protobuf(m.Body.AsSpan(5)).All(1),
        ("application/grpc", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export") when path == "/v1/metrics" => new Protobuf(m.Body.AsSpan(5)).All(1),
        _ => [],
    });

    private async Task TakeAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        _messages.Enqueue((context.Request.Path.Value!, context.Request.ContentType, context.Request.Headers["x-key"].ToString(), body.ToArray()));
        context.Response.StatusCode = Status;
        if (context.Request.ContentType == "application/grpc")
        {
            // An empty answer in one frame, and that it went well.
            context.Response.ContentType = "application/grpc";
            await context.Response.Body.WriteAsync(new byte[5]);
            context.Response.AppendTrailer("grpc-status", "0");
        }
    }

    internal sealed record Span(string Trace, string Id, string Parent, string State, string Name, ulong Kind, ulong Start, ulong End, ulong Status, IReadOnlyDictionary<string, string> Attributes, IReadOnlyDictionary<string, string> Resource)
    {
        public string this[string name] => Attributes.GetValueOrDefault(name, "");

        public static Span Read(Protobuf resource, Protobuf span) => new(
            span.Hex(1), span.Hex(2), span.Hex(4), span.Text(3), span.Text(5), span.Number(6), span.Number(7), span.Number(8),
            span.All(15).SingleOrDefault()?.Number(3) ?? 0, TestCollector.Attributes(span, 9), TestCollector.Attributes(resource, 1));
    }

    internal sealed record Point(string Unit, ulong Count, double Sum, IReadOnlyDictionary<string, string> Attributes);
}
