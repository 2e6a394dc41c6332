using System.CommandLine;

namespace Discobot.Features.CommandLine.Commands;

public sealed class ConfigCommandTests : IDisposable
{
    private readonly string _file = Path.GetTempFileName();

    public void Dispose() => File.Delete(_file);

    private (int Code, string Output, string Error) Run(string yaml, params string[] words)
    {
        File.WriteAllText(_file, yaml);
        var (output, error) = (new StringWriter(), new StringWriter());
        var code = new RootCommand { ConfigCommand.Create() }.Parse(["config", .. words, _file])
            .Invoke(new InvocationConfiguration { Output = output, Error = error });
        return (code, output.ToString(), error.ToString());
    }

    [Fact]
    public void A_good_file_is_ok() => Assert.Equal((0, $"{_file}: ok\n", ""), Run("cache: {max_size: 1GiB}", "check"));

    [Theory]
    [InlineData("allowlist: {domains: [a.example]}", true)]
    [InlineData("allowlist: {enabled: false, presets: npm}", true)]
    [InlineData("allowlist: {enabled: true, domains: [a.example]}", false)]
    [InlineData("allowlist: {deny: [a.example]}", false)]
    public void Entries_of_an_allowlist_that_is_off_are_no_mistake_and_told(string yaml, bool isTold)
    {
        const string note = "allowlist.enabled is not true: everything may leave that allowlist.deny does not name, whatever the other entries say";
        Assert.Equal((0, $"{_file}: ok{(isTold ? $", but {note}" : "")}\n", ""), Run(yaml, "check"));
        Assert.Equal(isTold, Run(yaml, "check", "--json").Output.Contains($"\"note\": \"{note}\"", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_proxy_that_starts_with_such_entries_tells_it_in_its_log()
    {
        await using var proxy = await Tests.Fixtures.RunningProxy.StartAsync("allowlist: {domains: [a.example]}");
        await Tests.Fixtures.Eventually.TrueAsync(async () => (await File.ReadAllTextAsync(proxy.LogFile)).Contains("allowlist is off", StringComparison.Ordinal));
    }

    [Fact]
    public void Every_mistake_of_a_bad_file_is_told_and_the_exit_code_is_2()
    {
        var (code, output, error) = Run("cache: {max_size: none}\nlogging: {level: loud}", "check");
        Assert.Equal((2, ""), (code, output));
        Assert.StartsWith($"{_file}:1:19: cache.max_size: must be a size", error, StringComparison.Ordinal);
        Assert.EndsWith("\n2 mistakes\n", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_program_reads_the_mistakes_with_their_places()
    {
        var (code, output, error) = Run("cache: {max_size: none}", "check", "--json");
        Assert.Equal((2, ""), (code, error));
        var verdict = System.Text.Json.JsonDocument.Parse(output).RootElement;
        Assert.False(verdict.GetProperty("ok").GetBoolean());
        var mistake = Assert.Single(verdict.GetProperty("mistakes").EnumerateArray());
        Assert.Equal((1, 19, "cache.max_size"), (mistake.GetProperty("line").GetInt32(), mistake.GetProperty("column").GetInt32(), mistake.GetProperty("key").GetString()));
        Assert.True(System.Text.Json.JsonDocument.Parse(Run("cache: {max_size: 20G}", "check", "--json").Output).RootElement.GetProperty("ok").GetBoolean());
    }

    [Fact]
    public async Task What_runs_is_shown_whatever_its_file_says_now()
    {
        await using var proxy = await Tests.Fixtures.RunningProxy.StartAsync("allowlist: {mode: learn, domains: [runs.example]}");
        var (output, error) = (new StringWriter(), new StringWriter());
        Assert.Equal(0, await RootCommands.RunAsync(
            RootCommands.Create(), ["config", "show", "--api", $"127.0.0.1:{proxy.ApiPort}"], new() { Output = output, Error = error }));
        Assert.StartsWith($"# in force at http://127.0.0.1:{proxy.ApiPort}/\nproxy:\n  port: {proxy.Port}\n", output.ToString(), StringComparison.Ordinal);
        Assert.Contains("\n  - runs.example\n", output.ToString(), StringComparison.Ordinal);
        Assert.Equal(1, await RootCommands.RunAsync(
            RootCommands.Create(), ["config", "show", "--api", "127.0.0.1:1"], new() { Output = output, Error = error }));
        Assert.Contains("discobot config show: no answer from the proxy", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_in_force_is_shown_as_a_file_or_as_json_with_secrets_masked()
    {
        const string yaml = "headers: {a.com: {set: {Authorization: s3cret}}}";
        var (code, text, _) = Run(yaml, "show", "--config");
        Assert.Equal(0, code);
        Assert.StartsWith($"# from {_file}\nproxy:\n  port: 17080\n", text, StringComparison.Ordinal);
        Assert.Contains("\n      Authorization: \"***\"\n", text, StringComparison.Ordinal);
        Assert.StartsWith("{\n  \"proxy\": {\n", Run(yaml, "show", "--json", "--config").Output, StringComparison.Ordinal);
    }
}
