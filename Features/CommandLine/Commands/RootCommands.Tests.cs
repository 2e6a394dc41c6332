namespace Discobot.Features.CommandLine.Commands;

public sealed class RootCommandsTests
{
    [Theory]
    [InlineData("frobnicate", "discobot: there is no command \"frobnicate\"; there are init, proxy, ")]
    [InlineData("frobnicate --help", "discobot: there is no command \"frobnicate\"; ")]
    [InlineData("help frobnicate", "discobot: there is no command \"frobnicate\"; ")]
    [InlineData("explian https://a.com", "discobot: there is no command \"explian\"; did you mean \"explain\"?")]
    [InlineData("ca shwo --json", "discobot ca: there is no command \"shwo\"; did you mean \"show\"?; there are show, rotate")]
    [InlineData("ca", "discobot ca: a command is needed: show, rotate")]
    [InlineData("", "discobot: a command is needed: init, proxy, ")]
    [InlineData("docker-guard --frobnicate", "discobot docker-guard: there is no option \"--frobnicate\"")]
    [InlineData("cache stats --jsn", "discobot cache stats: there is no option \"--jsn\"; did you mean \"--json\"?")]
    [InlineData("health now", "discobot health: \"now\" is one argument too many")]
    [InlineData("config check", "discobot config check: FILE is needed")]
    [InlineData("stats", "discobot: there is no command \"stats\"; did you mean `cache stats`?; there are init, ")]
    [InlineData("proxy /etc/hosts", "discobot proxy: \"/etc/hosts\" is one argument too many; a configuration file is named with --config, as in --config /etc/hosts; ")]
    [InlineData("cache list --sort up", "discobot cache list: Argument 'up' not recognized. Must be one of: 'used', 'size', 'age', 'key'; ")]
    [InlineData("health --api", "discobot health: ")]
    [InlineData("health --api nonsense", "discobot health: --api must be HOST:PORT or a URL")]
    [InlineData("health --api ftp://a", "discobot health: --api must be HOST:PORT or a URL")]
    [InlineData("health --api 127.0.0.1:99999", "discobot health: --api must be HOST:PORT or a URL")]
    public async Task What_is_mistyped_gets_one_line_and_exit_code_2(string typed, string line)
    {
        var (code, output, error) = await RunAsync(typed);
        Assert.Equal((2, ""), (code, output));
        Assert.StartsWith(line, error, StringComparison.Ordinal);
        Assert.Equal(1, error.Count(c => c == '\n'));
        Assert.Contains("--help` tells more", error, StringComparison.Ordinal);
    }

