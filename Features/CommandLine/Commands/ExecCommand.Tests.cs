using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.CommandLine.Commands;

/// <summary>The hidden verb, as the init uses it: with the executable itself.</summary>
public sealed class ExecCommandTests : IDisposable
{
    private readonly Spawner _spawner = new(Executable.Path);

    public void Dispose() => _spawner.Dispose();

    [Fact]
    public async Task The_program_is_the_user_with_its_groups_alone_and_cannot_go_back()
    {
        var nobody = new UserDatabase("/etc").Find("nobody")!;
        var said = await RunAsync("grep -E '^(Uid|Gid|Groups|CapEff):' /proc/self/status", "nobody");
        Assert.Contains($"Uid:\t{nobody.User}\t{nobody.User}\t{nobody.User}\t{nobody.User}\n", said, StringComparison.Ordinal);
        Assert.Contains($"Gid:\t{nobody.Group}\t{nobody.Group}\t{nobody.Group}\t{nobody.Group}\n", said, StringComparison.Ordinal);
        Assert.Contains($"Groups:\t{string.Join(' ', nobody.Groups)} \n", said, StringComparison.Ordinal);
        Assert.Contains("CapEff:\t0000000000000000\n", said, StringComparison.Ordinal);
    }

    /// <summary>proc(5), stat: after the name state, parent, group, session. A shell that starts programs blocks signals meanwhile.</summary>
    [Fact]
    public async Task It_leads_a_session_of_its_own_and_no_signal_is_ignored_or_blocked()
    {
        // Whoever started us may have ignored what we know nothing of: SIGXFSZ, as Python does, and a real-time signal.
        int[] unknown = [25, 50];
        Array.ForEach(unknown, signal => Libc.SetDisposition(signal, 1));
        var said = await RunAsync("read -r all < /proc/$$/stat; set -- ${all##*) }; [ $$ = $3 ] && [ $$ = $4 ] && echo leads; exec grep -E '^Sig(Ign|Blk):' /proc/self/status", null);
        Array.ForEach(unknown, signal => Libc.SetDisposition(signal, 0));
        Assert.StartsWith("leads\nSigBlk:\t0000000000000000\nSigIgn:\t", said, StringComparison.Ordinal);

        // 32 and 33 are the C library's own, which lets nobody change them: make ignores them.
        Assert.Equal(0, Convert.ToInt64(said.Split('\t')[^1].Trim(), 16) & ~0x1_8000_0000);
    }

    [Theory]
    [InlineData("nobody-here", "/bin/true", 126)]
    [InlineData(null, "/no/such/program", 127)]
    [InlineData(null, "/etc/passwd", 126)]
    public async Task What_cannot_be_run_is_told_by_the_usual_codes(string? user, string program, int code)
        => Assert.Equal(code, (await new ToolRun(_spawner).RunAsync(new Launch("x", [program]) { User = user }, TimeSpan.FromSeconds(20), _ => { }, CancellationToken.None)).ExitCode);

    [Theory]
    [InlineData("/usr/bin", 0)]
    [InlineData("/no/such/directory", 127)]
    public async Task It_begins_in_its_directory_or_not_at_all(string directory, int code)
    {
        var lines = new List<string>();
        var result = await new ToolRun(_spawner).RunAsync(new Launch("pwd", ["/bin/pwd"]) { WorkingDirectory = directory }, TimeSpan.FromSeconds(20), lines.Add, CancellationToken.None);
        Assert.Equal(code, result.ExitCode);
        Assert.Contains(lines, line => code == 0 ? line == directory : line.Contains("chdir " + directory, StringComparison.Ordinal));
    }

    /// <summary>Of two users' links and directories: root would get there.</summary>
    [Fact]
    public async Task It_goes_to_its_directory_as_its_user()
    {
        var closed = Directory.CreateTempSubdirectory("closed-").FullName;
        var result = await new ToolRun(_spawner).RunAsync(new Launch("pwd", ["/bin/pwd"]) { User = "nobody", WorkingDirectory = closed }, TimeSpan.FromSeconds(20), _ => { }, CancellationToken.None);
        Directory.Delete(closed);
        Assert.Equal(126, result.ExitCode);
    }

    /// <summary>AF_VSOCK leads from a virtual machine to its host, AF_ALG stands for all others. Children inherit it, and programs of 32 bits are no
    /// way round; nor is what opens sockets without a system call for each.</summary>
    [Theory]
    [InlineData(true, "nobody")]
    [InlineData(false, "nobody")]
    [InlineData(false, null)]
    public async Task Limited_it_has_the_families_of_sockets_that_the_packet_filter_sees_and_no_other(bool noNewPrivileges, string? user)
    {
        const string Try = """
            import ctypes, errno, platform, socket
            libc = ctypes.CDLL(None, use_errno=True); has = []
            for family in range(48):
                try: socket.socket(family, socket.SOCK_RAW if family == 16 else socket.SOCK_DGRAM, 0).close(); has.append(family)
                except OSError as e:
                    # Not allowed, yet there: a packet socket takes NET_RAW.
                    if e.errno != errno.EAFNOSUPPORT: has.append(family)
            print("families", *has)
            print("pair", end=" ")
            try: socket.socketpair(30, 1)
            except OSError as e: print(errno.errorcode[e.errno])
            libc.syscall(425, 1, ctypes.create_string_buffer(120)); print("ring", errno.errorcode[ctypes.get_errno()])
            if platform.machine() == "x86_64":
                libc.syscall(41 | 0x40000000, 40, 1, 0); print("x32", errno.errorcode[ctypes.get_errno()])
            """;
        var lines = new List<string>();
        var launch = new Launch("sh", ["/bin/sh", "-c", "/usr/bin/python3 -c \"$0\"; true", Try]) { User = user, LimitsSockets = true, NoNewPrivileges = noNewPrivileges };
        var result = await new ToolRun(_spawner).RunAsync(launch, TimeSpan.FromSeconds(60), lines.Add, CancellationToken.None);
        Assert.True(result.Succeeded, string.Join('\n', lines));
        Assert.Equal("families 1 2 10 16 17", lines[0]);
        Assert.Equal(["pair EAFNOSUPPORT", "ring EPERM"], lines[1..3]);
        Assert.All(lines[3..], line => Assert.Equal("x32 EAFNOSUPPORT", line));
    }

    [Fact]
    public void A_signal_that_does_not_exist_is_a_usage_error()
        => Assert.NotEmpty(ExecCommand.Create().Parse(["--pdeathsig", "TREM", "--", "true"]).Errors);

    private async Task<string> RunAsync(string script, string? user)
    {
        var lines = new List<string>();
        var result = await new ToolRun(_spawner).RunAsync(new Launch("sh", ["/bin/sh", "-c", script]) { User = user }, TimeSpan.FromSeconds(20), lines.Add, CancellationToken.None);
        Assert.True(result.Succeeded, string.Join('\n', lines));
        return string.Join('\n', lines) + "\n";
    }
}
