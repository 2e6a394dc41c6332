using System.Globalization;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Telemetry;

/// <summary>What the OTEL variables ask for. An empty one counts as not set.</summary>
/// <param name="Traces">Where spans go; null: nowhere.</param>
/// <param name="Metrics">Where metrics go.</param>
/// <param name="Variables">Those of OpenTelemetry, for its own reading of what is not about the collector.</param>
/// <param name="Mistake">Why nothing is exported although it is asked for.</param>
internal sealed record TelemetryOptions(Collector? Traces, Collector? Metrics, IReadOnlyDictionary<string, string> Variables, string? Mistake)
{
    private static readonly string[] Numbers =
        ["OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_METRIC_EXPORT_INTERVAL", "OTEL_METRIC_EXPORT_TIMEOUT"];

    private static readonly string[] Samplers =
        ["always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"];

    public static TelemetryOptions Read(IReadOnlyDictionary<string, string> environment)
    {
        var variables = environment.Where(v => v.Key.StartsWith("OTEL_", StringComparison.Ordinal) && v.Value.Length > 0).ToDictionary(StringComparer.Ordinal);
        if (variables.GetValueOrDefault("OTEL_SDK_DISABLED", "").Trim().Equals("true", StringComparison.OrdinalIgnoreCase))
            return new TelemetryOptions(null, null, variables, null);
        string? mistake = null;
        var (traces, metrics) = (Collector.Read(variables, "TRACES", ref mistake), Collector.Read(variables, "METRICS", ref mistake));
        if (traces is not null || metrics is not null)
            mistake ??= Unusable(variables);
        return mistake is null ? new TelemetryOptions(traces, metrics, variables, null) : new TelemetryOptions(null, null, variables, mistake);
    }

    // The package takes its default in place of what it cannot read, and says so to nobody.
    private static string? Unusable(Dictionary<string, string> variables)
    {
        foreach (var name in Numbers)
        {
            if (variables.TryGetValue(name, out var value) && !(int.TryParse(value.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0))
                return $"{name} is no whole number above 0";
        }

        if (Number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512) > Number("OTEL_BSP_MAX_QUEUE_SIZE", 2048))
            return "OTEL_BSP_MAX_EXPORT_BATCH_SIZE is more than OTEL_BSP_MAX_QUEUE_SIZE: write 512 and 2048, or neither";
        if (variables.TryGetValue("OTEL_TRACES_SAMPLER", out var sampler) && !Samplers.Contains(sampler.Trim()))
            return $"OTEL_TRACES_SAMPLER is none of {string.Join(", ", Samplers)}";
        if (variables.TryGetValue("OTEL_TRACES_SAMPLER_ARG", out var share) && sampler?.EndsWith("traceidratio", StringComparison.Ordinal) == true
            && !(double.TryParse(share, NumberStyles.Float, CultureInfo.InvariantCulture, out var ratio) && ratio is >= 0 and <= 1))
            return "OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1: write a tenth of all traces as 0.1";
        return null;

        int Number(string name, int otherwise) => variables.TryGetValue(name, out var value) ? int.Parse(value, CultureInfo.InvariantCulture) : otherwise;
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
        var exporter = variables.GetValueOrDefault($"OTEL_{signal}_EXPORTER", "otlp").Trim();
        var (name, written, isOwn) = Find("ENDPOINT");
        if (written.Length == 0 || exporter == "none")
            return null;
        if (exporter != "otlp")
        {
            mistake ??= $"OTEL_{signal}_EXPORTER is neither otlp nor none, and there is no other exporter";
            return null;
        }

        if (!Uri.TryCreate(written, UriKind.Absolute, out var endpoint) || endpoint.Scheme is not ("http" or "https"))
        {
            mistake ??= $"{name} is no http or https URL: write it as http://collector:4318";
            return null;
        }

        (name, var protocol, _) = Find("PROTOCOL");
        if (protocol is not ("" or "http/protobuf" or "grpc"))
        {
            mistake ??= $"{name} is neither http/protobuf nor grpc: write the one that the collector takes at that port, mostly http/protobuf at 4318 and grpc at 4317";
            return null;
        }

        (name, var headers, _) = Find("HEADERS");
        if (headers.Split(',', StringSplitOptions.RemoveEmptyEntries).Any(static pair => !IsField(pair)))
        {
            mistake ??= $"{name} is no list of name=value: write it as api-key=abc,other=d%20e, values percent-encoded";
            return null;
        }

        (name, var limit, _) = Find("TIMEOUT");
        var timeout = DefaultTimeout;
        if (limit.Length > 0 && (!int.TryParse(limit, NumberStyles.None, CultureInfo.InvariantCulture, out timeout) || timeout == 0))
        {
            mistake ??= $"{name} is no number of milliseconds: write ten seconds as 10000";
            return null;
        }

        // The path is added to what both share, and not to what is one's own.
        if (!isOwn && protocol != "grpc")
            endpoint = new Uri($"{written.TrimEnd('/')}/v1/{(signal == "TRACES" ? "traces" : "metrics")}");
        return new Collector(endpoint, protocol == "grpc", headers, timeout);

        static bool IsField(string pair) => pair.IndexOf('=', StringComparison.Ordinal) is var at and > 0 && HttpToken.IsValid(pair[..at].Trim())
            && !Uri.UnescapeDataString(pair[(at + 1)..]).Any(char.IsControl);

        (string Name, string Value, bool IsOwn) Find(string what)
        {
            var own = $"OTEL_EXPORTER_OTLP_{signal}_{what}";
            return variables.TryGetValue(own, out var value) ? (own, value.Trim(), true) : ($"OTEL_EXPORTER_OTLP_{what}", variables.GetValueOrDefault($"OTEL_EXPORTER_OTLP_{what}", "").Trim(), false);
        }
    }
}
