using Prometheus;

namespace Discobot.Tests.Fixtures;

/// <summary>Counters of a test's own, which nobody reads.</summary>
internal static class TestMetrics
{
    public static IMetricFactory New() => Metrics.WithCustomRegistry(Metrics.NewCustomRegistry());
}
