using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Allowlist;

public sealed class QueryParameterTests
{
    [Theory]
    [InlineData("/x?service=git-upload-pack", true)]
    [InlineData("/x?a=1&service=git-upload-pack&b", true)]
    [InlineData("/x?%73ervice=git%2dupload-pack", true)]
    [InlineData("/x?service=git-upload-pack&service=git-upload-pack", true)]
    [InlineData("/x", false)]
    [InlineData("/x?", false)]
    [InlineData("/x?service", false)]
    [InlineData("/x?service=", false)]
    [InlineData("/x?Service=git-upload-pack", false)]
    [InlineData("/x?service=git-receive-pack", false)]
    [InlineData("/x?service=git-upload-pack&service=git-receive-pack", false)]
    [InlineData("/x?service=git-upload-pack&SERVICE=git-receive-pack", false)]
    [InlineData("/x?service=git-upload-pack&service[]=git-receive-pack", false)]
    [InlineData("/x?service=git-upload-pack&%20service=git-receive-pack", false)]
    [InlineData("/x?service=git-upload-pack;service=git-receive-pack", false)]
    [InlineData("/x?service=git-upload-pack&a=1;service=git-receive-pack", false)]
    [InlineData("/x?service=git-upload-pack&ser%2576ice=git-receive-pack", false)]
    [InlineData("/x?service=git-upload-pack%00", false)]
    [InlineData("/x?service=git-upload-pack&a=%252525252525", false)]
    [InlineData("/x?service=git-upload-pack&a=100%25", true)]
    [InlineData("/x?service=git-upload-pack&a=100%", false)]
    [InlineData("/x?service=git-upload-pack&a=%2", false)]
    [InlineData("/x?#&service=git-upload-pack", false)]
    [InlineData("/x?service=git-upload-pack#", false)]
    [InlineData("/x?service=git-upload-pack&a=%23", true)]
    [InlineData("/x?service=git-upload-pack&[service]=git-receive-pack", false)]
    [InlineData("/x?service=git-upload-pack&%5bservice%5d[0]=git-receive-pack", false)]
    [InlineData("/x?service=git-upload-pack&service[a][b]=git-receive-pack", false)]
    [InlineData("/x?service=git-upload-pack&service]=git-receive-pack", false)]
    [InlineData("/x?service=git-upload-pack&a[service]=git-receive-pack", true)]
    [InlineData("/x?service=git-upload-pack&%u0073ervice=git-receive-pack", false)]
    [InlineData("/x?service=git-upload-pack&%25u0073ervice=git-receive-pack", false)]
    public void It_has_to_be_there_with_that_value_however_the_query_is_read(string path, bool allowed) =>
        Assert.Equal(allowed, Rules("domains: [{host: a.example, query: {service: git-upload-pack}}]").JudgeRequest(To, "GET", path).Allowed);

    [Theory]
    [InlineData("/x?q=a+b", "a*", true)]
    [InlineData("/x?q=a+b", "a b", false)]
    [InlineData("/x?q=a%20b", "a b", true)]
    [InlineData("/x?q=a/b/c", "a/*/c", true)]
    [InlineData("/x?q=abcbc", "a*bc", true)]
    [InlineData("/x?q=abcb", "a*bc", false)]
    [InlineData("/x?q=%c3%a4", "ä", true)]
    [InlineData("/x?q=", "*", true)]
    [InlineData("/x?q", "*", true)]
    [InlineData("/x", "*", false)]
    [InlineData("/x?q=%252a", "%2a", false)]
    public void A_star_is_any_text_and_what_has_two_readings_needs_both(string path, string value, bool allowed) =>
        Assert.Equal(allowed, Rules($"domains: [{{host: a.example, query: {{q: \"{value}\"}}}}]").JudgeRequest(To, "GET", path).Allowed);

    [Theory]
    [InlineData("/x?mode=list", true)]
    [InlineData("/x", true)]
    [InlineData("/x?mode=delete", false)]
    [InlineData("/x?MODE=delete", false)]
    [InlineData("/x?mode=list&mode=delete", false)]
    [InlineData("/x?a=1;mode=delete", false)]
    [InlineData("/x?m%256fde=delete", false)]
    [InlineData("/x?a=%00", false)]
    [InlineData("/x?[mode]=delete", false)]
    [InlineData("/x?%5Bmode%5D=delete", false)]
    [InlineData("/x?[[mode]]=delete", false)]
    [InlineData("/x?mode[a]=delete", false)]
    [InlineData("/x?+mode=delete", false)]
    [InlineData("/x?%u006dode=delete", false)]
    [InlineData("/x?m%6fde=list#", false)]
    [InlineData("/x?modes=delete", true)]
    [InlineData("/x?a[mode]=delete", true)]
    public void What_is_denied_is_denied_in_every_reading(string path, bool allowed) =>
        Assert.Equal(allowed, Rules("deny: [{host: a.example, query: {mode: [delete, purge]}}], domains: [a.example]").JudgeRequest(To, "GET", path).Allowed);

