using System.Net;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Wire;
using Microsoft.Extensions.Logging;

namespace Discobot.Features.Interception.Upstreams;

public sealed class ParentChoiceTests
{
    private static readonly OwnListeners Own = new([new IPEndPoint(IPAddress.Any, 17080), new IPEndPoint(IPAddress.IPv6Any, 17080)]);
    private readonly Lines _log = new();

    [Theory]
    [InlineData("HTTP_PROXY=http://a:1 HTTPS_PROXY=http://b:2", "http://a:1", "http://b:2")]
    [InlineData("http_proxy=http://a:1 HTTP_PROXY=http://b:2", "http://a:1", "")]
    [InlineData("ALL_PROXY=socks5h://a", "socks5://a:1080", "socks5://a:1080")]
    [InlineData("https_proxy=a:3128 all_proxy=http://b", "http://b:80", "http://a:3128")]
    [InlineData("HTTP_PROXY=http://u:p@a:1/", "http://a:1", "")]
    [InlineData("HTTPS_PROXY=https://a:1 HTTP_PROXY=ftp://a", "", "")]
    [InlineData("HTTP_PROXY= HTTPS_PROXY=", "", "")]
    public void The_environment_is_read_as_curl_reads_it(string environment, string http, string https)
    {
        var parents = Make("{}", environment);

        Assert.Equal(http, Text(parents, "http", "x.test"));
        Assert.Equal(https, Text(parents, "https", "x.test"));
    }

    [Theory]
    [InlineData("http://localhost:17080")]
    [InlineData("http://127.0.0.1:17080")]
    [InlineData("http://127.1.2.3:17080")]
    [InlineData("http://[::1]:17080")]
    [InlineData("http://[::ffff:127.0.0.1]:17080")]
    [InlineData("http://0.0.0.0:17080")]
    [InlineData("http://[::]:17080")]
    [InlineData("http://0x7f.1:17080")]
    [InlineData("http://2130706433:17080")]
    [InlineData("http://LOCALHOST.:17080/")]
    [InlineData("http://proxy.localhost:17080")]
    [InlineData("localhost:17080")]
    [InlineData("socks5://localhost:17080")]
    [InlineData("http://{host}:17080")]
    public void Our_own_address_is_ignored_in_every_spelling_with_a_warning(string address)
    {
        address = address.Replace("{host}", Dns.GetHostName(), StringComparison.Ordinal);

        Assert.False(Make("{}", $"HTTPS_PROXY={address}").Any);
        Assert.Contains("Warning parent proxy ignored HTTPS_PROXY", Assert.Single(_log.Written), StringComparison.Ordinal);
        Assert.False(Make($"{{upstream: \"{(address.Contains("://", StringComparison.Ordinal) ? "" : "http://")}{address}\"}}", "").Any);
        Assert.Contains("parent proxy ignored proxy.upstream", _log.Written[1], StringComparison.Ordinal);
    }

    [Fact]
    public void What_the_configuration_says_counts_before_the_environment()
    {
        Assert.Equal("http://a:1", Text(Make("{upstream: \"http://a:1\"}", "HTTPS_PROXY=http://b:2"), "https", "x.test"));
        Assert.False(Make("{upstream: direct}", "HTTPS_PROXY=http://b:2").Any);
    }

    [Fact]
    public void An_address_may_be_kept_in_a_file_or_a_variable()
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, "http://ann:s3cret@a:1\n");
            Assert.Equal("http://a:1", Text(Make($"{{upstream: \"file:{file}\"}}", ""), "https", "x.test"));
            Assert.DoesNotContain("s3cret", string.Join('\n', _log.Written), StringComparison.Ordinal);

            File.WriteAllText(file, "s3cret");
            var error = Assert.Throws<IOException>(() => Make($"{{upstream: \"file:{file}\"}}", ""));
            Assert.Contains(file, error.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("s3cret", error.Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }

        Assert.Contains("NO_SUCH_VARIABLE_HERE", Assert.Throws<IOException>(() => Make("{upstream: \"env:NO_SUCH_VARIABLE_HERE\"}", "")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("example.com", "example.com", true)]
    [InlineData("example.com", "www.example.com", true)]
    [InlineData("example.com", "badexample.com", false)]
    [InlineData(".example.com", "www.example.com", true)]
    [InlineData("*.example.com", "www.example.com", true)]
    [InlineData("EXAMPLE.com.", "example.com", true)]
    [InlineData("a.test,example.com", "example.com", true)]
    [InlineData("example.com:80", "example.com", false)]
    [InlineData("example.com:443", "example.com", true)]
    [InlineData("10.0.0.0/8", "10.1.2.3", true)]
    [InlineData("10.0.0.0/8", "11.1.2.3", false)]
    [InlineData("10.1.2.3", "10.1.2.3", true)]
    [InlineData("fd00::/8", "fd00::1", true)]
    [InlineData("[fd00::1]:443", "fd00::1", true)]
    [InlineData("10.1", "a.10.1", false)]
    [InlineData("*", "anything.test", true)]
    [InlineData("", "anything.test", false)]
    [InlineData("", "localhost", true)]
    [InlineData("", "127.0.0.5", true)]
    [InlineData("", "::1", true)]
    [InlineData("http://x/, %%", "x", false)]
    public void Exceptions_are_reached_directly(string exceptions, string host, bool direct)
    {
        var parents = Make("{upstream: \"http://a:1\"}", $"no_proxy={exceptions}");

        Assert.Equal(direct, parents.For("https", new ConnectTarget(host, 443)) is null);
    }

    private ParentProxies Make(string section, string environment)
    {
        var options = ConfigDocument.Parse(section, "t").Read(n => ProxyOptions.Read(n)).Value!;
        // Values hold blanks only where NO_PROXY alone is given.
        var pairs = environment.StartsWith("no_proxy", StringComparison.Ordinal) ? [environment] : environment.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return ParentChoice.Make(options, pairs.Select(p => p.Split('=', 2)).ToDictionary(p => p[0], p => p[1]), Own, new NameLookups(), _log);
    }

    private static string Text(ParentProxies parents, string scheme, string host) => parents.For(scheme, new ConnectTarget(host, 443))?.ToString() ?? "";

    private sealed class Lines : ILogger
    {
        public List<string> Written { get; } = [];

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Written.Add($"{logLevel} {formatter(state, exception)}");
    }
}
