using System.Globalization;
using System.Text.RegularExpressions;

namespace Discobot.Tests.Fixtures;

/// <summary>
/// Reads Prometheus' text format 0.0.4 and refuses what is not exactly that, or is not named as promtool's linter wants it.
/// </summary>
internal sealed partial class PrometheusText
{
    private static readonly string[] ForeignUnits =
        ["milliseconds", "ms", "microseconds", "minutes", "hours", "days", "kilobytes", "kb", "megabytes", "mb", "kib", "mib", "bits", "percent"];

    private readonly Dictionary<string, double> _samples = [];
    private readonly Dictionary<string, string> _types = [];
    private readonly HashSet<string> _closed = [];
    private string? _help;
    private string? _family;

    private PrometheusText()
    {
    }

    /// <summary>The value of one sample, such as <c>discobot_requests_total{method="GET",status="2xx"}</c>; 0 when it is not there.</summary>
    public double this[string sample] => _samples.GetValueOrDefault(sample);

    public IEnumerable<string> Families => _types.Keys;

    /// <exception cref="FormatException">Says what is wrong with which line.</exception>
    public static PrometheusText Parse(string text)
    {
        var result = new PrometheusText();
        if (!text.EndsWith('\n'))
            throw new FormatException("the last line does not end");
        foreach (var line in text[..^1].Split('\n'))
            result.Read(line);
        foreach (var (family, type) in result._types)
            result.CheckFamily(family, type);
        return result;
    }

    private void Read(string line)
    {
        if (HelpLine().Match(line) is { Success: true } help)
            _help = _closed.Add(help.Groups[1].Value) ? help.Groups[1].Value : throw Bad(line, "its family was there before");
        else if (TypeLine().Match(line) is { Success: true } type)
            (_family, _types[type.Groups[1].Value]) = type.Groups[1].Value == _help ? (_help, type.Groups[2].Value) : throw Bad(line, "its HELP is missing");
        else if (SampleLine().Match(line) is { Success: true } sample)
            ReadSample(line, sample);
        else
            throw Bad(line, "neither HELP, TYPE nor a sample");
    }

    private void ReadSample(string line, Match sample)
    {
        var name = sample.Groups["name"].Value;
        if (_family is null || (name != _family && !(_types[_family] == "histogram" && Suffixed().Replace(name, "") == _family)))
            throw Bad(line, "it stands outside its family");
        var labels = sample.Groups["label"].Captures.Select(l => l.Value).ToArray();
        if (labels.Distinct().Count() != labels.Length || (labels.Contains("le") && !name.EndsWith("_bucket", StringComparison.Ordinal)))
            throw Bad(line, "a label is there twice or reserved");
        var value = sample.Groups["value"].Value;
        var number = value == "+Inf" ? double.PositiveInfinity : double.Parse(value, NumberStyles.Float, CultureInfo.InvariantCulture);
        if (!_samples.TryAdd(line[..line.LastIndexOf(' ')], number))
            throw Bad(line, "the sample is there twice");
    }

    private void CheckFamily(string name, string type)
    {
        if (!Name().IsMatch(name) || name.EndsWith("_total", StringComparison.Ordinal) != (type == "counter")
            || (type != "histogram" && Suffixed().IsMatch(name)) || name.Split('_').Any(part => part == type || ForeignUnits.Contains(part)))
            throw Bad(name, $"no name for a {type}");
        if (type == "histogram")
            CheckHistogram(name);
        if (type == "counter" && _samples.Any(s => s.Key.Split('{')[0] == name && s.Value < 0))
            throw Bad(name, "a counter below zero");
    }

    // Without labels of its own, as ours are.
    private void CheckHistogram(string name)
    {
        var buckets = _samples.Where(s => s.Key.StartsWith(name + "_bucket{", StringComparison.Ordinal))
            .Select(s => (Bound: Bound(s.Key), s.Value)).ToArray();
        if (!buckets.SequenceEqual(buckets.OrderBy(b => b.Bound)) || !buckets.SequenceEqual(buckets.OrderBy(b => b.Value)))
            throw Bad(name, "its buckets are not cumulative");
        if (buckets.Length == 0 || !double.IsPositiveInfinity(buckets[^1].Bound) || buckets[^1].Value != this[name + "_count"])
            throw Bad(name, "+Inf is missing or not the count");
        if (!_samples.ContainsKey(name + "_sum") || !name.EndsWith("_seconds", StringComparison.Ordinal))
            throw Bad(name, "no sum, or a duration that is not in seconds");
    }

    private static double Bound(string bucket)
    {
        var text = bucket[(bucket.IndexOf("le=\"", StringComparison.Ordinal) + 4)..^2];
        return text == "+Inf" ? double.PositiveInfinity : double.Parse(text, CultureInfo.InvariantCulture);
    }

    private static FormatException Bad(string line, string what) => new($"{line}: {what}");

    [GeneratedRegex(@"^# HELP ([a-z][a-z0-9_]*) \S.*$")]
    private static partial Regex HelpLine();

    [GeneratedRegex(@"^# TYPE ([a-z][a-z0-9_]*) (counter|gauge|histogram)$")]
    private static partial Regex TypeLine();

    [GeneratedRegex("""^(?<name>[a-z][a-z0-9_]*)(\{((?<label>[a-z_]+)="([^"\\\n]|\\["\\n])*",?)+(?<!,)\})? (?<value>-?[0-9.]+([eE][+-]?[0-9]+)?|\+Inf)$""")]
    private static partial Regex SampleLine();

    [GeneratedRegex("^(discobot|process|dotnet)(_[a-z0-9]+)+$")]
    private static partial Regex Name();

    [GeneratedRegex("_(bucket|sum|count)$")]
    private static partial Regex Suffixed();
}