    /// <summary>As the variable of a shell that is unset leaves it.</summary>
    [Theory]
    [InlineData("proxy --config _", "discobot proxy: --config is empty; is a variable of the shell unset?")]
    [InlineData("cache stats --token-file _ --api 127.0.0.1:1", "discobot cache stats: --token-file is empty")]
    [InlineData("har -o _", "discobot har: --output is empty")]
    [InlineData("policy diff _ _", "discobot policy diff: OLD is empty")]
    [InlineData("ca show --cert-dir _", "discobot ca show: --cert-dir is empty")]
    public async Task What_is_empty_gets_one_line_and_exit_code_2(string typed, string line)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var words = typed.Split(' ').Select(word => word == "_" ? "" : word).ToArray();
        var code = await RootCommands.RunAsync(RootCommands.Create(), words, new() { Output = output, Error = error });
        Assert.Equal((2, ""), (code, output.ToString()));
        Assert.StartsWith(line, error.ToString(), StringComparison.Ordinal);
        Assert.Equal(1, error.ToString().Count(c => c == '\n'));
    }

    [Fact]
    public async Task Help_and_the_version_are_commands_as_well()
    {
        Assert.Equal(await RunAsync("--help"), await RunAsync("help"));
        Assert.Equal(await RunAsync("cache stats --help"), await RunAsync("help cache stats"));
        var (code, version, _) = await RunAsync("version");
        Assert.Equal((0, await RunAsync("--version")), (code, (0, version, "")));
        Assert.Matches("^[0-9]+\\.[0-9]+", version);
    }

    /// <summary>Also of those that the list leaves out, and of the words that others stand behind.</summary>
    [Fact]
    public async Task Every_command_tells_how_it_is_used_and_names_each_option_by_its_long_name_first()
    {
        foreach (var words in Commands(RootCommands.Create(), "").Prepend(""))
        {
            var (code, output, error) = await RunAsync(words + " --help");
            Assert.Equal((0, ""), (code, error));
            Assert.Contains($"\nUsage:\n  {("discobot " + words).Trim()}", output, StringComparison.Ordinal);
            var usage = output.Split("\nUsage:\n")[1].Split('\n')[0];
            Assert.Equal(usage.Count(c => c == '['), usage.Count(c => c == ']'));
            var options = output.Split('\n').Where(line => line.StartsWith("  -", StringComparison.Ordinal)).ToList();
            Assert.NotEmpty(options);
            // A long name, what follows it, and what it is for.
            Assert.All(options, line => Assert.Matches("^  --[a-z][a-z-]+(, -[A-Za-z?])*( <([A-Z:/]+|[a-z|]+)>)?( \\(REQUIRED\\))?  +[^ ]", line));
            Assert.Equal((0, output, ""), await RunAsync("help " + words));
        }
    }

    [Theory]
    [InlineData("-config=FILE")]
    [InlineData("-config FILE")]
    [InlineData("--config FILE")]
    [InlineData("-c FILE")]
    public async Task A_configuration_file_is_named_in_any_usual_way(string option)
    {
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, "proxy: {port: 12345}");
        Assert.Contains("port: 12345", (await RunAsync($"config show {option.Replace("FILE", file, StringComparison.Ordinal)}")).Output, StringComparison.Ordinal);
        File.Delete(file);
    }

    [Theory]
    [InlineData("--config a.yaml --config b.yaml")]
    [InlineData("-config a.yaml --config b.yaml")]
    public async Task Of_two_configuration_files_none_is_chosen(string options)
    {
        var (code, _, error) = await RunAsync($"config show {options}");
        Assert.Equal((2, "discobot config show: Option '--config' expects a single argument but 2 were provided; `discobot config show --help` tells more\n"), (code, error));
    }

    [Theory]
    [InlineData("127.0.0.1:1", "127.0.0.1:1")]
    [InlineData("http://127.0.0.1:1", "127.0.0.1:1")]
    [InlineData("http://127.0.0.1:1/", "127.0.0.1:1")]
    [InlineData("[::1]:1", "[::1]:1")]
    [InlineData("localhost:1", "localhost:1")]
    [InlineData("127.0.0.1", "127.0.0.1:17081")]
    [InlineData("::1", "[::1]:17081")]
    public void An_address_of_the_API_is_written_in_any_usual_way(string typed, string meant)
    {
        var command = new System.CommandLine.Command("x");
        var api = new RunningApi();
        api.AddTo(command);
        Assert.Equal($"http://{meant}/", api.Address(command.Parse(["--api", typed])).AbsoluteUri);
    }

    [Fact]
    public async Task An_argument_that_begins_with_an_at_sign_is_no_file_of_arguments() =>
        Assert.Contains("\"@/etc/hosts\" is one argument too many", (await RunAsync("health @/etc/hosts")).Error, StringComparison.Ordinal);

    private static IEnumerable<string> Commands(System.CommandLine.Command command, string before) => command.Subcommands.SelectMany(child =>
        Commands(child, (before + " " + child.Name).Trim()).Prepend((before + " " + child.Name).Trim()));

    private static async Task<(int Code, string Output, string Error)> RunAsync(string typed)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var code = await RootCommands.RunAsync(
            RootCommands.Create(), typed.Split(' ', StringSplitOptions.RemoveEmptyEntries), new() { Output = output, Error = error });
        return (code, output.ToString(), error.ToString());
    }
}
