using System.Net;
using System.Text.Json;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.CommandLine.Policies;

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

    [Fact]
    public async Task Where_nothing_was_learned_there_is_no_policy_and_a_file_that_exists_stays_as_it_is()
    {
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, "mine");
        using var authority = new TestAuthority();
        await using var origin = await TestOrigin.StartAsync(authority.Issue(["localhost"]), context => context.Response.WriteAsync("yes"));
        await using (var enforcing = await RunningProxy.StartAsync())
            Assert.Contains("the proxy does not learn, and the policy would allow nothing. Set allowlist.mode to learn", await RefusedAsync(enforcing.ApiPort), StringComparison.Ordinal);
        await using var learning = await RunningProxy.StartAsync("allowlist: {mode: learn}");
        Assert.Contains("nothing has passed", await RefusedAsync(learning.ApiPort), StringComparison.Ordinal);

        using var client = learning.Client();
        await client.GetStringAsync($"{origin.Http}/api/one");
        Assert.Contains($"{file} exists and is left as it is; --force replaces it", await RefusedAsync(learning.ApiPort, "-o", file), StringComparison.Ordinal);
        Assert.Equal("mine", await File.ReadAllTextAsync(file));
        Assert.Contains("/api/one", await ExportAsync(learning.ApiPort), StringComparison.Ordinal);
        File.Delete(file);
    }

    [Fact]
    public async Task The_presets_are_told_to_a_program_as_entries_that_a_configuration_takes()
    {
        using var output = new StringWriter();
        Assert.Equal(0, await RootCommands.RunAsync(RootCommands.Create(), ["allowlist", "presets", "--json"], new() { Output = output }));
        var presets = JsonDocument.Parse(output.ToString()).RootElement.EnumerateArray().ToList();
        Assert.Contains("npm", presets.Select(preset => preset.GetProperty("name").GetString()));
        foreach (var preset in presets)
        {
            Assert.NotEmpty(preset.GetProperty("reason").GetString()!);
            var read = Infrastructure.Config.ConfigDocument.Parse($"{{\"domains\": {preset.GetProperty("domains")}}}", "preset").Read(root => Allowlist.AllowlistOptions.Read(root));
            Assert.NotEmpty(read.Value!.Domains);
        }
    }

    [Theory]
    [InlineData("nonsense", 2)]
    [InlineData("ftp://127.0.0.1", 2)]
    [InlineData("http://127.0.0.1:1", 1)]
    public async Task An_address_that_is_none_is_wrong_usage_and_one_that_is_silent_a_failure(string api, int exitCode) =>
        Assert.Equal(exitCode, await RootCommands.RunAsync("discobot", ["allowlist", "export", "--api", api]));

    private static async Task<string> RefusedAsync(int apiPort, params string[] more)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        string[] arguments = ["allowlist", "export", "--api", $"127.0.0.1:{apiPort}", .. more];
        Assert.Equal(1, await RootCommands.RunAsync(RootCommands.Create(), arguments, new() { Output = output, Error = error }));
        Assert.Equal("", output.ToString());
        return error.ToString();
    }

    private static async Task<string> ExportAsync(int apiPort)
    {
        var file = Path.GetTempFileName();
        try
        {
            string[] arguments = ["allowlist", "export", "--api", $"http://127.0.0.1:{apiPort}", "--output", file, "--force"];
            Assert.Equal(0, await RootCommands.RunAsync("discobot", arguments));
            return await File.ReadAllTextAsync(file);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
