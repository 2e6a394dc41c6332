using System.CommandLine;
using Discobot.Features.CommandLine.Commands;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Allowlist;

public sealed class AllowlistPresetTests
{
    [Fact]
    public void Those_that_are_promised_are_there_and_each_allows_something_and_says_what_for()
    {
        Assert.Equal(
            ["alpine", "anthropic", "crates", "debian", "docker-hub", "ghcr", "github", "go", "huggingface", "npm", "openai", "pypi", "ubuntu"],
            AllowlistPreset.All.Select(preset => preset.Name));
        Assert.All(AllowlistPreset.All, preset => Assert.NotEmpty(preset.Domains));
        Assert.All(AllowlistPreset.All, preset => Assert.NotEmpty(preset.Reason));
        // None is an entry for everybody.
        Assert.All(AllowlistPreset.All.SelectMany(preset => preset.Domains), rule => Assert.Contains('.', rule.Host.Name));
    }

    [Fact]
    public void A_preset_allows_what_its_entries_would_beside_the_entries_that_are_written()
    {
        var rules = new AllowlistRules(Options("enabled: true\npresets: [pypi, github]\ndomains: [own.example]"));
        Assert.True(Allows(rules, "pypi.org", "GET"));
        Assert.True(Allows(rules, "own.example", "POST"));
        Assert.True(Allows(rules, "github.com", "POST"));
        Assert.False(Allows(rules, "pypi.org", "POST"));
        Assert.False(Allows(rules, "registry.npmjs.org", "GET"));
    }

    [Fact]
    public void A_name_that_is_none_is_a_mistake_that_names_those_there_are()
    {
        var error = Assert.Single(ConfigDocument.Parse("presets: [pip]", "test.yaml").Read(root => AllowlistOptions.Read(root)).Errors);
        Assert.Contains("presets[0]: no preset has the name \"pip\"; there are alpine, anthropic", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_workspace_may_have_a_preset_only_where_the_policy_allows_its_entries()
    {
        var policy = Options("enabled: true\npresets: [pypi]\ndomains: [\"*.example\"]");
        Assert.Empty(policy.Exceeding(Options("enabled: true\npresets: [pypi]")));
        Assert.Empty(policy.Exceeding(Options("enabled: true\ndomains: [{host: pypi.org, methods: [GET]}]")));
        Assert.NotEmpty(policy.Exceeding(Options("enabled: true\npresets: [npm]")));
    }

    [Fact]
    public async Task The_command_shows_them_with_their_entries()
    {
        using var output = new StringWriter();
        Assert.Equal(0, await RootCommands.RunAsync(RootCommands.Create(), ["allowlist", "presets"], new InvocationConfiguration { Output = output }));
        Assert.Contains("""
            pypi         Python packages, to read
                         {host: "pypi.org", methods: [GET]}
                         {host: "files.pythonhosted.org", methods: [GET]}

            """, output.ToString(), StringComparison.Ordinal);
    }

    private static AllowlistOptions Options(string yaml) => ConfigDocument.Parse(yaml, "test.yaml").Read(root => AllowlistOptions.Read(root)).Value!;

    private static bool Allows(AllowlistRules rules, string host, string method) => rules.JudgeRequest(new ConnectTarget(host, 443), method, "/").Allowed;
}
