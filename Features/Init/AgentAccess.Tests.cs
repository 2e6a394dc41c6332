using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init;

/// <summary>What the agent's user tries, as that user, in the whole init in namespaces.</summary>
public sealed class AgentAccessTests : IDisposable
{
    private readonly Enclosure _inside = new();

    public void Dispose() => _inside.Dispose();

    [Fact]
    public async Task The_agent_reads_the_certificate_and_nothing_else_of_the_proxys_and_changes_nothing()
    {
        _inside.Agent("""
            cat /.data/proxy/certs/ca.crt > /dev/null && echo reads certificate
            for f in certs/ca.key config.yaml api.token; do [ -e /.data/proxy/$f ] && echo found $f; cat /.data/proxy/$f 2>/dev/null && echo LEAK $f; done
            for d in . certs cache; do ls /.data/proxy/$d 2>/dev/null && echo LEAK list $d; touch /.data/proxy/$d/x 2>/dev/null && echo LEAK touch $d; done
            for f in certs/ca.key certs/ca.crt config.yaml; do { echo x > /.data/proxy/$f; } 2>/dev/null && echo LEAK write $f; mv /.data/proxy/$f /tmp 2>/dev/null && echo LEAK move $f; done
            mv /.data/proxy /.data/other 2>/dev/null && echo LEAK rename; ln -s /etc /.data/link 2>/dev/null && echo LEAK link
            for f in /opt/discobot/bin/x /opt/discobot/bin/proxy /etc/profile.d/x /etc/profile.d/discobot-proxy.sh; do { echo x >> $f; } 2>/dev/null && echo LEAK write $f; done
            exit 0
            """);
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        foreach (var seen in new[] { "reads certificate", "found certs/ca.key", "found config.yaml", "found api.token" })
            Assert.Contains($"\n{seen}\n", _inside.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("LEAK", _inside.Output, StringComparison.Ordinal);
    }

    /// <summary>Links in every place where root works at the next start.</summary>
    [Fact]
    public async Task Root_writes_through_no_link_that_the_agent_or_another_system_has_placed()
    {
        _inside.Prepare("""
            rm $1/opt/discobot/bin/proxy; mkdir $1/victim $1/root/.docker; echo untouched > $1/victim/file; chmod 700 $1/victim; echo image > $1/home/discobot/in-image
            ln -s /victim $2/docker; ln -s /victim $2/cache; mkdir -p $2/discobot; chown -R 1000:1000 $2
            """);
        _inside.Program("/usr/local/bin/dockerd", "exit 1");
        _inside.Environment["CACHE_ENABLED"] = "true";
        _inside.Agent("""
            cd ~; rm -rf .discobot in-image; ln -s /victim .discobot; ln -s /victim/file in-image; ln -s /victim .docker; ln -s /victim .npm
            mkdir -p workspace/.discobot/hooks; ln -s /victim workspace/.discobot/proxy; ln -s /victim/file workspace/.discobot/cache.json
            printf '#!/bin/sh\n#---\n# type: session\n# blocking: true\n#---\necho hooked\n' > workspace/.discobot/hooks/h; chmod +x workspace/.discobot/hooks/h
            exit 0
            """);
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("warning: cache mounts failed: open /.data/cache without following links", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("warning: Docker daemon failed: open /.data/docker without following links", _inside.Output, StringComparison.Ordinal);
        _inside.Agent("exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        foreach (var told in new[] { "proxy configuration NOT used", "warning: the record of hook h is not complete", ".docker/config.json stays as it is" })
            Assert.Contains(told, _inside.Output, StringComparison.Ordinal);
        Assert.Equal("untouched\n", await File.ReadAllTextAsync(_inside.At("/victim/file")));
        Assert.Equal([_inside.At("/victim/file")], Directory.GetFileSystemEntries(_inside.At("/victim")));
        Assert.Equal((UnixFileMode)0x1C0, File.GetUnixFileMode(_inside.At("/victim")));
    }
}
