using System.CommandLine;
using Discobot.Features.CommandLine.Commands;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Config;
using Discobot.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.Configuration;

/// <summary>Every key that takes a value from a variable or a file, where there is none.</summary>
public sealed class MissingSecretsTests
{
    private const string Unset = "env:DISCOBOT_TEST_UNSET";
    private const string Users = $$$"""
        socks: {users: {alice: "{{{Unset}}}", bob: "file:{DIR}/none"}}
        headers: {a.example: {set: {X: "{{{Unset}}}"}, append: {Y: "file:{DIR}/none"}, conditions: [{header: Z, equals: "{{{Unset}}}"}]}}
        """;

    [Fact]
    public async Task A_proxy_that_starts_without_a_value_tells_each_with_its_line_and_key_in_its_log_and_to_who_asks()
    {
        await using var proxy = await RunningProxy.StartAsync(Users);
        string[] places =
        [
            "test.yaml:6:24: socks.users.alice: the environment variable DISCOBOT_TEST_UNSET is not set: set it for the proxy and restart it",
            "test.yaml:6:56: socks.users.bob: ",
            "test.yaml:7:32: headers.\"a.example\".set.X: the environment variable",
            "test.yaml:7:72: headers.\"a.example\".append.Y: ",
            ": headers.\"a.example\".conditions[0].equals: the environment variable",
        ];
        string[] keys =
        [
            "socks.users.alice", "socks.users.bob", "headers.\"a.example\".set.X", "headers.\"a.example\".append.Y", "headers.\"a.example\".conditions[0].equals",
        ];
        var log = "";
        await Eventually.TrueAsync(async () =>
        {
            log = (await File.ReadAllTextAsync(proxy.LogFile)).Replace("\\\"", "\"", StringComparison.Ordinal);
            return Array.TrueForAll(keys, key => log.Contains($": {key}: ", StringComparison.Ordinal));
        });
        Assert.All(places, place => Assert.Contains(place, log, StringComparison.Ordinal));
        Assert.Matches("test\\.yaml:6:[0-9]+: socks\\.users\\.bob: .*/none cannot be read: it is read again when it is there", log);
        using var api = proxy.Api();
        var answer = await api.GetStringAsync("/api/config/missing");
        Assert.All(keys, key => Assert.Contains($"\"key\":\"{key.Replace("\"", "\\\"", StringComparison.Ordinal)}\"", answer, StringComparison.Ordinal));
        Assert.Contains("{\"file\":\"test.yaml\",\"line\":6,\"column\":24,\"key\":\"socks.users.alice\",", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_change_names_is_told_as_well_and_what_has_a_value_is_not()
    {
        await using var proxy = await RunningProxy.StartAsync("headers: {a.example: {set: {X: \"env:PATH\"}}}");
        var missing = proxy.Services.GetRequiredService<MissingSecrets>();
        Assert.Empty(await missing.FindAsync(CancellationToken.None));
        Assert.True(proxy.Services.GetRequiredService<LiveConfiguration>().Apply("""{"headers": {"b.example": {"set": {"X": "env:DISCOBOT_TEST_UNSET"}}}}"""u8, merge: true).IsValid);
        await Eventually.TrueAsync(async () => (await File.ReadAllTextAsync(proxy.LogFile)).Contains("in force: headers.\\\"b.example\\\": ", StringComparison.Ordinal)
            || (await File.ReadAllTextAsync(proxy.LogFile)).Contains("in force: headers.\"b.example\": ", StringComparison.Ordinal));
        Assert.Equal("headers.\"b.example\"", Assert.Single(await missing.FindAsync(CancellationToken.None)).Path);
    }

    [Fact]
    public async Task Of_a_text_that_the_start_of_a_container_has_made_the_key_is_told_and_no_line()
    {
        var missing = await Of($"socks: {{users: {{alice: \"{Unset}\"}}}}", "/.data/proxy/config.yaml").FindAsync(CancellationToken.None);
        Assert.StartsWith("/.data/proxy/config.yaml: socks.users.alice: the environment variable", Assert.Single(missing).ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_no_header_can_have_is_told_and_as_a_password_it_is_a_value()
    {
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, "two\nlines\n");
        var text = $"headers: {{a.example: {{set: {{X: \"file:{file}\"}}}}}}\nsocks: {{users: {{alice: \"file:{file}\"}}}}";
        var error = $"headers.\"a.example\".set.X: file:{file} holds line breaks or characters that no header may have";
        Assert.StartsWith($"c.yaml:1:32: {error}", Assert.Single(await Of(text, "c.yaml").FindAsync(CancellationToken.None)).ToString(), StringComparison.Ordinal);
        await File.WriteAllTextAsync(file + ".yaml", text);
        Assert.Equal((2, $"{file}.yaml:1:32: {error}\n1 mistake\n"), await CheckAsync(file + ".yaml"));
        File.Delete(file);
        File.Delete(file + ".yaml");
    }

    /// <summary>With it every request that carries the placeholder would be refused, and the secret itself would pass to any host.</summary>
    [Theory]
    [InlineData("short", "is shorter than 8 characters")]
    [InlineData("with a blank", "holds blanks, line breaks or characters beyond ASCII")]
    public async Task What_cannot_be_a_credential_is_told_at_the_start_and_by_the_check(string value, string problem)
    {
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, value);
        var text = $"secrets: {{own: {{value: \"file:{file}\", hosts: [a.example]}}}}";
        Assert.StartsWith($"c.yaml:1:24: secrets.own.value: file:{file} {problem}", Assert.Single(await Of(text, "c.yaml").FindAsync(CancellationToken.None)).ToString(), StringComparison.Ordinal);
        await File.WriteAllTextAsync(file + ".yaml", text);
        Assert.Equal((2, $"{file}.yaml:1:24: secrets.own.value: file:{file} {problem}\n1 mistake\n"), await CheckAsync(file + ".yaml"));
        File.Delete(file);
        File.Delete(file + ".yaml");
    }

    /// <summary>As pipes that nobody writes to; 5 s for each would be 20.</summary>
    [Fact]
    public async Task Files_that_do_not_answer_are_waited_for_at_the_same_time_and_the_parents_address_is_left_alone()
    {
        var directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;
        string[] pipes = ["a", "b", "c", "d", "upstream"];
        using (var made = System.Diagnostics.Process.Start("mkfifo", pipes.Select(pipe => Path.Combine(directory, pipe))))
            await made.WaitForExitAsync();
        var missing = Of(
            $"socks: {{users: {{{string.Join(", ", pipes[..4].Select(pipe => $"{pipe}: \"file:{directory}/{pipe}\""))}}}}}\nproxy: {{upstream: \"file:{directory}/upstream\"}}", "c.yaml");
        var found = await missing.FindAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(15));
        Assert.Equal(["socks.users.a", "socks.users.b", "socks.users.c", "socks.users.d"], found.Select(error => error.Path));

        // Lets go of who still reads.
        foreach (var pipe in pipes)
            await new FileStream(Path.Combine(directory, pipe), FileMode.Open, FileAccess.ReadWrite).DisposeAsync();
        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public async Task The_check_of_a_file_tells_them_and_of_its_text_alone_does_not()
    {
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, Users.Replace("{DIR}", "/nonexistent", StringComparison.Ordinal) + $"\nproxy: {{upstream: {Unset}}}");
        var (code, error) = await CheckAsync(file);
        Assert.Equal(2, code);
        Assert.StartsWith(
            $"{file}:1:24: socks.users.alice: the environment variable DISCOBOT_TEST_UNSET is not set here: set it for the proxy, or keep the value in a file (file:/path)\n",
            error, StringComparison.Ordinal);
        Assert.EndsWith("6 mistakes\n", error, StringComparison.Ordinal);
        Assert.Contains(":3:19: proxy.upstream: the environment variable", error, StringComparison.Ordinal);
        Assert.Equal((0, ""), await CheckAsync("--text-only", file));
        File.Delete(file);
    }

    private static MissingSecrets Of(string yaml, string source)
    {
        var none = new Dictionary<string, string>();
        var settings = new SettingsSources(null, none, none, Path.GetTempPath()).Load(ConfigDocument.Parse(yaml, source));
        return new MissingSecrets(new Live<ProxySettings>(settings.Value!), new SecretFiles(), NullLogger<MissingSecrets>.Instance);
    }

    private static async Task<(int Code, string Error)> CheckAsync(params string[] words)
    {
        using var error = new StringWriter();
        var code = await RootCommands.RunAsync(RootCommands.Create(), ["config", "check", .. words], new InvocationConfiguration { Error = error, Output = TextWriter.Null });
        return (code, error.ToString());
    }
}
