using System.Net;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.CommandLine;

public class AllowlistCommandTests
{
    [Fact]
    public async Task What_passed_in_learn_mode_is_exported_and_enforced_it_passes_again_and_nothing_else()
    {
        using var authority = new TestAuthority();
        await using var origin = await TestOrigin.StartAsync(authority.Issue(["localhost"]), context => context.Response.WriteAsync("yes"));
        string policy;
        await using (var learning = await RunningProxy.StartAsync("allowlist: {mode: learn}"))
        {
            using var client = learning.Client();
            Assert.Equal("yes", await client.GetStringAsync($"{origin.Http}/api/one?token=s3cret"));
            Assert.Equal("yes", await client.GetStringAsync($"{origin.Http}/api/two"));
            policy = await ExportAsync(learning.ApiPort);
        }

        Assert.Contains("{host: \"localhost\", methods: [GET], paths: [\"/api/one\", \"/api/two\"]}", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", policy, StringComparison.Ordinal);
        await using var enforcing = await RunningProxy.StartAsync(policy);
        using var again = enforcing.Client();
        Assert.Equal("yes", await again.GetStringAsync($"{origin.Http}/api/one"));
        using var other = await again.GetAsync($"{origin.Http}/api/three");
        Assert.Equal(HttpStatusCode.Forbidden, other.StatusCode);
        using var written = await again.PostAsync($"{origin.Http}/api/one", null);
        Assert.Equal(HttpStatusCode.Forbidden, written.StatusCode);
    }

    [Theory]
    [InlineData("nonsense", 2)]
    [InlineData("ftp://127.0.0.1", 2)]
    [InlineData("http://127.0.0.1:1", 1)]
    public async Task An_address_that_is_none_is_wrong_usage_and_one_that_is_silent_a_failure(string api, int exitCode) =>
        Assert.Equal(exitCode, await RootCommands.RunAsync("discobot", ["allowlist", "export", "--api", api]));

    private static async Task<string> ExportAsync(int apiPort)
    {
        var file = Path.GetTempFileName();
        try
        {
            string[] arguments = ["allowlist", "export", "--api", $"http://127.0.0.1:{apiPort}", "--output", file];
            Assert.Equal(0, await RootCommands.RunAsync("discobot", arguments));
            return await File.ReadAllTextAsync(file);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
