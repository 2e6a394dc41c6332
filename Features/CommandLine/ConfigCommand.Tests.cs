using System.CommandLine;

namespace Discobot.Features.CommandLine;

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

    [Fact]
    public void Every_mistake_of_a_bad_file_is_told_and_the_exit_code_is_2()
    {
        var (code, output, error) = Run("cache: {max_size: none}\nlogging: {level: loud}", "check");
        Assert.Equal((2, ""), (code, output));
        Assert.StartsWith($"{_file}:1:19: cache.max_size: must be a size", error, StringComparison.Ordinal);
        Assert.EndsWith("\n2 mistakes\n", error, StringComparison.Ordinal);
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
