using System.Diagnostics;
using System.Reflection;
using System.Threading.Channels;
using Discobot.Infrastructure;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Discobot.Features.Telemetry;

/// <summary>
/// Makes spans and metrics of requests that are over, on a task of its own. Who serves a client only puts the flow into a queue; when that is full, because
/// the collector is slow or gone, flows are left out.
/// </summary>
internal sealed partial class FlowTelemetry : IFlowObserver, IDisposable
{
    /// <summary>Bytes of memory that flows may take while they wait.</summary>
    private const long MaxWaiting = 8 << 20;

    /// <summary>How long the end of the process waits for what is left, each time.</summary>
    private static readonly TimeSpan LastWait = TimeSpan.FromSeconds(1);

    private readonly Channel<Flow> _flows = Channel.CreateUnbounded<Flow>(new UnboundedChannelOptions { SingleReader = true });
    private readonly FlowSpans _spans = new();
    private readonly TelemetryMetrics _measured;
    private readonly CollectorClient _client;
    private TracerProvider? _traces;
    private MeterProvider? _metrics;
    private readonly Task _work;
    private long _weight;

    public FlowTelemetry(TelemetryOptions options, IEnumerable<ObservedCount> observed, ILogger<FlowTelemetry> log)
    {
        (_client, _measured) = (new CollectorClient(log), new TelemetryMetrics(observed));
        if (options.Mistake is { } mistake)
            LogOff(log, mistake);
        try
        {
            Build(options);
        }
        catch (Exception e) when (e is ArgumentException or FormatException or InvalidOperationException or NotSupportedException)
        {
            // A variable that the package reads by itself, and does not take: no reason to end the proxy.
            (_traces, _metrics) = (null, null);
            LogOff(log, $"the variables OTEL_… cannot be used: {e.Message}");
        }

        WantsTraceContext = _traces is not null;
        _work = Task.Run(WorkAsync);
    }

    public bool WantsTraceContext { get; }

    public void Ended(Flow flow)
    {
        // What is not HTTP has other words, and the counters of /metrics.
        if (flow is not { Method: not null, Scheme: not null, Host: not null } || Interlocked.Read(ref _weight) > MaxWaiting)
            return;
        Interlocked.Add(ref _weight, flow.Weight);
        if (!_flows.Writer.TryWrite(flow))
            Interlocked.Add(ref _weight, -flow.Weight);
    }

    public void Dispose()
    {
        if (!_flows.Writer.TryComplete())
            return;
        // A collector that takes nothing must not hold the end of the process.
        _ = _work.Wait(LastWait);
        _ = _traces?.Shutdown((int)LastWait.TotalMilliseconds);
        _ = _metrics?.Shutdown((int)LastWait.TotalMilliseconds);
        _traces?.Dispose();
        _metrics?.Dispose();
        _spans.Dispose();
        _measured.Dispose();
        _client.Dispose();
    }

    private async Task WorkAsync()
    {
        await foreach (var flow in _flows.Reader.ReadAllAsync())
        {
            Interlocked.Add(ref _weight, -flow.Weight);
            if (_traces is not null)
                _spans.Add(flow);
            if (_metrics is not null)
                _measured.Add(flow);
        }
    }

    private void Build(TelemetryOptions options)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(options.Variables.Select(v => KeyValuePair.Create(v.Key, (string?)v.Value))).Build();
        if (options.Traces is { } traces)
        {
            _traces = Sdk.CreateTracerProviderBuilder()
                .ConfigureServices(services => services.AddSingleton<IConfiguration>(configuration))
                .SetResourceBuilder(Resource(options))
                .AddSource(FlowSpans.Source)
                .AddOtlpExporter(exporter => Lead(exporter, traces))
                .Build();
        }

        if (options.Metrics is { } metrics)
        {
            _metrics = Sdk.CreateMeterProviderBuilder()
                .ConfigureServices(services => services.AddSingleton<IConfiguration>(configuration))
                .SetResourceBuilder(Resource(options))
                .AddMeter(TelemetryMetrics.Meter)
                .AddOtlpExporter(exporter => Lead(exporter, metrics))
                .Build();
        }
    }

    private void Lead(OtlpExporterOptions exporter, Collector to)
    {
        exporter.Protocol = to.IsGrpc ? OtlpExportProtocol.Grpc : OtlpExportProtocol.HttpProtobuf;
        exporter.Endpoint = to.Endpoint;
        exporter.Headers = to.Headers;
        exporter.TimeoutMilliseconds = to.Timeout;
        exporter.HttpClientFactory = () => new HttpClient(_client, disposeHandler: false) { Timeout = TimeSpan.FromMilliseconds(to.Timeout) };
    }

    // What the operator calls it goes before our own name.
    private static ResourceBuilder Resource(TelemetryOptions options)
    {
        var version = typeof(FlowTelemetry).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion;
        var resource = ResourceBuilder.CreateEmpty().AddService("discobot", serviceVersion: version).AddTelemetrySdk();
        Dictionary<string, object> own = [];
        foreach (var pair in options.Variables.GetValueOrDefault("OTEL_RESOURCE_ATTRIBUTES", "").Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            if (pair.Split('=', 2) is [var name, var value])
                own[name.Trim()] = Uri.UnescapeDataString(value.Trim());
        }

        if (options.Variables.TryGetValue("OTEL_SERVICE_NAME", out var service))
            own["service.name"] = service;
        return resource.AddAttributes(own);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "telemetry off {Reason}")]
    private static partial void LogOff(ILogger log, string reason);
}
