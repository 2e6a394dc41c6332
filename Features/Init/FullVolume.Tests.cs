using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init;

/// <summary>A volume that the agent has filled, in the whole init in namespaces: OverlayFS over a file system of 24 MiB.</summary>
public sealed class FullVolumeTests : IDisposable
{
    private const string Fill = "dd if=/dev/zero of=$HOME/big bs=64k 2>/dev/null; for i in $(seq 200); do printf xxxx > $HOME/small$i || break; done 2>/dev/null; ";
    private readonly Enclosure _inside = new();

    // Outside the namespaces, so that it is there at the next start.
    public FullVolumeTests() => _inside.Prepare("mount -t tmpfs -o size=24m,nr_inodes=4000 none $2");

    public void Dispose()
    {
        _inside.Prepare("umount -l $2");
        _inside.Dispose();
    }

    [Fact]
    public async Task The_next_start_has_proxy_and_rules_as_before_and_completes_what_is_missing_when_there_is_room()
    {
        _inside.Prepare("mkdir -p $1/etc/discobot; echo 'allowlist: {enabled: true, domains: [first.example]}' > $1/etc/discobot/policy.yaml");
        _inside.Agent("echo proxy=$HTTP_PROXY; " + Fill + "exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("\nproxy=http://localhost:17080\n", _inside.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("kept in /run", _inside.Output, StringComparison.Ordinal);

        // Another policy and a later image: the new rules count, and what the image adds comes when there is room.
        _inside.Prepare("echo 'allowlist: {enabled: true, domains: [second.example, third.example]}' > $1/etc/discobot/policy.yaml; head -c 300000 /dev/urandom > $1/home/discobot/.of-the-image");
        _inside.Agent("echo proxy=$HTTP_PROXY; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("\nproxy=http://localhost:17080\n", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("warning: not everything that this image adds to the home is there", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("second.example", await File.ReadAllTextAsync(_inside.At("/run/discobot/config.yaml")), StringComparison.Ordinal);

        _inside.Agent("rm -f $HOME/big $HOME/small*; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        _inside.Agent("wc -c < $HOME/.of-the-image; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("\n300000\n", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("second.example", await File.ReadAllTextAsync(_inside.At("/.data/proxy/config.yaml")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_an_inode_left_the_session_starts_again_and_the_agent_makes_room()
    {
        _inside.Prepare("mount -o remount,nr_inodes=1000 $2");
        _inside.Agent("mkdir -p $HOME/many; cd $HOME/many; i=0; while [ $i -lt 2000 ] && true > $i; do i=$((i+1)); done 2>/dev/null; [ $i -lt 2000 ] && echo full; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("\nfull\n", _inside.Said, StringComparison.Ordinal);

        // Twice: what was kept for the first is kept again.
        _inside.Agent("true > $HOME/many/another && echo had; exit 0");
        for (var start = 0; start < 2; start++)
        {
            Assert.True(await _inside.RunAsync() == 0, _inside.Output);
            Assert.DoesNotContain("\nhad\n", _inside.Said, StringComparison.Ordinal);
            Assert.Contains("has no inode left", _inside.Output, StringComparison.Ordinal);
        }

        _inside.Agent("rm -r $HOME/many; mkdir $HOME/many && echo room; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("\nroom\n", _inside.Said, StringComparison.Ordinal);
    }

    /// <summary>Before it can be made, in the middle of its lines, and at its end.</summary>
    [Theory]
    [InlineData(Fill + "seq 30000")]
    [InlineData("seq 10; " + Fill + "seq 30000; rm -f $HOME/big $HOME/small*")]
    [InlineData("seq 30000; " + Fill + "true")]
    public async Task A_hooks_record_that_cannot_be_written_holds_up_neither_the_hook_nor_the_start(string script)
    {
        Hook("a-first", script);
        Hook("b-next", "seq 40000 40010");
        _inside.Agent("exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("  [a-first] 30000\n", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("  [b-next] 40010\n", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("hook a-first ended with exit code 0\n", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("is not complete: ", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("startup completed", _inside.Output, StringComparison.Ordinal);
    }

    private void Hook(string name, string script)
    {
        _inside.Prepare("mkdir -p $2/discobot/workspace/.discobot/hooks");
        _inside.Program($"/.data/discobot/workspace/.discobot/hooks/{name}", $"#---\n# type: session\n# blocking: true\n#---\n{script}; exit 0");
        _inside.Prepare("chown -R 1000:1000 $2/discobot/workspace");
    }
}