    [Theory]
    [InlineData("/x?api_action=drop")]
    [InlineData("/x?api.action=drop")]
    [InlineData("/x?api+action=drop")]
    [InlineData("/x?api%20action=drop")]
    [InlineData("/x?api[action=drop")]
    [InlineData("/x?API.Action[]=drop")]
    public void Languages_in_which_a_name_is_a_variable_write_others_as_one(string path)
    {
        Assert.False(Rules("deny: [{host: a.example, query: {api_action: drop}}], domains: [a.example]").JudgeRequest(To, "GET", path).Allowed);
        Assert.False(Rules("domains: [{host: a.example, query: {api_action: list}}]").JudgeRequest(To, "GET", path + "&api_action=list").Allowed);
    }

    [Theory]
    [InlineData("filter[name]=drop")]
    [InlineData("[filter][name]=drop")]
    [InlineData("filter.name=drop")]
    [InlineData("FILTER[name][]=drop")]
    public void A_field_of_a_parameter_may_be_named(string query) =>
        Assert.False(Rules("deny: [{host: a.example, query: {\"filter[name]\": drop}}], domains: [a.example]").JudgeRequest(To, "GET", $"/x?{query}").Allowed);

    /// <summary>PHP and others read a thousand and leave out the rest, which may be the one that the entry asks for.</summary>
    [Theory]
    [InlineData(100, true)]
    [InlineData(1000, false)]
    public void What_stands_behind_more_than_servers_read_does_not_count(int others, bool allowed) => Assert.Equal(
        allowed, Rules("domains: [{host: a.example, query: {dry_run: \"true\"}}]").JudgeRequest(To, "GET", $"/x?{string.Concat(Enumerable.Repeat("a=1&", others))}dry_run=true").Allowed);

    [Fact]
    public void It_adds_to_methods_and_paths_and_a_tunnel_that_nobody_sees_into_does_not_pass()
    {
        var rules = Rules("domains: [{host: a.example, methods: [GET], paths: [\"/x\"], query: {a: \"1\", b: [\"2\", \"3\"]}}]");
        Assert.True(rules.JudgeRequest(To, "GET", "/x?b=3&a=1").Allowed);
        Assert.False(rules.JudgeRequest(To, "POST", "/x?b=3&a=1").Allowed);
        Assert.False(rules.JudgeRequest(To, "GET", "/y?b=3&a=1").Allowed);
        Assert.False(rules.JudgeRequest(To, "GET", "/x?b=3").Allowed);
        Assert.False(rules.JudgeBlindTunnel(To).Allowed);
        Assert.Equal("{host: \"a.example\", methods: [GET], paths: [\"/x\"], query: {\"a\": [\"1\"], \"b\": [\"2\", \"3\"]}}", rules.JudgeRequest(To, "GET", "/x?b=3&a=1").Rule);
    }

    [Theory]
    [InlineData("{host: a.example, query: {a: \"*\"}}", "{host: a.example, query: {a: \"1\", b: x}}", true)]
    [InlineData("{host: a.example, query: {a: \"1\"}}", "{host: a.example, query: {a: \"2\"}}", false)]
    [InlineData("{host: a.example, query: {a: \"1\"}}", "a.example", false)]
    [InlineData("a.example", "{host: a.example, clients: [ann]}", true)]
    [InlineData("{host: a.example, clients: [ann]}", "a.example", false)]
    public void A_workspace_may_choose_less_of_it_and_not_more(string limit, string wish, bool within)
    {
        var (most, less) = (Options($"domains: [{limit}]"), Options($"domains: [{wish}]"));
        Assert.Equal(within, !most.Exceeding(less).Any());
    }

    [Theory]
    [InlineData("{host: a.example, query: {a: []}}", "query.a: must be a value or a list of them")]
    [InlineData("{host: a.example, query: [a]}", "query: must be a mapping")]
    public void Mistakes_are_told_with_their_place(string entry, string error)
    {
        var read = ConfigDocument.Parse($"allowlist: {{domains: [{entry}]}}", "c.yaml").Read(root => AllowlistOptions.Read(root["allowlist"]));
        Assert.Contains($"allowlist.domains[0].{error}", read.ErrorText(), StringComparison.Ordinal);
    }

    private static ConnectTarget To => new("a.example", 443);

    private static AllowlistRules Rules(string yaml) => new(Options(yaml));

    private static AllowlistOptions Options(string yaml) =>
        ConfigDocument.Parse($"allowlist: {{enabled: true, {yaml}}}", "c.yaml").Read(root => AllowlistOptions.Read(root["allowlist"])).Value!;
}
