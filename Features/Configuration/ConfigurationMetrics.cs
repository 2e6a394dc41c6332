using Prometheus;

namespace Discobot.Features.Configuration;

/// <summary>Changes of the configuration, taken and refused.</summary>
internal sealed class ConfigurationMetrics
{
    private readonly Counter _changes;
    private readonly Gauge _last;

    public ConfigurationMetrics(IMetricFactory metrics)
    {
        _changes = metrics.CreateCounter(
            "discobot_config_changes_total", "Changes of the running configuration that came from its file or the API.", ["source", "result"]);
        _last = metrics.CreateGauge(
            "discobot_config_last_change_timestamp_seconds", "When a change was last applied, in Unix time; 0: not since the start.");
        // A counter that is missing until its first event hides that event from rates.
        foreach (var source in (string[])["file", "api"])
            (_, _) = (_changes.WithLabels(source, "applied"), _changes.WithLabels(source, "refused"));
    }

    /// <param name="source"><c>file</c> or <c>api</c>.</param>
    /// <param name="applied">Otherwise refused whole.</param>
    public void Count(string source, bool applied)
    {
        _changes.WithLabels(source, applied ? "applied" : "refused").Inc();
        if (applied)
            _last.SetToCurrentTimeUtc();
    }
}
