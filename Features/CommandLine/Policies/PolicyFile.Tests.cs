using System.CommandLine;
using System.Diagnostics;
using System.Net;
using Discobot.Features.Allowlist;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.CommandLine.Policies;

public sealed class PolicyFileTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;

    private string File_ => Path.Combine(_directory, "policy.yaml");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("# mine\nallowlist:\n  enabled: true # on\n  domains:\n    - a.example # why\n    # the last\n    - {host: b.example, paths: [\"/x\"]} # and this\n  # behind\n  ips: [10.0.0.1]\n",
        "# mine\nallowlist:\n  enabled: true # on\n  domains:\n    - a.example # why\n    # the last\n    - {host: b.example, paths: [\"/x\"]} # and this\n    - \"new.example\"\n  # behind\n  ips: [10.0.0.1]\n")]
    [InlineData("allowlist:\n  domains:\n  - host: a.example\n    methods:\n    - GET\nproxy: {port: 1}", "allowlist:\n  domains:\n  - host: a.example\n    methods:\n    - GET\n  - \"new.example\"\nproxy: {port: 1}")]
    [InlineData("allowlist:\n  domains:\n  - a.example", "allowlist:\n  domains:\n  - a.example\n  - \"new.example\"\n")]
    [InlineData("allowlist: {enabled: true, domains: [a.example, b.example]} # all", "allowlist: {enabled: true, domains: [a.example, b.example, \"new.example\"]} # all")]
    [InlineData("allowlist:\n  domains: [\n    a.example, # one\n    {host: b.example, ports: [1]} # two\n  ]\n", "allowlist:\n  domains: [\n    a.example, # one\n    {host: b.example, ports: [1]}, \"new.example\" # two\n  ]\n")]
    [InlineData("allowlist: {domains: []}", "allowlist: {domains: [\"new.example\"]}")]
    [InlineData("allowlist: {enabled: true, mode: ask}\n", "allowlist: {enabled: true, mode: ask, domains: [\"new.example\"]}\n")]
    [InlineData("allowlist:\n  # asks\n  enabled: true\n  mode: ask\n", "allowlist:\n  # asks\n  domains:\n    - \"new.example\"\n  enabled: true\n  mode: ask\n")]
    public void The_entry_is_put_where_the_others_are_and_all_else_stays(string before, string after)
    {
        File.WriteAllText(File_, before);
        File.SetUnixFileMode(File_, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);
        Assert.True(PolicyFile.Add(File_, Entry("new.example")));
        Assert.Equal(after, File.ReadAllText(File_));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead, File.GetUnixFileMode(File_));
        Assert.False(PolicyFile.Add(File_, Entry("new.example")));
        Assert.Equal(after, File.ReadAllText(File_));
    }

    [Theory]
    [InlineData("proxy: {port: 1}\n", "written in another way")]
    [InlineData("allowlist: {domains: a.example}\n", "written in another way")]
    [InlineData("allowlist: {domains: }\n", "written in another way")]
    [InlineData("a: &x [a.example]\nallowlist: {domains: *x}\n", "has mistakes")]
    [InlineData("allowlist: {domains: [\"http://\"]}\n", "has mistakes")]
    [InlineData("allowlist: [\n", "has mistakes")]
    public void What_it_cannot_add_to_stays_as_it_was_and_it_says_what_to_write(string text, string error)
    {
        File.WriteAllText(File_, text);
        var told = Assert.Throws<IOException>(() => PolicyFile.Add(File_, Entry("new.example"))).Message;
        Assert.Contains(error, told, StringComparison.Ordinal);
        Assert.Equal(text, File.ReadAllText(File_));
    }

    [Fact]
    public void A_file_that_cannot_be_written_is_told_with_what_to_write()
    {
        Assert.Contains("write the entry yourself, \"new.example\" in allowlist.domains", Assert.Throws<IOException>(() => PolicyFile.Add(File_, Entry("new.example"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Behind_a_link_the_file_itself_is_written()
    {
        File.WriteAllText(Path.Combine(_directory, "real.yaml"), "allowlist: {domains: []}");
        File.CreateSymbolicLink(File_, "real.yaml");
        Assert.True(PolicyFile.Add(File_, Entry("new.example")));
        Assert.NotNull(File.ResolveLinkTarget(File_, returnFinalTarget: false));
        Assert.Contains("new.example", File.ReadAllText(Path.Combine(_directory, "real.yaml")), StringComparison.Ordinal);
    }

    /// <summary>Root answers for a proxy of another user, who has to go on reading it.</summary>
    [Fact]
    public async Task It_stays_whose_it_was()
    {
        File.WriteAllText(File_, "allowlist: {domains: []}");
        await ShAsync("chown 65534:4242 \"$1\"; chmod 640 \"$1\"", File_);
        Assert.True(PolicyFile.Add(File_, Entry("new.example")));
        var status = Libc.StatusOf(File_)!.Value;
        Assert.Equal((new Owner(65534, 4242), 0x1A0u /* 0640 */), (status.Owner, status.Permissions));
    }

    [Fact]
    public async Task Where_it_would_become_anothers_it_is_not_written_and_nothing_is_answered()
    {
        await using var proxy = await RunningProxy.StartAsync("allowlist: {enabled: true, mode: ask, ips: [127.0.0.1], allow_private: true}");
        await using var origin = await TestOrigin.StartAsync(proxy.Upstreams.Issue(["localhost"]), context => Microsoft.AspNetCore.Http.HttpResponseWritingExtensions.WriteAsync(context.Response, "fine"));
        using var client = proxy.Client();
        using var leave = new CancellationTokenSource();
        var waiting = client.GetAsync(new Uri(origin.Https), leave.Token);
        using var api = proxy.Api();
        var question = "";
        await Eventually.TrueAsync(async () => (question = IdOf(await api.GetStringAsync("/api/approvals"))).Length > 0);
        const string Text = "allowlist: {enabled: true, mode: ask, domains: []}\n";
        await File.WriteAllTextAsync(File_, Text);
        await File.WriteAllTextAsync(Path.Combine(_directory, "token"), proxy.Token);
        // Who may write to the directory may replace the file, and not give it away.
        await ShAsync("chown 65534 \"$1\"; chmod 755 \"$1\"; chmod 644 \"$1\"/*", _directory);
        var error = await ShAsync(
            $"setpriv --reuid 65534 --regid 65534 --clear-groups env DOTNET_ROOT={Executable.Runtime} DOTNET_EnableDiagnostics=0 {Executable.Path} approve {question} --always --policy \"$1\"/policy.yaml --api 127.0.0.1:{proxy.ApiPort} --token-file \"$1\"/token 2>&1 || true", _directory);
        Assert.Contains("write the entry yourself, \"localhost\"", error, StringComparison.Ordinal);
        Assert.Equal(Text, await File.ReadAllTextAsync(File_));
        Assert.Equal(Owner.Root, Libc.StatusOf(File_)!.Value.Owner);
        Assert.Equal(2, Directory.GetFileSystemEntries(_directory).Length);
        Assert.False(waiting.IsCompleted);
        await leave.CancelAsync();
    }

    [Fact]
    public async Task Approve_always_writes_the_entry_and_lets_pass_what_waits_and_without_a_file_nothing_is_answered()
    {
        await using var proxy = await RunningProxy.StartAsync("allowlist: {enabled: true, mode: ask, ips: [127.0.0.1], allow_private: true}");
        await using var origin = await TestOrigin.StartAsync(proxy.Upstreams.Issue(["localhost"]), context => Microsoft.AspNetCore.Http.HttpResponseWritingExtensions.WriteAsync(context.Response, "fine"));
        using var client = proxy.Client();
        var waiting = client.GetAsync(new Uri(origin.Https));
        using var api = proxy.Api();
        var question = "";
        await Eventually.TrueAsync(async () => (question = IdOf(await api.GetStringAsync("/api/approvals"))).Length > 0);
        string[] always = ["approve", question, "--always", "--api", $"127.0.0.1:{proxy.ApiPort}", "--token-file", Path.Combine(Path.GetDirectoryName(proxy.LogFile)!, "api.token")];

        Assert.Contains("name the one to write to with --policy", (await RunAsync(1, always)).Error, StringComparison.Ordinal);
        Assert.Contains("write the entry yourself, \"localhost\"", (await RunAsync(1, [.. always, "--policy", File_])).Error, StringComparison.Ordinal);
        Assert.False(waiting.IsCompleted);

        await File.WriteAllTextAsync(File_, "# the operator's\nallowlist:\n  enabled: true\n  mode: ask\n  domains:\n    - a.example\n");
        var (output, error) = await RunAsync(0, [.. always, "--policy", File_]);
        Assert.Contains("allowed localhost", output, StringComparison.Ordinal);
        Assert.Contains($"written to {File_}", error, StringComparison.Ordinal);
        using var answer = await waiting;
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("# the operator's\nallowlist:\n  enabled: true\n  mode: ask\n  domains:\n    - a.example\n    - \"localhost\"\n", await File.ReadAllTextAsync(File_));
    }

    private static async Task<string> ShAsync(string script, string argument)
    {
        using var shell = Process.Start(new ProcessStartInfo("/bin/sh", ["-ec", script, "sh", argument]) { RedirectStandardOutput = true })!;
        var output = await shell.StandardOutput.ReadToEndAsync();
        await shell.WaitForExitAsync();
        Assert.Equal(0, shell.ExitCode);
        return output;
    }

    private static string IdOf(string questions) => System.Text.Json.JsonDocument.Parse(questions).RootElement.EnumerateArray().Select(q => q.GetProperty("id").GetString()!).FirstOrDefault("");

    private static async Task<(string Output, string Error)> RunAsync(int code, params string[] arguments)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        Assert.Equal((code, true), (await RootCommands.RunAsync(RootCommands.Create(), arguments, new InvocationConfiguration { Output = output, Error = error }), true));
        return (output.ToString(), error.ToString());
    }

    private static DomainRule Entry(string host) =>
        ConfigDocument.Parse($"allowlist: {{domains: [{host}]}}", "c.yaml").Read(root => AllowlistOptions.Read(root["allowlist"])).Value!.Domains[0];
}
