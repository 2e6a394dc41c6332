using Discobot.Infrastructure.Config;
using Discobot.Tests.Fixtures;

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
    // Permissions let root write there; only trying tells.
    [InlineData("cache: {dir: /proc/a/b}", "1:14: cache.dir: /proc/a/b cannot be made: /proc takes no new files (proc): name another directory")]
    [InlineData("cache: {dir: /proc}", "1:14: cache.dir: /proc cannot be used: /proc takes no new files (proc): name another directory")]
    [InlineData("tls: {cert_dir: /proc/certs}", "1:17: tls.cert_dir: /proc/certs cannot be made: /proc takes no new files (proc): name another directory")]
    [InlineData("logging: {file: /proc/log}", "1:17: logging.file: /proc/log cannot be made: /proc takes no new files (proc): name another directory")]
    [InlineData("logging: {file: /proc/version}",
        "1:17: logging.file: /proc/version is a file of the kernel's (proc), which keeps nothing: name one in a directory of your own")]
    [InlineData("proxy: {upstream: 'file:DIR/none'}", "1:19: proxy.upstream: DIR/none does not exist")]
    [InlineData("proxy: {upstream: 'file:DIR/text'}", "1:19: proxy.upstream: what file:DIR/text holds is not http://[user:password@]host:port or socks5://[user:password@]host:port")]
    [InlineData("proxy: {upstream: 'env:DISCOBOT_TEST_UNSET'}",
        "1:19: proxy.upstream: the environment variable DISCOBOT_TEST_UNSET is not set here: set it for the proxy, or keep the value in a file (file:/path)")]
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
    [InlineData("api: {token_file: DIR/text/token}", "1:19: api.token_file: DIR/text/token cannot be made: DIR/text is a file")]
    [InlineData("api: {token_file: /proc/token}", "1:19: api.token_file: /proc/token cannot be made: /proc takes no new files (proc): name another directory")]
    [InlineData("api: {token_file: /proc/token, protect: none}",
        "1:19: api.token_file: /proc/audit.jsonl cannot be made: /proc takes no new files (proc): name another directory")]
    [InlineData("api: {token_file: /proc/token, protect: none}\naudit: {enabled: false}\nallowlist: {mode: learn}",
        "1:19: api.token_file: /proc/learned.json cannot be made: /proc takes no new files (proc): name another directory")]
    [InlineData("audit: {file: /proc/audit}", "1:15: audit.file: /proc/audit cannot be made: /proc takes no new files (proc): name another directory")]
    [InlineData("audit: {file: DIR}", "1:15: audit.file: DIR is a directory, not a file")]
    [InlineData("cache: {warm: DIR/package-lock.json}", "1:15: cache.warm: DIR/package-lock.json does not exist")]
    [InlineData("headers: {a.com: {set: {A: 'env:DISCOBOT_TEST_UNSET'}}}",
        "1:28: headers.\"a.com\".set.A: the environment variable DISCOBOT_TEST_UNSET is not set here: set it for the proxy, or keep the value in a file (file:/path)")]
    [InlineData("tls: {cert_dir: DIR/half}", "1:17: tls.cert_dir: DIR/half has no pair that can be used: ca.crt holds no certificate in PEM")]
    public void What_the_proxy_would_do_without_is_told_by_the_check_alone(string yaml, string error)
    {
        Assert.Equal(error, Errors(yaml, FileChecks.All));
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
        Assert.Equal(["broken.pem", "empty", "good.pem", "half", "text"], Directory.GetFileSystemEntries(_directory).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    /// <summary>In mounts of its own: one is read-only, one is full. The executable is asked, as a check and as a start, which has another mistake so
    /// that it ends; what a full disk keeps from being written
    /// now is no reason not to start, as a cache fills its disk by itself, except for the CA that is still to be made.</summary>
    [Theory]
    [InlineData("tls: {cert_dir: DIR/only/certs}", "tls.cert_dir: DIR/only/certs cannot be made: DIR/only is mounted read-only: mount it to be written, or name another directory", true)]
    [InlineData("cache: {dir: DIR/only}", "cache.dir: DIR/only cannot be used: DIR/only is mounted read-only: mount it to be written, or name another directory", true)]
    [InlineData("logging: {file: DIR/only/log}", "logging.file: DIR/only/log cannot be made: DIR/only is mounted read-only: mount it to be written, or name another directory", true)]
    [InlineData("tls: {cert_dir: DIR/full}", "tls.cert_dir: DIR/full cannot be used: no space is left in DIR/full: make room, or name another directory", true)]
    [InlineData("cache: {dir: DIR/full}", "cache.dir: DIR/full cannot be used: no space is left in DIR/full: make room, or name another directory", false)]
    [InlineData("logging: {file: DIR/full/log}", "logging.file: DIR/full/log cannot be made: no space is left in DIR/full: make room, or name another directory", false)]
    public async Task What_is_mounted_read_only_or_full_is_told(string section, string error, bool atStart)
    {
        var file = Path.Combine(_directory, "c.yaml");
        await File.WriteAllTextAsync(file, section.Replace("DIR", _directory, StringComparison.Ordinal));
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("unshare",
        [
            "--mount", "sh", "-c", """
                cd "$1"; mkdir only full; mount -t tmpfs -o ro none only; mount -t tmpfs -o size=4k none full; dd if=/dev/zero of=full/all 2>/dev/null
                "$2" config check c.yaml; "$2" proxy --config c.yaml --port 1 --api-port 1
                ls -A full only
                """, "sh", _directory, Executable.Path,
        ])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
            Environment = { ["HOME"] = _directory, ["XDG_DATA_HOME"] = _directory },
        })!;
        string[] said;
        try
        {
            said = await Task.WhenAll(process.StandardError.ReadToEndAsync(), process.StandardOutput.ReadToEndAsync()).WaitAsync(TimeSpan.FromSeconds(60));
            await process.WaitForExitAsync();
        }
        finally
        {
            process.Kill(entireProcessTree: true);
        }

        var column = section.IndexOf("DIR", StringComparison.Ordinal) + 1;
        var line = error.Replace("DIR", _directory, StringComparison.Ordinal);
        Assert.Equal(
            $"c.yaml:1:{column}: {line}\n1 mistake\n{file}:1:1: proxy.api_port: must differ from proxy.port; both are 1\n{(atStart ? $"{file}:1:{column}: {line}\n" : "")}", said[0]);
        Assert.Equal("full:\nall\n\nonly:\n", said[1]);
    }

    /// <summary>As /dev/stdout where it leads to a file: its directory is nobody's to write into.</summary>
    [Fact]
    public void The_name_of_an_open_file_needs_no_room_beside_it()
    {
        using var open = new FileStream(Path.Combine(_directory, "log"), FileMode.Create, FileAccess.Write);
        var path = $"/proc/self/fd/{open.SafeFileHandle.DangerousGetHandle()}";
        Assert.Equal("", Errors($"audit: {{file: {path}}}\nlogging: {{file: {path}}}", FileChecks.All));
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
