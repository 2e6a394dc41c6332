namespace Discobot.Infrastructure.Native.Files;

/// <summary>Directories below a root of the test's, with owners as images have them.</summary>
public sealed class TrustedPathTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("trusted-").FullName;

    public TrustedPathTests() => Sh("""
        chmod 755 .; mkdir -p bin home/agent/bin opt/agents opt/shared opt/staff opt/root; chown -R 65534:65534 home/agent opt/agents
        chmod 777 opt/shared; chown root:65534 opt/staff; chmod 775 opt/staff; mkdir home/agent/bin/of-root
        for d in bin home/agent/bin home/agent/bin/of-root opt/agents opt/shared opt/staff opt/root; do touch $d/tool; chmod 755 $d/tool; done
        ln -s ../home/agent/bin opt/link; ln -s ../opt/link/../../../bin/tool bin/through; ln -s ../opt/agents/tool bin/leads; ln -s tool bin/beside
        """);

    public void Dispose() => Directory.Delete(_root, true);

    [Theory]
    [InlineData("bin", true)]
    [InlineData("opt/root", true)]
    [InlineData("home/agent/bin", false)]
    [InlineData("home/agent/bin/of-root", false)]
    [InlineData("opt/agents", false)]
    [InlineData("opt/shared", false)]
    [InlineData("opt/staff", false)]
    [InlineData("opt/link", false)]
    [InlineData("opt/root/../agents", false)]
    public void A_program_is_run_only_from_directories_that_are_roots_all_the_way_up(string directory, bool trusted)
    {
        Assert.Equal(trusted ? $"{_root}/{directory}/tool" : null, Trusted.Find("tool", $"{_root}/{directory}"));
        Assert.Equal(trusted ? $"{_root}/{directory}" : "", Trusted.Filter($"{_root}/{directory}"));
    }

    [Theory]
    [InlineData("beside", true)]
    [InlineData("leads", false)]
    [InlineData("through", false)]
    public void A_link_counts_with_every_directory_on_its_way(string name, bool trusted)
        => Assert.Equal(trusted, Trusted.Find(name, $"{_root}/bin") is not null);

    [Fact]
    public void What_is_not_trusted_is_passed_over_and_the_next_is_taken()
        => Assert.Equal($"{_root}/bin/tool", Trusted.Find("tool", $"relative:{_root}/opt/agents:{_root}/home/agent/bin:{_root}/bin"));

    [Theory]
    [InlineData("plain text, no path", true)]
    [InlineData("{0}/bin:{0}/opt/root", true)]
    [InlineData("{0}/bin:{0}/opt/agents/lib", false)]
    [InlineData("-javaagent:{0}/home/agent/a.jar", false)]
    [InlineData("--require={0}/opt/agents/x.js", false)]
    [InlineData("-I{0}/opt/agents", false)]
    [InlineData("http://user@host.example:3128/path", true)]
    public void A_value_is_judged_by_every_path_in_it(string value, bool allowed)
        => Assert.Equal(allowed, Trusted.Allows(value.Replace("{0}", _root, StringComparison.Ordinal)));

    [Fact]
    public void A_home_is_never_trusted_though_it_is_roots_today()
    {
        Sh("chown -R root:root home/agent");
        Assert.Null(Trusted.Find("tool", $"{_root}/home/agent/bin"));
    }

    private TrustedPath Trusted => new(_root, [65534], [$"{_root}/home"]);

    private void Sh(string script)
    {
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("sh", ["-ec", script]) { WorkingDirectory = _root })!;
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }
}
