using Discobot.Infrastructure.Config;

namespace Discobot.Features.Configuration;

/// <summary>As root, who may read and write all: what is missing or of the wrong kind. What another user may not is tried with the executable.</summary>
public sealed class NamedFilesTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("tls: {extra_ca: [DIR/none.pem]}", "1:18: tls.extra_ca[0]: DIR/none.pem does not exist")]
    [InlineData("tls: {extra_ca: DIR}", "1:17: tls.extra_ca: DIR is a directory, not a file")]
    [InlineData("tls: {extra_ca: DIR/text}", "1:17: tls.extra_ca: DIR/text holds no certificate in PEM")]
    [InlineData("tls: {extra_ca: DIR/broken.pem}", "1:17: tls.extra_ca: DIR/broken.pem holds a certificate that does not parse")]
    [InlineData("tls: {cert_dir: DIR/text}", "1:17: tls.cert_dir: DIR/text is a file, not a directory")]
    [InlineData("logging: {file: DIR/none/log}", "1:17: logging.file: DIR/none/log cannot be made: there is no directory DIR/none")]
    [InlineData("logging: {file: DIR}", "1:17: logging.file: DIR is a directory, not a file")]
    [InlineData("cache: {dir: DIR/text/cache}", "1:14: cache.dir: DIR/text/cache cannot be made: DIR/text is a file")]
    public void What_keeps_the_proxy_from_starting_is_told_where_it_is_written(string yaml, string error)
    {
        Assert.Equal(error, Errors(yaml, FileChecks.ForStart));
        Assert.Equal("", Errors(yaml, FileChecks.None));
    }

    [Theory]
    [InlineData("headers: {a.com: {set: {A: 'file:DIR/none'}}}", "1:28: headers.\"a.com\".set.A: DIR/none does not exist")]
    [InlineData("headers: {a.com: {append: {A: 'file:DIR/empty'}}}", "1:31: headers.\"a.com\".append.A: DIR/empty is empty")]
    [InlineData("headers: {a.com: {set: {A: b}, conditions: {header: C, equals: d}}}",
        "1:44: headers.\"a.com\".conditions: must be a list, as in [a, b] or one \"- a\" a line, not a mapping")]
    [InlineData("headers: {a.com: {set: {A: b}, conditions: [{header: C, equals: 'file:DIR'}]}}",
        "1:65: headers.\"a.com\".conditions[0].equals: DIR is a directory, not a file")]
    [InlineData("socks: {users: {u: 'file:DIR/none'}}", "1:20: socks.users.u: DIR/none does not exist")]
    [InlineData("proxy: {upstream: 'file:DIR/none'}", "1:19: proxy.upstream: DIR/none does not exist")]
    [InlineData("api: {token_file: DIR/text/token}", "1:19: api.token_file: DIR/text cannot be made: DIR/text is a file", "is a file, not a directory")]
    [InlineData("tls: {cert_dir: DIR/half}", "1:17: tls.cert_dir: DIR/half has no pair that can be used: ca.crt holds no certificate in PEM")]
    public void What_the_proxy_would_do_without_is_told_by_the_check_alone(string yaml, string error, string? otherwise = null)
    {
        var found = Errors(yaml, FileChecks.All);
        Assert.True(found == error || (otherwise is not null && found.EndsWith(otherwise, StringComparison.Ordinal)), found);
        if (!error.Contains("must be", StringComparison.Ordinal))
            Assert.Equal("", Errors(yaml, FileChecks.ForStart));
    }

    [Fact]
    public void A_file_that_is_as_it_should_be_is_no_mistake_and_nothing_is_made()
    {
        using var authority = new Tests.Fixtures.TestAuthority();
        File.WriteAllText(Path.Combine(_directory, "good.pem"), authority.Pem);
        Assert.Equal("", Errors(
            "tls: {extra_ca: DIR/good.pem, cert_dir: DIR/new/certs}\nlogging: {file: DIR/log}\nheaders: {a.com: {set: {A: 'file:DIR/text'}}}\napi: {token_file: DIR/new/token}",
            FileChecks.All));
        Assert.False(Path.Exists(Path.Combine(_directory, "new")) || Path.Exists(Path.Combine(_directory, "log")));
    }

    [Fact]
    public async Task A_pipe_is_told_and_not_waited_for()
    {
        using (var made = System.Diagnostics.Process.Start("mkfifo", [Path.Combine(_directory, "pipe")]))
            await made.WaitForExitAsync();
        var told = Task.Run(() => (Errors("tls: {extra_ca: DIR/pipe}", FileChecks.ForStart), Errors("logging: {file: DIR/pipe}", FileChecks.ForStart)));
        Assert.Equal(
            ("1:17: tls.extra_ca: DIR/pipe is no regular file", "1:17: logging.file: DIR/pipe is a pipe that nobody reads"),
            await told.WaitAsync(TimeSpan.FromSeconds(20)));

        // With a reader it serves.
        await using var reader = new FileStream(Path.Combine(_directory, "pipe"), FileMode.Open, FileAccess.ReadWrite);
        Assert.Equal("", Errors("logging: {file: DIR/pipe}", FileChecks.ForStart));
    }

    [Fact]
    public void A_log_file_of_the_environment_is_told_with_its_variable()
    {
        var sources = new SettingsSources(null, new Dictionary<string, string> { ["LOG_FILE"] = $"{_directory}/none/log" }, new Dictionary<string, string>(), _directory);
        Assert.Equal(
            $"environment: LOG_FILE: {_directory}/none/log cannot be made: there is no directory {_directory}/none",
            sources.Load(FileChecks.ForStart).ErrorText());
    }

    [Fact]
    public void A_directory_of_the_environment_is_told_as_such()
    {
        File.WriteAllText(Path.Combine(_directory, "text"), "text");
        var sources = new SettingsSources(null, new Dictionary<string, string> { ["CERT_DIR"] = $"{_directory}/text" }, new Dictionary<string, string>(), _directory);
        Assert.Equal($"environment: CERT_DIR: {_directory}/text is a file, not a directory", sources.Load(FileChecks.ForStart).ErrorText());
    }

    private string Errors(string yaml, FileChecks files)
    {
        File.WriteAllText(Path.Combine(_directory, "text"), "text");
        File.WriteAllText(Path.Combine(_directory, "empty"), "");
        File.WriteAllText(Path.Combine(_directory, "broken.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        Directory.CreateDirectory(Path.Combine(_directory, "half"));
        File.WriteAllText(Path.Combine(_directory, "half/ca.crt"), "text");
        File.WriteAllText(Path.Combine(_directory, "half/ca.key"), "text");
        var none = new Dictionary<string, string>();
        var text = new SettingsSources(null, none, none, _directory)
            .Load(ConfigDocument.Parse(yaml.Replace("DIR", _directory, StringComparison.Ordinal), "c.yaml"), files).ErrorText();
        return text.Replace("c.yaml:", "", StringComparison.Ordinal).Replace(_directory, "DIR", StringComparison.Ordinal);
    }
}
