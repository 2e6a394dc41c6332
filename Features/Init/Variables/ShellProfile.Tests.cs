using System.Diagnostics;

namespace Discobot.Features.Init.Variables;

public sealed class ShellProfileTests : IDisposable
{
    // What the user excepts may hold anything; a shell that reads it runs none of it.
    private readonly ContainerFixture _fixture = new(("NO_PROXY", "a'b$(touch /tmp/never);c"));

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public async Task Shells_get_each_variable_word_for_word_and_run_nothing_of_it()
    {
        _fixture.Write("etc/profile.d/x", "");
        new ShellProfile(_fixture.Container).Write(Variables());
        var file = _fixture.At("etc/profile.d/discobot-proxy.sh");
        Assert.Equal((UnixFileMode)0x1A4, File.GetUnixFileMode(file));
        using var shell = Process.Start(new ProcessStartInfo("sh", ["-c", ". \"$0\"; echo \"$NO_PROXY\"; echo $HTTPS_PROXY $NODE_EXTRA_CA_CERTS", file]) { RedirectStandardOutput = true })!;
        Assert.Equal(
            "localhost,127.0.0.1,::1,a'b$(touch /tmp/never);c\nhttp://localhost:17080 /.data/proxy/certs/ca.crt\n", await shell.StandardOutput.ReadToEndAsync());
    }

    [Fact]
    public async Task Without_a_directory_for_profiles_etc_profile_has_them_once_and_loses_them_again()
    {
        var profile = _fixture.Write("etc/profile", "mine=1\n");
        new ShellProfile(_fixture.Container).Write(Variables());
        var once = File.ReadAllText(profile);
        new ShellProfile(_fixture.Container).Write(Variables());
        Assert.Equal(once, File.ReadAllText(profile));
        Assert.Contains("export HTTP_PROXY=http://localhost:17080\n", once, StringComparison.Ordinal);
        await new ShellProfile(_fixture.Container).RemoveAsync(CancellationToken.None);
        Assert.Equal("mine=1\n", File.ReadAllText(profile));
    }

    [Theory]
    [InlineData("etc/bash.bashrc")]
    [InlineData("etc/bashrc")]
    [InlineData("etc/zsh/zshenv")]
    public async Task Interactive_shells_read_the_same_file_and_are_left_as_they_were(string file)
    {
        _fixture.Write("etc/profile.d/x", "");
        _fixture.Write(file, "mine=1\n");
        new ShellProfile(_fixture.Container).Write(Variables());
        Assert.Contains(". /etc/profile.d/discobot-proxy.sh\n", File.ReadAllText(_fixture.At(file)), StringComparison.Ordinal);
        await new ShellProfile(_fixture.Container).RemoveAsync(CancellationToken.None);
        Assert.Equal("mine=1\n", File.ReadAllText(_fixture.At(file)));
        Assert.False(File.Exists(_fixture.At("etc/profile.d/discobot-proxy.sh")));
    }

    [Fact]
    public void With_neither_a_warning_says_so()
    {
        new ShellProfile(_fixture.Container).Write(Variables());
        Assert.Contains("warning: neither /etc/profile.d nor /etc/profile exists", _fixture.Output, StringComparison.Ordinal);
    }

    private IReadOnlyList<KeyValuePair<string, string>> Variables() => ProxyEnvironment.Variables(new ProxySummary(), new ClientTrust(), _fixture.Container.Environment);
}
