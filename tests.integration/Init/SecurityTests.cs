using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

/// <summary>What the agent's user tries, as that user.</summary>
public sealed class SecurityTests
{
    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task The_agent_reads_the_certificate_and_nothing_else_of_the_proxys_and_cannot_take_its_place(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        container.Agent("""
            cat /.data/proxy/certs/ca.crt > /dev/null && echo reads certificate
            for f in certs/ca.key config.yaml api.token; do cat /.data/proxy/$f 2>/dev/null && echo LEAK $f; done
            ls /.data/proxy 2>/dev/null && echo LEAK list; ls /.data/proxy/certs 2>/dev/null && echo LEAK certs; ls /.data/proxy/cache 2>/dev/null && echo LEAK cache
            for f in certs/ca.key certs/ca.crt config.yaml api.token; do { echo x > /.data/proxy/$f; } 2>/dev/null && echo LEAK write $f; rm -f /.data/proxy/$f 2>/dev/null && echo LEAK remove $f; done
            mv /.data/proxy /.data/other 2>/dev/null && echo LEAK rename; ln -s /etc /.data/link 2>/dev/null && echo LEAK link
            for f in /.data/x /opt/discobot/bin/x /var/lib/discobot/x /etc/profile.d/x; do touch $f 2>/dev/null && echo LEAK write $f; done
            for f in discobot proxy; do { echo x > /opt/discobot/bin/$f; } 2>/dev/null && echo LEAK binary; mv /opt/discobot/bin/$f /tmp 2>/dev/null && echo LEAK move; done
            ls /.data/discobot /.data/.overlayfs 2>/dev/null && echo LEAK lower
            for p in /proc/[0-9]*; do case "$(tr '\0' ' ' < $p/cmdline)" in *bin/proxy*|*discobot\ init*)
                kill -TERM ${p#/proc/} 2>/dev/null && echo LEAK kill; cat $p/environ >/dev/null 2>&1 && echo LEAK environ; cat $p/mem > /dev/null 2>&1 && echo LEAK memory; found=$found${p#/proc/}.;; esac; done
            echo looked at $found
            change='{"allowlist":{"enabled":true}}'; json='Content-Type: application/json'; config=http://localhost:17081/api/config
            if command -v curl >/dev/null; then curl -sS -i -H "$json" -d "$change" $config; else env -u http_proxy wget -O - --header "$json" --post-data "$change" $config 2>&1; fi
            exit 0
            """);
        Assert.Equal(0, await container.RunAsync());
        var log = await container.OutputAsync();
        Assert.Contains("reads certificate", log, StringComparison.Ordinal);
        // Process 1 and the proxy.
        Assert.Matches("\nlooked at 1\\.[0-9]+\\.\n", log);
        Assert.DoesNotContain("LEAK", log, StringComparison.Ordinal);
        Assert.Contains("401 Unauthorized", log, StringComparison.Ordinal);
        container.Agent("sleep 1000");
        await container.StartAsync();
        log = await container.SeeAsync("startup completed");
        Assert.Equal("discobot-proxy 600\ndiscobot-proxy 600\nroot 640\nroot 755\n", await container.ShellAsync(
            "stat -c '%U %a' /.data/proxy/certs/ca.key /.data/proxy/api.token /.data/proxy/config.yaml /opt/discobot/bin/discobot"));
        var proxy = log[(log.IndexOf("proxy started (pid=", StringComparison.Ordinal) + 19)..].Split(')')[0];
        Assert.Equal("discobot-proxy\n", await container.ShellAsync($"stat -c %U /proc/{proxy}"));
    }

    /// <summary>Links in every place where root works at the next start: nothing outside the session changes.</summary>
    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task Root_writes_through_no_link_that_the_agent_placed(Distro distro)
    {
        await using var container = new SessionContainer(distro) { Volumes = ["/.data/cache"] };
        container.Prepare("mkdir /victim; echo untouched > /victim/file; chmod 700 /victim; echo image > /home/discobot/in-image");
        container.Agent("exit 0");
        Assert.Equal(0, await container.RunAsync());
        container.Agent("""
            cd ~; rm -rf .discobot in-image; ln -s /victim .discobot; ln -s /victim/file in-image
            rm -rf .npm .m2 .cargo 2>/dev/null; ln -s /victim .bundle2; for d in .yarn .gem; do rmdir $d 2>/dev/null; done
            mkdir -p own; ln -s /victim own/link; mkdir -p workspace/.discobot/hooks
            echo '{"additionalPaths": ["/home/discobot/own/link", "/home/discobot/own/link/deep"]}' > workspace/.discobot/cache.json
            printf '#!/bin/sh\n#---\n# type: session\n# blocking: true\n#---\necho hooked\n' > workspace/.discobot/hooks/h; chmod +x workspace/.discobot/hooks/h
            ln -s /victim workspace/.discobot/proxy
            exit 0
            """);
        Assert.Equal(0, await container.RunAsync());
        container.Agent("ls -ld /victim | cut -c1-10; exit 0");
        Assert.Equal(0, await container.RunAsync());
        var log = await container.OutputAsync();
        Assert.Contains("\ndrwx------\n", log, StringComparison.Ordinal);
        Assert.Contains("cache own/link not mounted", log, StringComparison.Ordinal);
        Assert.Contains("proxy configuration NOT used", log, StringComparison.Ordinal);
        // Its record would be behind a link: there is none, which keeps the hook from nothing.
        Assert.Contains("the record of hook h is not complete", log, StringComparison.Ordinal);
        Assert.Contains("hook h ended with exit code 0", log, StringComparison.Ordinal);
        Assert.Equal("untouched\n", await container.ReadAsync("/victim/file"));
        container.Agent("sleep 1000");
        await container.StartAsync();
        await container.SeeAsync("startup completed");
        Assert.Equal("file\nroot\n", await container.ShellAsync("ls /victim; stat -c %U /victim/file"));
    }
}
