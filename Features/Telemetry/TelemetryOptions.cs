using System.Globalization;

namespace Discobot.Features.Telemetry;

/// <summary>What the OTEL variables ask for. An empty one counts as not set.</summary>
/// <param name="Traces">Where spans go; null: nowhere.</param>
/// <param name="Metrics">Where metrics go.</param>
/// <param name="Variables">Those of OpenTelemetry, for its own reading of what is not about the collector.</param>
/// <param name="Mistake">Why nothing is exported although it is asked for.</param>
internal sealed record TelemetryOptions(Collector? Traces, Collector? Metrics, IReadOnlyDictionary<string, string> Variables, string? Mistake)
{
    public static TelemetryOptions Read(IReadOnlyDictionary<string, string> environment)
    {
        var variables = environment.Where(v => v.Key.StartsWith("OTEL_", StringComparison.Ordinal) && v.Value.Length > 0).ToDictionary(StringComparer.Ordinal);
        if (variables.GetValueOrDefault("OTEL_SDK_DISABLED", "").Trim().Equals("true", StringComparison.OrdinalIgnoreCase))
            return new TelemetryOptions(null, null, variables, null);
        string? mistake = null;
        var (traces, metrics) = (Collector.Read(variables, "TRACES", ref mistake), Collector.Read(variables, "METRICS", ref mistake));
        return mistake is null ? new TelemetryOptions(traces, metrics, variables, null) : new TelemetryOptions(null, null, variables, mistake);
    }
}

/// <summary>Where one of the two goes, as OTEL_EXPORTER_OTLP_… says, and before it OTEL_EXPORTER_OTLP_TRACES_… or OTEL_EXPORTER_OTLP_METRICS_….</summary>
/// <param name="Endpoint">The whole address.</param>
/// <param name="IsGrpc">Otherwise it is Protocol Buffers over HTTP, as the specification wants it where nothing is written.</param>
/// <param name="Headers">As written; empty: none.</param>
/// <param name="Timeout">In milliseconds.</param>
internal sealed record Collector(Uri Endpoint, bool IsGrpc, string Headers, int Timeout)
{
    private const int DefaultTimeout = 10_000;

    /// <summary>Null where nothing is to go, or something cannot be used: <paramref name="mistake"/> then says what.</summary>
    /// <remarks>The package reads the variables of one signal not at all, and takes its default in place of what it cannot read without saying so.</remarks>
    public static Collector? Read(Dictionary<string, string> variables, string signal, ref string? mistake)
    {
        if (variables.GetValueOrDefault($"OTEL_{signal}_EXPORTER", "otlp").Trim() != "otlp")
            return null;
        var (name, written, isOwn) = Find("ENDPOINT");
        if (written.Length == 0)
            return null;
        if (!Uri.TryCreate(written, UriKind.Absolute, out var endpoint) || endpoint.Scheme is not ("http" or "https"))
        {
            mistake ??= $"{name} is no http or https URL";
            return null;
        }

        (name, var protocol, _) = Find("PROTOCOL");
        if (protocol is not ("" or "http/protobuf" or "grpc"))
        {
            mistake ??= $"{name} is neither http/protobuf nor grpc";
            return null;
        }

        (name, var headers, _) = Find("HEADERS");
        if (headers.Split(',', StringSplitOptions.RemoveEmptyEntries).Any(pair => pair.IndexOf('=', StringComparison.Ordinal) < 1))
        {
            mistake ??= $"{name} is no list of name=value";
            return null;
        }

        (name, var limit, _) = Find("TIMEOUT");
        var timeout = DefaultTimeout;
        if (limit.Length > 0 && (!int.TryParse(limit, NumberStyles.None, CultureInfo.InvariantCulture, out timeout) || timeout == 0))
        {
            mistake ??= $"{name} is no number of milliseconds";
            return null;
        }

        // The path is added to what both share, and not to what is one's own.
        if (!isOwn && protocol != "grpc")
            endpoint = new Uri($"{written.TrimEnd('/')}/v1/{(signal == "TRACES" ? "traces" : "metrics")}");
        return new Collector(endpoint, protocol == "grpc", headers, timeout);

        (string Name, string Value, bool IsOwn) Find(string what)
        {
            var own = $"OTEL_EXPORTER_OTLP_{signal}_{what}";
            return variables.TryGetValue(own, out var value) ? (own, value.Trim(), true) : ($"OTEL_EXPORTER_OTLP_{what}", variables.GetValueOrDefault($"OTEL_EXPORTER_OTLP_{what}", "").Trim(), false);
        }
    }
}
