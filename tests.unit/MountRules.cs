using Discobot.Tests.Fixtures;

namespace Discobot.Rules;

/// <summary>What is shown to users, and what the tests and measurements do, mounts no tree of control groups of the host's: a private one serves.</summary>
public sealed class MountRules
{
    private static readonly string[] Looked = ["README.md", "docs", "examples", "images", "bench", "build", "tests.integration", "Makefile", "Dockerfile"];

    [Fact]
    public void Nothing_mounts_the_hosts_control_groups()
    {
        var offences = Looked.Select(name => Path.Combine(Checkout.Top(), name)).SelectMany(Files).Where(file => IsMount(File.ReadAllText(file)));
        Assert.Equal([], offences);
    }

    [Theory]
    [InlineData("docker run -v /sys/fs/cgroup:/sys/fs/cgroup x", true)]
    [InlineData(".WithBindMount(\"/sys/fs/cgroup\", \"/sys/fs/cgroup\")", true)]
    [InlineData("- /sys/fs/cgroup:/sys/fs/cgroup:rw", true)]
    [InlineData("mount -o remount,rw /sys/fs/cgroup", false)]
    public void The_rule_is_this(string text, bool isMount) => Assert.Equal(isMount, IsMount(text));

    private static bool IsMount(string text)
        => text.Contains("/sys/fs/cgroup:", StringComparison.Ordinal) || text.Contains("Mount(\"/sys/fs/cgroup", StringComparison.Ordinal);

    private static IEnumerable<string> Files(string path)
        => File.Exists(path) ? [path] : Directory.EnumerateFiles(path, "*", SearchOption.AllDirectories).Where(f => !f.Contains("/bin/", StringComparison.Ordinal) && !f.Contains("/obj/", StringComparison.Ordinal) && new FileInfo(f).Length < 1 << 20);
}
