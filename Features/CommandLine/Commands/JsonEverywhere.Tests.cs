using System.CommandLine;
using System.Text.Json;
using Discobot.Features.Certificates;
using Discobot.Features.Configuration;
using Discobot.Features.TrustStore;
using Discobot.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.CommandLine.Commands;

/// <summary>Every command that tells something, asked for JSON; and what the tools say of a proxy that runs.</summary>
public sealed class JsonEverywhereTests : IAsyncLifetime
{
    // What runs until it is ended, tells people how a command is used, or is JSON already.
    private static readonly string[] WithoutAnswer = ["init", "proxy", "gateway", "help", "completion", "har", "config schema"];
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;
    private RunningProxy _proxy = null!;

    private string Certificates => _proxy.Services.GetRequiredService<ProxySettings>().Tls.CertDir;

    public async Task InitializeAsync() => _proxy = await RunningProxy.StartAsync("allowlist: {mode: learn}");

    public async Task DisposeAsync()
    {
        await _proxy.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public void Every_command_that_tells_something_has_the_option() => Assert.Equal(
        WithoutAnswer.ToHashSet(), Leaves(RootCommands.Create(), "").Where(leaf => !leaf.Command.Options.Any(o => o.Name == "--json")).Select(leaf => leaf.Words).ToHashSet());

    [Fact]
    public async Task What_it_prints_is_JSON()
    {
        using (var client = _proxy.Client())
            await client.GetAsync($"http://127.0.0.1:{RunningProxy.FreePort()}/learned");
        var file = Path.Combine(_directory, "c.yaml");
        await File.WriteAllTextAsync(file, "cache: {max_size: none}");
        var own = Path.Combine(_directory, "certs");
        CertificateAuthority.LoadOrCreate(own, TimeProvider.System, NullLogger.Instance).Dispose();
        var api = $" --api 127.0.0.1:{_proxy.ApiPort}";
        var table = Path.Combine(_directory, "table");
        await File.WriteAllTextAsync(table, "requests: [{request: GET http://a.example/, expect: allowed}]\n");
        var (closed, open) = (Path.Combine(_directory, "closed.yaml"), Path.Combine(_directory, "open.yaml"));
        await File.WriteAllTextAsync(closed, "allowlist: {enabled: true}");
        await File.WriteAllTextAsync(open, "allowlist: {enabled: true, domains: [a.example]}");
        string[] commands =
        [
            "health" + api, "trust status" + api, "ca show" + api, $"ca rotate --cert-dir {own}", "config check " + file, "config show" + api,
            "allowlist export" + api, "cache stats" + api, "cache clear" + api, "cache verify" + api, "explain http://a.example/" + api,
            "cache list" + api, "approve" + api, "grants" + api, $"cache evict * --dry-run --token-file {Path.Combine(Path.GetDirectoryName(_proxy.LogFile)!, "api.token")}" + api, "allowlist presets", $"policy test {table} --config {closed}", $"policy diff {closed} {open}", "version",
        ];
        foreach (var command in commands)
        {
            var (_, output, error) = await RunAsync(command + " --json");
            Assert.True(output.StartsWith('{') || output.StartsWith('['), $"{command}: {output}{error}");
            using var document = JsonDocument.Parse(output);
        }
    }

    [Fact]
    public async Task After_a_rotation_the_tools_speak_of_the_CA_that_the_proxy_signs_with()
    {
        var api = $" --api 127.0.0.1:{_proxy.ApiPort}";
        var old = (await RunAsync("ca show" + api)).Output;
        CertificateAuthority.Rotate(Certificates, TimeProvider.System, NullLogger.Instance, out _).Dispose();
        var shown = (await RunAsync("ca show" + api)).Output;
        Assert.StartsWith(old, shown, StringComparison.Ordinal);
        Assert.Matches("\nnext +sha256 [0-9a-f]{64}, in that file: the proxy takes it when it is restarted\n", shown);
        var tree = new TrustStore.TrustTree();
        tree.AddBundle("etc/ssl/certs/ca-certificates.crt");
        using var error = new StringWriter();
        var code = await TrustCommand.Create(tree.Root, Executable.Path).Parse(["install", "--api", $"127.0.0.1:{_proxy.ApiPort}"]).InvokeAsync(new InvocationConfiguration { Error = error });
        Assert.Equal(1, code);
        Assert.Contains("restart it first", error.ToString(), StringComparison.Ordinal);
        Assert.Equal(TrustStore.TrustTree.Base, await File.ReadAllBytesAsync(tree.PathOf("etc/ssl/certs/ca-certificates.crt")));
        tree.Dispose();
    }

    [Fact]
    public async Task No_CA_is_made_where_there_is_none()
    {
        var (code, _, error) = await RunAsync($"ca rotate --cert-dir {_directory}/none");
        Assert.Equal(1, code);
        Assert.StartsWith($"discobot ca rotate: there is no CA in {_directory}/none", error, StringComparison.Ordinal);
        Assert.False(Directory.Exists($"{_directory}/none"));
    }

    [Fact]
    public async Task An_empty_cache_is_told_in_a_sentence()
    {
        Assert.EndsWith(": nothing is stored yet\n", (await RunAsync($"cache verify --api 127.0.0.1:{_proxy.ApiPort}")).Output, StringComparison.Ordinal);
        Assert.Equal($"discobot cache verify: {_directory}/none is not there\n", (await RunAsync($"cache verify --dir {_directory}/none")).Error);
    }

    [Theory]
    [InlineData("har")]
    [InlineData("allowlist export --json")]
    public async Task No_command_writes_over_a_file_unasked(string command)
    {
        using (var client = _proxy.Client())
            await client.GetAsync($"http://127.0.0.1:{RunningProxy.FreePort()}/learned");
        var file = Path.Combine(_directory, "mine");
        await File.WriteAllTextAsync(file, "mine");
        var typed = $"{command} -o {file} --api 127.0.0.1:{_proxy.ApiPort}";
        var (code, _, error) = await RunAsync(typed);
        Assert.Equal((1, "mine"), (code, await File.ReadAllTextAsync(file)));
        Assert.Contains($"{file} exists and is left as it is; --force replaces it", error, StringComparison.Ordinal);
        Assert.Equal(0, (await RunAsync(typed + " --force")).Code);
        Assert.StartsWith("{", await File.ReadAllTextAsync(file), StringComparison.Ordinal);
        Assert.EndsWith(": /proc/x cannot be made: /proc takes no new files (proc): name another directory\n",
            (await RunAsync(typed.Replace(file, "/proc/x", StringComparison.Ordinal))).Error, StringComparison.Ordinal);
        Assert.EndsWith($": {file}/x/y cannot be made: there is no directory {file}/x\n",
            (await RunAsync(typed.Replace(file, file + "/x/y", StringComparison.Ordinal))).Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "1\nall\n")]
    // What was there is gone, by the caller's word.
    [InlineData("--force", "1\nall\nnew\n")]
    public async Task What_a_full_disk_does_not_take_is_told_as_that_and_no_torn_file_is_left(string force, string output)
    {
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("unshare",
        [
            "--mount", "sh", "-c", """
                cd "$1"; mkdir full; mount -t tmpfs -o size=4k none full; dd if=/dev/zero of=full/all 2>/dev/null
                "$2" har --output full/new $4 --api "$3"; echo $?; ls full
                """, "sh", _directory, Executable.Path, $"127.0.0.1:{_proxy.ApiPort}", force,
        ])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        })!;
        try
        {
            var said = await Task.WhenAll(process.StandardError.ReadToEndAsync(), process.StandardOutput.ReadToEndAsync()).WaitAsync(TimeSpan.FromSeconds(60));
            Assert.Contains("No space left on device", said[0], StringComparison.Ordinal);
            Assert.Equal(output, said[1]);
        }
        finally
        {
            process.Kill(entireProcessTree: true);
        }
    }

    [Fact]
    public async Task Who_lacks_the_token_is_told_how_to_name_it()
    {
        await using var guarded = await RunningProxy.StartAsync("api: {protect: all, token_file: \"{DIR}/token\"}");
        Assert.Contains("name the file that holds it with --token-file", (await RunAsync($"config show --api 127.0.0.1:{guarded.ApiPort}")).Error, StringComparison.Ordinal);
    }

    private static IEnumerable<(string Words, Command Command)> Leaves(Command command, string before)
    {
        foreach (var child in command.Subcommands.Where(c => !c.Hidden))
        {
            var words = (before + " " + child.Name).Trim();
            if (child.Subcommands.Count == 0 || child.Action is not null)
                yield return (words, child);
            foreach (var leaf in Leaves(child, words))
                yield return leaf;
        }
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(string typed)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var code = await RootCommands.RunAsync(RootCommands.Create(), typed.Split(' '), new() { Output = output, Error = error });
        return (code, output.ToString(), error.ToString());
    }
}
