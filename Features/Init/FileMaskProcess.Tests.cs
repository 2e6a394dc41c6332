using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init;

/// <summary>Containers whose process 1 is started with another umask, in the whole init in namespaces.</summary>
public sealed class FileMaskProcessTests : IDisposable
{
    private readonly Enclosure _inside = new();

    public void Dispose() => _inside.Dispose();

    [Theory]
    [InlineData("0000")]
    [InlineData("0777")]
    [InlineData("0077")]
    public async Task Whatever_the_umask_the_agent_changes_nothing_that_root_reads_and_has_the_umask_itself(string mask)
    {
        _inside.Under = ["sh", "-c", $"umask {mask}; exec \"$@\"", "sh"];
        _inside.Agent("echo agent $(umask); sleep 1000");
        await _inside.StartAsync();
        await _inside.SeeAsync($"agent {mask}\n");
        var modes = await _inside.ShellAsync("stat -c '%n %a' /etc/gitconfig /run/discobot /var/lib/discobot /.data/proxy/audit.jsonl; "
            + "find /etc /run /var /.data -not -type l -not -path '/.data/discobot/*' -not -path '/.data/.overlayfs/*' -perm /022 ! -perm -1000 -user root");
        Assert.StartsWith("/etc/gitconfig 644\n/run/discobot 755\n/var/lib/discobot 755\n/.data/proxy/audit.jsonl 640\n", modes, StringComparison.Ordinal);
        Assert.True(modes.Split('\n').Length == 5, modes);
        Assert.DoesNotContain("cache", string.Join('\n', _inside.Output.Split('\n').Where(line => line.Contains("error", StringComparison.OrdinalIgnoreCase))), StringComparison.OrdinalIgnoreCase);
    }
}
