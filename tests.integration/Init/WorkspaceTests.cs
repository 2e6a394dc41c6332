using System.Diagnostics;

namespace Discobot.Integration.Init;

public sealed class WorkspaceTests : IDisposable
{
    private readonly InitContainer _container = new();

    public void Dispose() => _container.Dispose();

    [Fact]
    public async Task A_repository_is_cloned_at_the_commit_and_what_the_session_writes_is_there_after_a_restart()
    {
        Repository();
        _container.Environment["WORKSPACE_PATH"] = "/.workspace";
        _container.Environment["WORKSPACE_COMMIT"] = "first";
        _container.Agent("cat file; git status -sb | head -1; stat -c %U file; echo mine >> file; echo new > ~/note; cat ~/.from-image; exit 0");
        Assert.Equal(0, await _container.RunAsync());
        Assert.Contains("one\n## discobot-session\ndiscobot\nimage", _container.Output, StringComparison.Ordinal);
        Assert.Equal("untouched", File.ReadAllText(_container.Upper(".workspace/untracked")));

        var authority = File.ReadAllText(_container.Data("proxy/certs/ca.crt"));
        _container.Agent("cat file ~/note; cat /workspace/file | wc -l; exit 0");
        Assert.Equal(0, await _container.RunAsync());
        Assert.Contains("one\nmine\nnew\n2\n", _container.Output, StringComparison.Ordinal);
        Assert.Equal(authority, File.ReadAllText(_container.Data("proxy/certs/ca.crt")));
        Assert.DoesNotContain("cloning", _container.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_plain_directory_is_copied_without_its_fifos()
    {
        Directory.CreateDirectory(_container.Upper(".workspace/deep"));
        File.WriteAllText(_container.Upper(".workspace/deep/file"), "content");
        Shell($"mkfifo {_container.Upper(".workspace/fifo")}");
        _container.Environment["WORKSPACE_PATH"] = "/.workspace";
        _container.Agent("cat deep/file; ls; exit 0");
        Assert.Equal(0, await _container.RunAsync());
        Assert.Contains("content", _container.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("\nfifo\n", _container.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_an_interrupted_start_left_is_repaired_by_the_next()
    {
        Directory.CreateDirectory(_container.Data("discobot.staging/half"));
        Directory.CreateDirectory(_container.Data("proxy/certs"));
        File.WriteAllText(_container.Data("proxy/certs/ca.crt"), "half a certifi");
        _container.Agent("ls -a ~; exit 0");
        Assert.Equal(0, await _container.RunAsync());
        Assert.Contains(".from-image", _container.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("half\n", _container.Output, StringComparison.Ordinal);
        Assert.Contains("HTTP proxy ready", _container.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ln -s /etc/shadow config.yaml")]
    [InlineData("mkfifo config.yaml")]
    [InlineData("truncate -s 1G config.yaml")]
    [InlineData("echo 'cache: [' > config.yaml")]
    [InlineData("printf 'cache:\\n  dir: /etc\\n' > config.yaml")]
    [InlineData("printf '\\377\\376' > config.yaml")]
    [InlineData("cd ..; rmdir proxy; ln -s /etc proxy")]
    public async Task An_untrusted_configuration_is_refused_loudly_and_the_default_serves(string make)
    {
        // The agent makes it in its session; the next start meets it.
        _container.Agent($"mkdir -p .discobot/proxy; cd .discobot/proxy; {make}; exit 0");
        Assert.Equal(0, await _container.RunAsync());
        _container.Agent("exit 0");
        Assert.Equal(0, await _container.RunAsync());
        Assert.Contains("error: proxy configuration NOT used:", _container.Output, StringComparison.Ordinal);
        Assert.Contains("proxy config: built-in default", _container.Output, StringComparison.Ordinal);
        Assert.Contains("HTTP proxy ready", _container.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_good_configuration_of_the_workspace_is_copied()
    {
        Directory.CreateDirectory(_container.Upper(".workspace/.discobot/proxy"));
        File.WriteAllText(_container.Upper(".workspace/.discobot/proxy/config.yaml"), "cache:\n  max_size: 50GiB # more\n");
        _container.Environment["WORKSPACE_PATH"] = "/.workspace";
        _container.Agent("exit 0");
        Assert.Equal(0, await _container.RunAsync());
        Assert.Equal("cache:\n  max_size: 50GiB # more\n", File.ReadAllText(_container.Data("proxy/config.yaml")));
    }

    [Fact]
    public async Task The_agent_reads_the_certificate_and_nothing_else_of_the_proxys_and_cannot_take_its_place()
    {
        _container.Agent("""
            cat /.data/proxy/certs/ca.crt > /dev/null && echo reads certificate
            for f in certs/ca.key config.yaml api.token; do cat /.data/proxy/$f 2>/dev/null && echo LEAK $f; done
            ls /.data/proxy 2>/dev/null && echo LEAK list; ls /.data/proxy/cache 2>/dev/null && echo LEAK cache
            mv /.data/proxy /.data/other 2>/dev/null && echo LEAK rename
            touch /.data/proxy/x /.data/x /opt/discobot/bin/proxy 2>/dev/null && echo LEAK write
            ls /.data/discobot /.data/.overlayfs 2>/dev/null && echo LEAK lower
            kill -TERM $(pgrep -f /opt/discobot/bin/proxy) 2>/dev/null && echo LEAK kill
            exit 0
            """);
        Assert.Equal(0, await _container.RunAsync());
        Assert.Contains("reads certificate", _container.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("LEAK", _container.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Hooks_run_as_the_agent_behind_the_proxy_and_links_in_their_way_are_not_followed()
    {
        Directory.CreateDirectory(_container.Upper(".workspace/.discobot/hooks"));
        Hook("10-user", "blocking: true", "id -u; echo $HTTP_PROXY; exit 4");
        Hook("20-root", "run_as: root", "echo as root");
        _container.Environment["WORKSPACE_PATH"] = "/.workspace";
        _container.Agent("cat ~/.discobot/session-1/hooks/status.json; rm -r ~/.discobot; ln -s /etc ~/.discobot; exit 0");
        Assert.Equal(0, await _container.RunAsync());
        Assert.Contains("[10-user] 4321", _container.Output, StringComparison.Ordinal);
        Assert.Contains("[10-user] http://localhost:17080", _container.Output, StringComparison.Ordinal);
        Assert.Contains("\"lastExitCode\":4", _container.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("as root", _container.Output.Replace("asks for root", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Equal(0, await _container.RunAsync());
        Assert.False(Directory.Exists(_container.Upper("etc/session-1")));
    }

    [Fact]
    public async Task A_session_in_a_database_is_not_touched_where_its_program_is_missing()
    {
        Directory.CreateDirectory(_container.Data(".agentfs"));
        File.WriteAllText(_container.Data(".agentfs/session-1.db"), "");
        Assert.Equal(1, await _container.RunAsync());
        Assert.Contains("the program agentfs is not on PATH", _container.Output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_container.Data(".overlayfs/session-1")));
        Assert.True(File.Exists(_container.Data(".agentfs/session-1.db")));
    }

    private static void Shell(string command)
    {
        using var shell = Process.Start("bash", ["-ec", command]);
        shell.WaitForExit();
        Assert.Equal(0, shell.ExitCode);
    }

    private void Hook(string name, string line, string script)
    {
        var path = _container.Upper($".workspace/.discobot/hooks/{name}");
        File.WriteAllText(path, $"#!/bin/bash\n#---\n# type: session\n# {line}\n#---\n{script}\n");
        File.SetUnixFileMode(path, (UnixFileMode)0x1ED);
    }

    private void Repository() => Shell($"""
        mkdir -p {_container.Upper(".workspace")}; cd {_container.Upper(".workspace")}; git init -q .
        git config user.email a@b; git config user.name n
        echo one > file; git add .; git commit -qm 1; git tag first; echo two > file; git commit -qam 2; printf untouched > untracked
        """);
}
