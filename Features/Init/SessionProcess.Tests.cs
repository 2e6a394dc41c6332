using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init;

/// <summary>What the agent finds, in the whole init in namespaces.</summary>
public sealed class SessionProcessTests : IDisposable
{
    private readonly Enclosure _inside = new();

    public void Dispose() => _inside.Dispose();

    [Fact]
    public async Task An_outer_proxy_is_the_proxys_parent_and_not_the_agents()
    {
        _inside.Environment["HTTPS_PROXY"] = "http://outer.example:3128";
        _inside.Environment["CERT_DIR"] = "/tmp";
        _inside.Agent("echo agent: $HTTPS_PROXY $CERT_DIR.; sleep 1000");
        await _inside.StartAsync();
        await _inside.SeeAsync("agent: http://localhost:17080 .\n");
        Assert.Contains("warning: CERT_DIR is ignored", _inside.Output, StringComparison.Ordinal);
        var proxy = _inside.Output.Split("proxy started (pid=")[1].Split(')')[0];
        var environment = await _inside.ShellAsync($"tr '\\0' '\\n' < /proc/{proxy}/environ; grep Uid: /proc/{proxy}/status");
        Assert.Contains("HTTPS_PROXY=http://outer.example:3128\n", environment, StringComparison.Ordinal);
        Assert.DoesNotContain("localhost:17080", environment, StringComparison.Ordinal);
        Assert.Contains($"Uid:\t{new UserDatabase(_inside.At("/etc")).Find("discobot-proxy")!.User}\t", environment, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Caches_of_the_project_are_shown_in_the_home_and_no_link_or_list_leads_them_elsewhere()
    {
        _inside.Prepare("""
            rm $1/opt/discobot/bin/proxy; mkdir $1/shared $1/victim; w=$2/discobot/workspace; mkdir -p $w/.discobot $2/cache; ln -s /victim $w/elsewhere; ln -s /victim $2/discobot/.npm
            echo '{"additionalPaths": ["/home/discobot/own/cache", "/home/discobot/workspace/elsewhere/x", "/home/discobot/../../etc", "/etc"]}' > $w/.discobot/cache.json
            chown -R 1000:1000 $w
            """);
        _inside.Before = "mount --bind shared .data/cache";
        _inside.Agent("echo kept > ~/own/cache/file; echo kept > ~/.cargo/registry/file; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        foreach (var told in new[] { "cache .npm not mounted", "cache workspace/elsewhere/x not mounted", "/home/discobot/../../etc is not below", "/etc is not below" })
            Assert.Contains(told, _inside.Output, StringComparison.Ordinal);
        foreach (var file in new[] { "own/cache/file", ".cargo/registry/file" })
            Assert.Equal("kept\n", await File.ReadAllTextAsync(_inside.At("/shared/home/discobot/" + file)));
        Assert.Empty(Directory.GetFileSystemEntries(_inside.At("/victim")));

        // A list without end makes no mounts without end.
        var many = string.Join(',', Enumerable.Range(0, 1000).Select(i => $"\"/home/discobot/many/{i}\""));
        _inside.Agent($"mkdir -p workspace; echo '{{\"additionalPaths\": [{many}]}}' > .discobot/cache.json; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("cache.json not used: more than 64 paths", _inside.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_terminal_is_the_agents_where_there_is_one(bool terminal)
    {
        _inside.Terminal = terminal;
        _inside.Prepare("rm $1/opt/discobot/bin/proxy");
        _inside.Agent("[ -t 0 ] && echo terminal || echo none; read -r all < /proc/$$/stat; set -- ${all##*) }; [ $3 = $$ ] && echo leads; [ $3 = $6 ] && echo foreground; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains(terminal ? "\nterminal\nleads\nforeground\n" : "\nnone\nleads\n", _inside.Output, StringComparison.Ordinal);
    }
}
