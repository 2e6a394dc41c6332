using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using Discobot.Tests.Fixtures;
using YamlDotNet.RepresentationModel;

namespace Discobot.Rules;

/// <summary>The dashboard and the alerts over /metrics.</summary>
public sealed partial class GrafanaExampleTests
{
    private static readonly string Folder = Path.Combine(Checkout.Top(), "examples/grafana");

    private static IReadOnlyList<string> Panels { get; } =
        [.. JsonElement.Parse(File.ReadAllText(Path.Combine(Folder, "dashboard.json"))).GetProperty("panels").EnumerateArray()
            .Where(panel => panel.TryGetProperty("targets", out _))
            .SelectMany(panel => panel.GetProperty("targets").EnumerateArray())
            .Select(target => target.GetProperty("expr").GetString()!)];

    [Fact]
    public async Task Every_metric_of_the_dashboard_and_the_alerts_is_one_that_the_proxy_has()
    {
        await using var proxy = await RunningProxy.StartAsync($"egress: {{mode: redirect, port: {RunningProxy.FreePort()}, dns_port: {RunningProxy.FreePort()}}}");
        using var api = proxy.Api();
        var families = PrometheusText.Parse(await api.GetStringAsync("/metrics")).Families.ToHashSet();
        var alerts = Alerts();
        Assert.True(Panels.Count > 20 && alerts.Count > 5);
        foreach (var expression in Panels.Concat(alerts).Append(File.ReadAllText(Path.Combine(Folder, "dashboard.json"))))
        {
            var names = Name().Matches(expression).Select(m => m.Value).ToList();
            Assert.True(names.Count > 0 || expression.StartsWith("up{", StringComparison.Ordinal), expression);
            foreach (var name in names)
                Assert.True(families.Contains(name) || (name.EndsWith("_bucket", StringComparison.Ordinal) && families.Contains(name[..^"_bucket".Length])), $"{name} in {expression}");
        }
    }

    [Fact]
    public async Task Promtool_reads_all_of_it_and_each_alert_is_raised_when_it_should_be()
    {
        // Debian's package; `make test` installs it.
        if (await RunAsync("--version") is null)
            return;
        var checkedRules = await RunAsync("check", "rules", "alerts.yaml");
        Assert.True(checkedRules is (0, _), checkedRules?.Said);
        var tried = await RunAsync("test", "rules", "alerts.test.yaml");
        Assert.True(tried is (0, _), tried?.Said);
        var expected = File.ReadAllText(Path.Combine(Folder, "alerts.test.yaml"));
        Assert.All(Rules(), rule => Assert.Contains($"alertname=\"{rule["alert"]}\"", expected, StringComparison.Ordinal));

        // The panels' expressions as recording rules, with what Grafana puts in place of its variables.
        var file = Path.GetTempFileName();
        try
        {
            var rules = Panels.Select((panel, i) => $"      - {{record: \"panel:{i}\", expr: {JsonSerializer.Serialize(panel.Replace("$__rate_interval", "5m", StringComparison.Ordinal).Replace("$instance", ".*", StringComparison.Ordinal))}}}");
            await File.WriteAllTextAsync(file, $"groups:\n  - name: panels\n    rules:\n{string.Join('\n', rules)}\n");
            var panels = await RunAsync("check", "rules", file);
            Assert.True(panels is (0, _), panels?.Said);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static List<string> Alerts() => [.. Rules().Select(rule => rule["expr"].ToString())];

    private static IEnumerable<YamlNode> Rules()
    {
        var stream = new YamlStream();
        using var text = new StreamReader(Path.Combine(Folder, "alerts.yaml"));
        stream.Load(text);
        return ((YamlSequenceNode)stream.Documents[0].RootNode["groups"][0]["rules"]).Children;
    }

    // Null where there is none.
    private static async Task<(int Code, string Said)?> RunAsync(params string[] words)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo("promtool", words) { WorkingDirectory = Folder, RedirectStandardOutput = true, RedirectStandardError = true })!;
            var said = await Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync()).WaitAsync(TimeSpan.FromMinutes(2));
            await process.WaitForExitAsync();
            return (process.ExitCode, string.Concat(said));
        }
        catch (Win32Exception)
        {
            return null;
        }
    }

    [GeneratedRegex(@"\b(?:discobot|process|dotnet)_\w+")]
    private static partial Regex Name();
}
