using Discobot.Features.Configuration;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Credentials;

public sealed class CredentialOptionsTests
{
    [Fact]
    public void A_secret_goes_in_fields_and_basic_over_tls_where_nothing_else_is_said()
    {
        var secret = Assert.Single(Load("secrets: {github: {value: \"file:/run/secrets/github\", hosts: [api.github.com, \"*.example.com\"], env: GITHUB_TOKEN}}").Secrets);
        Assert.Equal(("github", "file:/run/secrets/github", "GITHUB_TOKEN", false), (secret.Name, secret.Value!.ToString(), secret.Variable, secret.AllowPlaintext));
        Assert.Equal(CredentialPositions.Header | CredentialPositions.Basic, secret.In);
        Assert.Equal(["api.github.com", "*.example.com"], secret.Hosts.Select(host => host.Text));
    }

    [Theory]
    [InlineData("{hosts: [h.example]}", "secrets.a.value: is needed: env:NAME, or file:/path")]
    [InlineData("{value: s3cret, hosts: [h.example]}", "secrets.a.value: must be env:NAME or file:/path")]
    [InlineData("{value: \"env:A\"}", "secrets.a.hosts: is needed")]
    [InlineData("{value: \"env:A\", hosts: []}", "secrets.a.hosts: is needed")]
    [InlineData("{value: \"env:A\", hosts: [\"*\"]}", "secrets.a.hosts[0]: must name whose the hosts are")]
    [InlineData("{value: \"env:A\", hosts: [\"api.*\"]}", "secrets.a.hosts[0]: must name whose the hosts are")]
    [InlineData("{value: \"env:A\", hosts: [a.example, \"*.com\"]}", "secrets.a.hosts[1]: must name whose the hosts are")]
    [InlineData("{value: \"env:A\", hosts: [h.example], in: []}", "secrets.a.in: must name header, basic or query")]
    [InlineData("{value: \"env:A\", hosts: [h.example], in: [body]}", "secrets.a.in[0]: must be header, basic or query, not \"body\"")]
    [InlineData("{value: \"env:A\", hosts: [h.example], env: A-B}", "secrets.a.env: must be the name of a variable")]
    [InlineData("{value: \"env:A\", hosts: [h.example], evn: A}", "secrets.a.evn: unknown key; did you mean \"env\"?")]
    [InlineData("{value: \"env:A\", hosts: [h.example], env: T}, b: {value: \"env:B\", hosts: [h.example], env: T}", "secrets.b.env: is the variable of secrets.a as well")]
    public void Mistakes_are_told_with_their_place_and_the_remedy(string secret, string error)
    {
        var result = Sources().Load(ConfigDocument.Parse($"secrets: {{a: {secret}}}", "c.yaml"));
        Assert.False(result.IsValid);
        Assert.Contains(error, result.ErrorText(), StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", result.ErrorText(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_value_that_is_not_there_is_a_mistake_of_the_file_that_is_checked()
    {
        var text = ConfigDocument.Parse("secrets: {a: {value: \"env:DISCOBOT_TEST_NOT_SET\", hosts: [h.example]}, b: {value: \"file:/nonexistent/token\", hosts: [h.example]}}", "c.yaml");
        var errors = Sources().Load(text, FileChecks.All).ErrorText();
        Assert.Contains("secrets.a.value: the environment variable DISCOBOT_TEST_NOT_SET is not set here", errors, StringComparison.Ordinal);
        Assert.Contains("secrets.b.value: /nonexistent/token", errors, StringComparison.Ordinal);
        Assert.True(Sources().Load(text).IsValid);
    }

    [Fact]
    public void What_is_shown_reads_back_as_the_same_and_a_change_needs_a_restart()
    {
        var settings = Sources().Load(ConfigDocument.Parse("secrets: {a: {value: \"env:A\", hosts: [h.example], in: [query], env: T, allow_plaintext: true}}", "c.yaml")).Value!;
        var shown = SettingsYaml.ToText(settings);
        Assert.Equal(settings.Credentials.Identity(), Load(shown).Identity());
        Assert.Equal(["secrets"], RestartKeys.Changed(settings, settings with { Credentials = new CredentialOptions() }));
    }

    [Fact]
    public void Placeholders_are_the_same_for_a_seed_and_a_name_and_no_others()
    {
        var seed = Placeholders.NewSeed();
        Assert.Matches("^dbot-[0-9a-f]{32}$", Placeholders.Make(seed, "a"));
        Assert.Equal(Placeholders.Make(seed, "a"), Placeholders.Make(seed, "a"));
        Assert.Equal(3, new[] { Placeholders.Make(seed, "a"), Placeholders.Make(seed, "b"), Placeholders.Make(Placeholders.NewSeed(), "a") }.Distinct().Count());
    }

    private static CredentialOptions Load(string yaml)
    {
        var result = Sources().Load(ConfigDocument.Parse(yaml, "c.yaml"));
        Assert.Equal("", result.ErrorText());
        return result.Value!.Credentials;
    }

    private static SettingsSources Sources() => SettingsSources.Of(null, new Dictionary<string, string> { ["HOME"] = Path.GetTempPath() });
}
